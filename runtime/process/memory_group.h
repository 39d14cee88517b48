// A limit on all the memory of a process and its children, where the kernel's cgroups (version 1 or 2) can be written:
// the process goes into a child of its own group. Whoever takes more is killed by the kernel; its node sees that and
// says why.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <mobula/result.h>

namespace mobula::process {

// Where the memory of a process is counted.
struct MemoryPlace {
  int version = 0;        // of cgroups
  std::string directory;  // of its group
  bool operator==(const MemoryPlace&) const = default;
};

// From /proc/self/cgroup and /proc/self/mountinfo. Fails with `unavailable` where no group counts memory, or where none
// of its children could be limited, and says why. `prepare`: a group of version 2 is told to share out memory, where it
// does not yet. `root` is put before all paths.
Result<MemoryPlace> memory_place(std::string_view cgroup, std::string_view mountinfo, bool prepare,
                                 const std::string& root = {});
// Of this process.
Result<MemoryPlace> memory_place(bool prepare);

// A process's own group: place.directory/mobula-NODE-PID-LIMIT, NODE being the process id of the node that buries it.
class MemoryGroup {
 public:
  MemoryGroup(MemoryPlace place, pid_t node) : place_(std::move(place)), node_(node) {}

  // This process (if it is not there yet) goes into its group, which may take `bytes` more than it has now. A group
  // that it made before for another limit is left.
  Result<void> limit(std::uint64_t bytes, pid_t process);
  // So many bytes of shared memory will be charged to it, and do not count. Any thread.
  void allow(std::uint64_t bytes);
  // Without a limit from here on; the process stays in it.
  void lift();

 private:
  Result<void> write(const char* file, const std::string& text) const;
  void write_limit() const;

  const MemoryPlace place_;
  const pid_t node_;
  std::mutex mutex_;
  std::string directory_;   // empty: none
  std::uint64_t most_ = 0;  // what the group may take now; 0: anything
};

// After the death of a worker of `node`: removes its group. Returns the limit if the kernel killed it, or one of its
// children, for reaching that.
std::optional<std::uint64_t> bury_memory_group(const MemoryPlace& place, pid_t node, pid_t process);
// Removes the groups in which no process is left, of `node` and of nodes that are gone: one that lives has yet to read
// in its own what became of its workers.
void sweep_memory_groups(const MemoryPlace& place, pid_t node = 0);

}  // namespace mobula::process
