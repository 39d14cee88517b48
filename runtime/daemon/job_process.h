#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/process/fd.h"

namespace mobula::daemon {

struct JobCommand {
  std::filesystem::path file;            // to execute
  std::vector<std::string> words;        // its name and arguments
  std::vector<std::string> environment;  // "NAME=VALUE", all of it
  std::filesystem::path folder;          // to run in
};

// A process that ends a group of processes (SIGKILL) when this one ends, of whatever. Its destructor ends the guard
// alone: after whatever of the group shall end, and before the number of the group can be another's.
class JobGuard {
 public:
  JobGuard() = default;
  /// An error when there is no room for another process.
  static Result<JobGuard> start(pid_t group);
  JobGuard(JobGuard&& other) noexcept;
  JobGuard& operator=(JobGuard&& other) noexcept;
  ~JobGuard() { end(); }
  void end();

 private:
  pid_t pid_ = 0;
  process::Fd alive_;  // the guard reads its end
};

// A program that was started; whoever has it reaps it.
struct JobProcess {
  pid_t pid = 0;               // and the number of its session
  process::Fd output, errors;  // read ends of its stdout and stderr, not blocking
  JobGuard guard;              // of what it starts, too
};

// Runs it in a session of its own, with signals as a shell leaves them and nothing on its standard input. The kernel
// ends it (SIGKILL) when the calling thread ends, of whatever, and its guard what it has started (but for those that
// made themselves a session or group of their own): no job outlives the daemon that answers for it.
Result<JobProcess> start_job(const JobCommand& command);

}  // namespace mobula::daemon
