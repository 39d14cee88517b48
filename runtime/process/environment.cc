#include "runtime/process/environment.h"

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>

extern char** environ;

namespace mobula::process {
namespace {

// Private, writable bytes of this process, as RLIMIT_DATA counts them.
std::uint64_t data_bytes() {
  std::uint64_t pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "r")) {
    // The sixth number is data and stack.
    if (std::fscanf(file, "%*u %*u %*u %*u %*u %lu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  return pages * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

Result<void> Environment::enter(const Surroundings& wanted) {
  leave();
  if (!wanted.directory.empty()) {
    Fd before(open(".", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (chdir(wanted.directory.c_str()) != 0) {
      return Error{.code = ErrorCode::invalid,
                   .message = fmt::format("working_dir '{}' cannot be entered on this node: {}. Give a folder that "
                                          "exists on every node where this may run",
                                          wanted.directory, std::strerror(errno))};
    }
    directory_ = std::move(before);
  }
  variables_.clear();
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) variables_.emplace_back(*entry);
  for (const auto& [name, value] : wanted.variables) setenv(name.c_str(), value.c_str(), 1);
  if (wanted.memory != 0) {
    malloc_trim(0);  // what earlier tasks left free is not lent to this one
    getrlimit(RLIMIT_DATA, &limit_);
    limited_to_ = std::min<rlim_t>(limit_.rlim_max, data_bytes() + wanted.memory);
    memory_ = wanted.memory;
    confine(wanted.memory);
  }
  entered_ = true;
  return {};
}

void Environment::leave() {
  if (!entered_) return;
  entered_ = false;
  if (memory_ != 0 && group_) group_->lift();
  memory_ = 0;
  clearenv();
  for (const std::string& variable : variables_) {
    const std::size_t equals = variable.find('=');
    if (equals == std::string::npos) continue;
    setenv(variable.substr(0, equals).c_str(), variable.c_str() + equals + 1, 1);
  }
  variables_.clear();
  if (directory_.valid()) {
    // The folder may have become unreadable, or another one have taken its name: by descriptor it is still the same.
    if (fchdir(directory_.get()) != 0) std::abort();  // rather no worker than one in the wrong place
    directory_.reset();
  }
}

void Environment::confine(std::uint64_t bytes) {
  if (node_ == 0) return;
  if (!group_) {
    Result<MemoryPlace> place = memory_place(true);
    if (!place.ok()) return;
    group_.emplace(*std::move(place), node_);
  }
  (void)group_->limit(bytes, getpid());  // where that fails the limit of the process has to do
}

std::uint64_t Environment::limit_memory() {
  if (memory_ == 0) return 0;
  if (limiting_++ == 0) {
    const rlimit limit{limited_to_, limit_.rlim_max};
    setrlimit(RLIMIT_DATA, &limit);
  }
  return memory_;
}

void Environment::lift_limit() {
  if (--limiting_ == 0) setrlimit(RLIMIT_DATA, &limit_);
}

}  // namespace mobula::process
