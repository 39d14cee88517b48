#pragma once

#include <map>
#include <memory>
#include <string>

#include "runtime/process/output.h"
#include "runtime/process/worker_start.h"
#include "runtime/process/zygote.h"

// What a test's worker does is chosen by the options' text; the name is a function of worker_roles.cc's table.
int run_worker(const mobula::process::WorkerStart& start);

// Registers a role; to be used at namespace scope, so that it exists in the worker too.
struct WorkerRole {
  WorkerRole(const std::string& name, mobula::process::WorkerEntry entry);
};

// Collects what a zygote reports, and the workers' output.
class Collector : public mobula::process::ZygoteEvents {
 public:
  void on_started(mobula::process::StartedWorker&& worker) override;
  void on_exited(const mobula::process::ExitedWorker& worker) override { exited.emplace(worker.pid, worker); }
  void on_fork_failed(std::uint32_t, std::uint32_t, int error) override { fork_error = error; }
  void on_gone(const std::string& reason) override { gone = reason; }

  // Handles events until `done` holds; false after ten seconds.
  template <class Done>
  bool run(mobula::process::Zygote& zygote, Done done);

  std::map<pid_t, mobula::process::StartedWorker> started;
  std::map<pid_t, mobula::process::ExitedWorker> exited;
  int fork_error = 0;
  std::string gone;
  std::string output;  // all workers' stdout, prefixed
  std::string errors;

 private:
  struct Lines {
    mobula::process::OutputLines output, errors;
  };
  bool step(mobula::process::Zygote& zygote, int timeout_ms);
  void drain(int fd, mobula::process::OutputLines& lines, std::string& to);
  std::map<pid_t, std::unique_ptr<Lines>> lines_;
};

template <class Done>
bool Collector::run(mobula::process::Zygote& zygote, Done done) {
  for (int waited = 0; waited < 1000; ++waited) {
    if (done()) return true;
    step(zygote, 10);
  }
  return done();
}
