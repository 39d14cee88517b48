// Which cgroup limits memory is chosen from text and files; here they are made up.
#include "runtime/process/memory_group.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace mobula::process {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* first_mounts =
    "22 1 0:20 / /proc rw - proc proc rw\n"
    "30 1 0:26 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n"
    "31 1 0:27 / /sys/fs/cgroup/memory rw,relatime shared:5 - cgroup cgroup rw,memory\n"
    "32 1 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
constexpr const char* second_mounts = "30 1 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup rw\n";

class MemoryGroups : public testing::Test {
 protected:
  const fs::path root_ = fs::temp_directory_path() / ("mobula_memory_group_" + std::to_string(getpid()));
  ~MemoryGroups() override { fs::remove_all(root_); }

  fs::path make(const std::string& directory) const {
    fs::create_directories(root_ / directory);
    return root_ / directory;
  }
  static void write(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }
  static std::string read(const fs::path& file) {
    std::ifstream in(file);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  Result<MemoryPlace> place(const std::string& cgroup, const std::string& mounts, bool prepare = false) const {
    return memory_place(cgroup, mounts, prepare, root_.string());
  }
};

TEST_F(MemoryGroups, VersionOneIsTheGroupOfTheMemoryController) {
  const fs::path here = make("sys/fs/cgroup/memory/jobs/7");
  const auto found = place("4:memory:/jobs/7\n1:cpu:/\n0::/\n", first_mounts);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(*found, (MemoryPlace{1, here.string()}));
  // Among several controllers in one hierarchy, and in the group of a container, which sees its own as the root.
  EXPECT_TRUE(
      place("4:cpu,memory:/jobs/7\n", "31 1 0:27 /jobs /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory\n")
          .ok() == false);  // .../memory/7 is not there
  make("sys/fs/cgroup/memory/7");
  EXPECT_EQ(place("4:cpu,memory:/jobs/7\n", "31 1 0:27 /jobs /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory\n")
                ->directory,
            (root_ / "sys/fs/cgroup/memory/7").string());
}

TEST_F(MemoryGroups, VersionTwoHasToShareOutMemory) {
  const fs::path here = make("sys/fs/cgroup/user.slice/app");
  write(here / "cgroup.subtree_control", "cpu\n");
  EXPECT_THAT(place("0::/user.slice/app\n", second_mounts).error().message,
              HasSubstr("does not share out memory among its children"));
  EXPECT_EQ(read(here / "cgroup.subtree_control"), "cpu\n");  // only looked at
  write(here / "cgroup.subtree_control", "cpu memory\n");
  const auto found = place("0::/user.slice/app\n", second_mounts);
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_EQ(*found, (MemoryPlace{2, here.string()}));
}

TEST_F(MemoryGroups, WhereThereIsNoneTheReasonIsSaid) {
  EXPECT_THAT(place("", second_mounts).error().message, HasSubstr("no cgroup file system is mounted"));
  EXPECT_THAT(place("0::/\n", "").error().message, HasSubstr("no cgroup file system is mounted"));
  EXPECT_THAT(place("4:memory:/a\n", second_mounts).error().message, HasSubstr("controller is not mounted"));
  EXPECT_THAT(place("4:memory:/gone\n", first_mounts).error().message, HasSubstr("/memory/gone cannot be written"));
  EXPECT_THAT(place("0::/gone\n", second_mounts).error().message, HasSubstr("/gone cannot be written"));
}

TEST_F(MemoryGroups, AProcessHasOneOfItsOwnWithItsLimit) {
  for (const int version : {1, 2}) {
    const MemoryPlace at{version, make("group" + std::to_string(version)).string()};
    const fs::path own = make("group" + std::to_string(version) + "/mobula-5-12-1000000");
    const fs::path limit = own / (version == 1 ? "memory.limit_in_bytes" : "memory.max");
    for (const fs::path& file : {own / "cgroup.procs", limit}) write(file, "");
    write(own / (version == 1 ? "memory.usage_in_bytes" : "memory.current"), "500\n");
    MemoryGroup group(at, 5);
    ASSERT_TRUE(group.limit(1'000'000, 12).ok());
    EXPECT_EQ(read(own / "cgroup.procs"), "12");
    const std::uint64_t most = std::stoull(read(limit));
    EXPECT_EQ(most, 1'000'500 + (16u << 20));  // with what the kernel needs for it
    group.allow(5000);
    EXPECT_EQ(std::stoull(read(limit)), most + 5000);
    group.lift();
    EXPECT_EQ(read(limit), version == 1 ? "-1" : "max");
    group.allow(5000);
    EXPECT_EQ(read(limit), version == 1 ? "-1" : "max");
  }
}

TEST_F(MemoryGroups, AGroupThatCannotBeMadeIsNotUsed) {
  MemoryGroup nowhere({2, (root_ / "gone").string()}, 5);
  EXPECT_THAT(nowhere.limit(1000, 12).error().message, HasSubstr("mobula-5-12-1000"));
  const MemoryPlace no_files{2, make("plain").string()};
  EXPECT_FALSE(MemoryGroup(no_files, 5).limit(1000, 12).ok());
  EXPECT_TRUE(fs::is_empty(root_ / "plain"));  // taken away again
}

TEST_F(MemoryGroups, WhatTheKernelDidIsReadAfterADeath) {
  for (const int version : {1, 2}) {
    const std::string name = "dead" + std::to_string(version);
    const MemoryPlace at{version, make(name).string()};
    const std::string file = version == 1 ? "memory.oom_control" : "memory.events";
    write(make(name + "/mobula-5-12-4096") / file,
          version == 1 ? "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n" : "low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\n");
    write(make(name + "/mobula-5-123-4096") / file, "oom_kill 0\n");
    EXPECT_EQ(bury_memory_group(at, 6, 12), std::nullopt);
    EXPECT_EQ(bury_memory_group(at, 5, 12), 4096u);
    EXPECT_EQ(bury_memory_group(at, 5, 123), std::nullopt);
    EXPECT_EQ(bury_memory_group(at, 5, 1), std::nullopt);
  }
}

TEST_F(MemoryGroups, EmptyOnesAreSwept) {
  const MemoryPlace at{2, make("swept").string()};
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  ASSERT_EQ(waitpid(gone, nullptr, 0), gone);
  const std::string of_gone = fmt::format("swept/mobula-{}-1-1000", gone);
  const std::string own = fmt::format("swept/mobula-{}-1-1000", getpid());
  const std::vector<std::string> others{"swept/another", "swept/mobula-x", fmt::format("swept/mobula-{}", gone)};
  for (const std::string& group : others) make(group);
  for (const std::string& group : {of_gone, own}) make(group);
  sweep_memory_groups(at);
  EXPECT_FALSE(fs::exists(root_ / of_gone));
  EXPECT_TRUE(fs::exists(root_ / own));  // this process lives
  sweep_memory_groups(at, getpid());
  EXPECT_FALSE(fs::exists(root_ / own));
  for (const std::string& group : others) EXPECT_TRUE(fs::exists(root_ / group)) << group;
}

}  // namespace
}  // namespace mobula::process
