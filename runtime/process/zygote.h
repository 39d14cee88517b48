#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runtime/process/fd.h"

namespace mobula::process {

struct ZygoteOptions {
  std::string program = "/proc/self/exe";  // file to execute; it must call mobula::init first
  std::string name;                        // argv[0] of the zygote and its workers; the program's path if empty
  std::vector<int> inherited;              // descriptors every worker gets, in this order; duplicated, not taken over
  std::string options;                     // text every worker gets (WorkerStart::options)
};

// One worker process, as its node sees it. The pidfd makes signals safe against a reused pid.
struct StartedWorker {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  pid_t pid = 0;
  Fd pidfd;
  Fd output;  // read ends of the worker's stdout and stderr, not blocking
  Fd errors;
  std::uint64_t output_token = 0;  // see OutputLines
};

struct ExitedWorker {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  pid_t pid = 0;
  int status = 0;  // as waitpid() reports it
};

class ZygoteEvents {
 public:
  virtual ~ZygoteEvents() = default;
  virtual void on_started(StartedWorker&& worker) = 0;
  virtual void on_exited(const ExitedWorker& worker) = 0;
  // fork() failed: `error` is its errno.
  virtual void on_fork_failed(std::uint32_t slot, std::uint32_t generation, int error) = 0;
  // The zygote is gone. Its workers are dead or dying (the kernel kills them); nothing further is reported about them.
  virtual void on_gone(const std::string& reason) = 0;
};

// A zygote: a program executed once, single-threaded, from which workers are forked. This end is used from one thread,
// that of the node's loop; no call blocks but start() (for the execution, some 1 ms) and the destructor.
//
// The zygote and its workers ignore SIGINT and stay in the caller's session. They end when this object is destroyed,
// and when the calling process dies of anything, SIGKILL included: the zygote watches a pidfd of it, the kernel ends
// the workers when the zygote ends.
class Zygote {
 public:
  // Throws std::runtime_error naming the program if it cannot be executed.
  static std::unique_ptr<Zygote> start(const ZygoteOptions& options);

  // Kills what is left of the workers, then reaps the zygote. Takes at most `grace` if the zygote does not answer (it
  // is killed then).
  ~Zygote();
  Zygote(const Zygote&) = delete;
  Zygote& operator=(const Zygote&) = delete;

  pid_t pid() const { return pid_; }
  // Readable when poll() has something to do.
  int fd() const { return socket_.get(); }
  // Asks for a worker. Answered by on_started or on_fork_failed.
  void fork_worker(std::uint32_t slot, std::uint32_t generation);
  // Handles all that has arrived. Returns false once the zygote is gone (after on_gone).
  bool poll(ZygoteEvents& events);
  // Whether fork requests wait for room in the socket; call poll() again when it is writable.
  bool wants_write() const { return !pending_.empty(); }
  // Whether the program has reached mobula::init and can fork.
  bool ready() const { return ready_; }

  std::chrono::milliseconds grace{500};

 private:
  Zygote(pid_t pid, Fd socket, std::string program);
  void flush();

  const pid_t pid_;
  Fd socket_;
  const std::string program_;
  struct Request {
    std::uint32_t slot;
    std::uint32_t generation;
  };
  std::vector<Request> pending_;
  bool ready_ = false;
  bool gone_ = false;
  bool reaped_ = false;
};

}  // namespace mobula::process
