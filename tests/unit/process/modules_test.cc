#include "runtime/process/modules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/support/paths.h"

namespace mobula::process {
namespace {

[[gnu::noinline]] int some_function(int x) {
  return x + 1;
}

TEST(Modules, BuildIdOfTheRunningProgramEqualsThatOfItsFile) {
  EXPECT_NE(build_id_of_program(), 0u);
  EXPECT_EQ(build_id_of_file(program_path()), build_id_of_program());
}

TEST(Modules, DifferentProgramsHaveDifferentBuildIds) {
  EXPECT_NE(build_id_of_file(THREADS_BEFORE_MAIN), build_id_of_program());
  EXPECT_NE(build_id_of_file(THREADS_BEFORE_MAIN), build_id_of_file(WITHOUT_INIT));
}

TEST(Modules, ProgramsWithoutABuildIdAreToldApartByTheirCode) {
  const std::string copy = tests::binary_dir().string() + "/no_build_id_" + std::to_string(getpid());
  const std::string strip = "objcopy --remove-section .note.gnu.build-id " WITHOUT_INIT " " + copy;
  if (std::system(strip.c_str()) != 0) GTEST_SKIP() << "objcopy (package binutils) is not installed: " << strip;
  const auto id = build_id_of_file(copy);
  EXPECT_NE(id, build_id_of_file(WITHOUT_INIT));
  EXPECT_NE(id, 0u);
  std::filesystem::remove(copy);
}

TEST(Modules, AFunctionIsLocatedInItsModule) {
  const auto here = locate_code(reinterpret_cast<const void*>(&some_function));
  ASSERT_TRUE(here);
  EXPECT_EQ(here->module, build_id_of_program());
  EXPECT_EQ(locate_code(reinterpret_cast<const void*>(&some_function)), here);
  const auto library = locate_code(reinterpret_cast<const void*>(&::getpid));
  ASSERT_TRUE(library);
  EXPECT_NE(library->module, here->module);
  EXPECT_EQ(some_function(1), 2);
}

TEST(Modules, AnAddressInNoModuleIsNotLocated) {
  int local = 0;
  EXPECT_FALSE(locate_code(&local));
  EXPECT_FALSE(locate_code(nullptr));
}

TEST(Modules, AFileThatIsNoProgramIsRefusedByName) {
  const std::string path = tests::binary_dir().string() + "/not_a_program_" + std::to_string(getpid());
  std::ofstream(path) << "#!/bin/sh\necho this is a script of more than sixty-four bytes, which an ELF header has\n";
  try {
    build_id_of_file(path);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(error.what(), "cannot read the program file " + path + ": it is not an ELF program of this machine");
  }
  std::filesystem::remove(path);
  EXPECT_THROW(build_id_of_file("/no/such/file"), std::runtime_error);
  EXPECT_THROW(build_id_of_file("/tmp"), std::runtime_error);
}

TEST(Modules, ATruncatedProgramIsNotReadBeyondItsEnd) {
  std::ifstream whole(program_path(), std::ios::binary);
  std::string bytes(4096, '\0');
  whole.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  const std::string path = tests::binary_dir().string() + "/truncated_" + std::to_string(getpid());
  for (std::size_t size : {64u, 65u, 100u, 200u, 700u, 4096u}) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, size);
    EXPECT_NO_FATAL_FAILURE(build_id_of_file(path));
  }
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace mobula::process
