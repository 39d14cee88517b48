#include "runtime/base/memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace mobula {
namespace {

namespace fs = std::filesystem;

class MemoryTest : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    const fs::path file = root_ / path;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::uint64_t available() const { return available_memory(root_.string()); }

  const fs::path root_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
  void TearDown() override { fs::remove_all(root_); }
};

TEST_F(MemoryTest, IsWhatTheSystemCallsAvailable) {
  write("proc/meminfo", "MemTotal:       24000 kB\nMemFree: 100 kB\nMemAvailable:    2000 kB\n");
  EXPECT_EQ(available(), 2000u * 1024);
}

TEST_F(MemoryTest, IsWhatTheTightestGroupLeaves) {
  write("proc/meminfo", "MemAvailable: 2000000 kB\n");
  write("proc/self/cgroup", "0::/slice/job\n");
  write("sys/fs/cgroup/slice/job/memory.max", "max\n");
  write("sys/fs/cgroup/slice/memory.max", "1000000\n");
  write("sys/fs/cgroup/slice/memory.current", "400000\n");
  EXPECT_EQ(available(), 600000u);
  write("sys/fs/cgroup/memory.max", "500000\n");
  EXPECT_EQ(available(), 500000u) << "in a container the limit stands at the root";
  write("sys/fs/cgroup/slice/memory.current", "1400000\n");
  EXPECT_EQ(available(), 0u);
}

TEST_F(MemoryTest, OfThisMachineIsSomething) {
  EXPECT_GT(available_memory(), 1u << 20);
}

}  // namespace
}  // namespace mobula
