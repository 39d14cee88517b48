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

TEST_F(MemoryTest, GroupsOfTheFirstVersionCountToo) {
  write("proc/meminfo", "MemTotal: 4000 kB\nMemAvailable: 3000 kB\n");
  write("proc/self/cgroup", "5:cpu,cpuacct:/a\n4:hugetlb,memory:/job\n");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/memory/job/memory.limit_in_bytes", "1000000\n");
  write("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "900000\n");
  write("sys/fs/cgroup/memory/job/memory.stat", "cache 1\ntotal_inactive_file 300000\ntotal_active_file 7\n");
  EXPECT_EQ(available(), 400000u) << "files that were read can be dropped";
  const MemoryUse fullest = fullest_memory(root_.string());
  EXPECT_EQ(fullest.used, 600000u);
  EXPECT_EQ(fullest.limit, 1000000u);
  EXPECT_EQ(fullest.where, "the cgroup /job");
}

TEST_F(MemoryTest, TheFullestIsTheOneThatRunsOut) {
  write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 100 kB\n");
  write("proc/self/cgroup", "0::/job\n");
  write("sys/fs/cgroup/job/memory.max", "1000000\n");
  write("sys/fs/cgroup/job/memory.current", "800000\n");
  write("sys/fs/cgroup/job/memory.stat", "anon 1\ninactive_file 0\n");
  EXPECT_EQ(fullest_memory(root_.string()).where, "this machine");
  write("proc/meminfo", "MemTotal: 1000 kB\nMemAvailable: 500 kB\n");
  EXPECT_EQ(fullest_memory(root_.string()).where, "the cgroup /job");
  EXPECT_EQ(fullest_memory(root_.string() + "/nothing").limit, 0u);
}

TEST_F(MemoryTest, OfThisMachineIsSomething) {
  EXPECT_GT(available_memory(), 1u << 20);
}

}  // namespace
}  // namespace mobula
