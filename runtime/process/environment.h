// What a task or an actor may ask of the process that it runs in, and how that process becomes again what it was.
#pragma once

#include <sys/resource.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/process/fd.h"
#include "runtime/process/memory_group.h"

namespace mobula::process {

struct Surroundings {
  std::map<std::string, std::string> variables;  // set beside those that there are
  std::string directory;                         // empty: the process's own
  std::uint64_t memory = 0;                      // bytes of private memory beyond what the process has now; 0: no limit

  bool any() const { return !variables.empty() || !directory.empty() || memory != 0; }
  template <class A>
  void serialize(A& a) {
    a(variables, directory, memory);
  }
  bool operator==(const Surroundings&) const = default;
};

// The surroundings of this process. One at a time, by the thread that runs the code that wants them: variables and
// directory belong to the whole process.
class Environment {
 public:
  // `node`: the process is a worker of that process, and with a limit on memory goes into a group of its own where
  // there can be one (memory_group.h), so that what the limit of the process does not count is limited too: its
  // children, memory that they share, files in memory.
  explicit Environment(pid_t node = 0) : node_(node) {}

  // Takes them on; from here to leave() the process is changed. Fails with `invalid`, and changes nothing, where the
  // directory cannot be entered.
  Result<void> enter(const Surroundings& wanted);
  // Everything is as it was before enter(), whatever the code did in between: variables (all of them, in order), the
  // directory, the limit.
  void leave();
  bool entered() const { return entered_; }

  // The limit counts only while code of the user's runs, so that what comes after it never fails for lack of memory.
  // (It is RLIMIT_DATA: private memory that can be written. RLIMIT_AS would count the shared arena.) limit_memory()
  // gives Surroundings::memory, or 0 and then does nothing. Calls of several threads nest.
  std::uint64_t limit_memory();
  void lift_limit();
  // So many bytes of the arena will be taken from the system by this process, and do not count. Any thread.
  void allow_shared(std::uint64_t bytes) {
    if (group_) group_->allow(bytes);
  }

 private:
  void confine(std::uint64_t bytes);

  const pid_t node_;                  // 0: not a worker
  std::optional<MemoryGroup> group_;  // once it was needed; by the thread that enters
  bool entered_ = false;
  std::vector<std::string> variables_;  // as they were: NAME=VALUE
  Fd directory_;                        // as it was; invalid: not changed
  rlimit limit_{};                      // as it was
  rlim_t limited_to_ = 0;
  std::uint64_t memory_ = 0;       // 0: no limit
  std::atomic<int> limiting_ = 0;  // threads that run under it
};

}  // namespace mobula::process
