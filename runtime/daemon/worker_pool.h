#pragma once

#include <spdlog/fwd.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/daemon/event_loop.h"
#include "runtime/daemon/program_store.h"
#include "runtime/daemon/worker_setup.h"
#include "runtime/net/segment.h"
#include "runtime/process/memory_group.h"
#include "runtime/process/output.h"
#include "runtime/process/zygote.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

// What the pool reports. Called from poll() and from the loop's events, never from within the other methods of the
// pool.
class WorkerPoolEvents {
 public:
  virtual void worker_started(const net::Peer& worker, std::int32_t pid) = 0;
  // All of its output was handed over, its crash report is in `death`. Its slot is still taken.
  virtual void worker_exited(const net::Peer& worker, const wire::ProcessDeath& death) = 0;
  // Whole lines with their prefix. `stream` is 1 or 2.
  virtual void worker_printed(const net::Peer& worker, int stream, std::string_view lines) = 0;
  // Whether output is to be left in the workers' pipes for now.
  virtual bool output_congested() const = 0;

 protected:
  ~WorkerPoolEvents() = default;
};

// The worker processes of a node: for each program one zygote, and what becomes of the processes forked from it.
class WorkerPool {
 public:
  // With `programs`, a program whose file is not here is looked for there, and else wanted (take_wanted()); without,
  // it cannot run.
  WorkerPool(EventLoop& loop, net::Segment& segment, WorkerSetup setup, std::shared_ptr<spdlog::logger> log,
             WorkerPoolEvents& events, ProgramStore* programs = nullptr);
  // Ends all workers and zygotes; nothing is reported about them but what they printed last.
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // A number for start_worker, or why no worker of this program can run here: no such file, another build.
  Result<std::uint32_t> open_program(const wire::Program& program);
  // Starts the program's zygote ahead of its first worker.
  void warm_up(std::uint32_t program);
  // Asks for a process in this slot. Answered by worker_started or worker_exited, later.
  void start_worker(std::uint32_t program, const net::Peer& slot);
  // Build-ids that workers wait for, once more with each of them. Answered by program_here or program_missing.
  std::vector<std::string> take_wanted();
  void program_here(const std::string& build_id, const std::string& file);
  // Its workers end before they are started, for this reason. It is wanted again with the next one.
  void program_missing(const std::string& build_id, const std::string& why);
  // SIGKILL, as soon as it is started.
  void kill(const net::Peer& worker);

  // Makes the worker write down where its first thread is; stack() has it a moment later, for people.
  void ask_stack(const net::Peer& worker);
  std::string stack(const net::Peer& worker) const;
  std::string program_of(const net::Peer& worker) const;

  // Reports what could not be reported at once, reads output again after congestion, ends zygotes that are long unused.
  void on_timer(Time now);
  Time next_timer() const;

 private:
  struct Program;
  struct Worker;
  void start_zygote(Program& program);
  std::string find_file(const wire::Program& wanted, std::string& absent) const;
  /// Its file may be gone, or of another build by now: then it is one whose file is not here.
  void look_at_file(Program& program);
  void fail_start(const net::Peer& worker);
  void poll_zygote(Program& program);
  /// What is still in its pipes, the last line without its end included.
  void finish_output(Worker& worker);
  void read_output(Worker& worker, int stream);
  void finished(std::uint32_t slot, wire::ProcessDeath death);
  void sweep_memory_groups(pid_t node);
  wire::ProcessDeath explain(const Program& program, const Worker& worker, std::int32_t pid, int status);

  EventLoop& loop_;
  net::Segment& segment_;
  const WorkerSetup setup_;
  const std::shared_ptr<spdlog::logger> log_;
  WorkerPoolEvents& events_;
  std::optional<process::MemoryPlace> memory_place_;  // where workers with a limit have groups of their own
  ProgramStore* const store_;
  std::vector<std::unique_ptr<Program>> programs_;
  std::map<std::uint32_t, std::unique_ptr<Worker>> workers_;  // by slot
  std::vector<std::string> wanted_;
  std::vector<net::Peer> failed_;  // never started; to be reported from on_timer
  Time failed_due_ = never;
  bool paused_ = false;
  Time resume_at_ = never;
};

}  // namespace mobula::daemon
