#pragma once

#include <cstdint>
#include <string>

namespace mobula {

/// How full one of the memories is that this process and its children live in: the machine's, or that of a cgroup
/// around it (of either version). What can be reclaimed at once, such as files that were read, does not count as used.
struct MemoryUse {
  std::uint64_t used = 0;
  std::uint64_t limit = 0;
  std::string where;  // "this machine", "the cgroup /slice/job"
};

/// The fullest of them. `root` stands in front of /proc and /sys (a test's own copy of them). A limit of 0: nothing
/// could be read.
MemoryUse fullest_memory(const std::string& root = "");

/// Bytes that this process and its children can still use: what the system calls available, and no more than any of the
/// cgroups around it leaves.
std::uint64_t available_memory(const std::string& root = "");

/// Bytes of the process's own that it has in memory, without what it shares with others (the object arena); 0 if it is
/// not there.
std::uint64_t private_memory(int pid);

}  // namespace mobula
