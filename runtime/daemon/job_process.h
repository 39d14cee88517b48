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

// A program that was started; whoever has it reaps it.
struct JobProcess {
  pid_t pid = 0;               // and the number of its session
  process::Fd output, errors;  // read ends of its stdout and stderr, not blocking
};

// Runs it in a session of its own, with signals as a shell leaves them and nothing on its standard input. The kernel
// ends it (SIGKILL) when the calling thread ends, of whatever: no job outlives the daemon that answers for it.
Result<JobProcess> start_job(const JobCommand& command);

}  // namespace mobula::daemon
