#include "rl/records/append_file.h"

#include <gmock/gmock.h>

#include <fstream>
#include <sstream>

#include "tests/support/small_disk.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return (std::stringstream() << in.rdbuf()).str();
}

TEST(AppendFile, GoesOnAtTheEndOfWhatIsThere) {
  const Scratch scratch;
  std::ofstream(scratch / "log") << "one\n";
  AppendFile file(scratch / "log");
  file.append("two\n");
  file.append("");
  file.append("three\n");
  file.sync();
  EXPECT_EQ(content(scratch / "log"), "one\ntwo\nthree\n");
}

TEST(AppendFile, LeavesNothingOfWhatDoesNotFitOnTheDisk) {
  const Scratch scratch;
  AppendFile file(scratch / "log");
  file.append("0123456789\n");
  {
    const tests::SmallDisk disk(16);
    try {
      file.append("this is longer than what is left\n");
      FAIL() << "it was written";
    } catch (const FileError& error) {
      EXPECT_THAT(error.what(), testing::AllOf(testing::HasSubstr("cannot write"), testing::HasSubstr("log"),
                                               testing::HasSubstr("File too large")));
    }
    EXPECT_EQ(content(scratch / "log"), "0123456789\n");
    file.append("abcd\n");
  }
  file.append("more\n");
  EXPECT_EQ(content(scratch / "log"), "0123456789\nabcd\nmore\n");
}

TEST(AppendFile, NamesAFileThatCannotBeOpened) {
  const Scratch scratch;
  try {
    AppendFile file(scratch / "no/such/folder");
    FAIL();
  } catch (const FileError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("no/such/folder: No such file or directory"));
  }
}

}  // namespace
}  // namespace mobula::rl
