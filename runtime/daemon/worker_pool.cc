#include "runtime/daemon/worker_pool.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/logger.h>
#include <sys/pidfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/process/crash.h"
#include "runtime/process/modules.h"

namespace mobula::daemon {
namespace {

// A zygote nobody has needed for this long is ended (programs come and go on a node that stays).
constexpr Duration zygote_keep = std::chrono::seconds(60);
// After a zygote that died before it was ready: time until the next try is reported as failed.
constexpr Duration failure_pause = std::chrono::milliseconds(200);

// Right even if the file has been replaced since this process began.
constexpr const char* own_program = "/proc/self/exe";

std::string hex(std::uint64_t id) {
  return fmt::format("{:016x}", id);
}

}  // namespace

struct WorkerPool::Program : process::ZygoteEvents {
  WorkerPool& pool;
  std::uint32_t number;
  wire::Program wire;
  std::string executable;
  std::unique_ptr<process::Zygote> zygote;
  std::unique_ptr<EventLoop::Watch> watch;
  std::size_t workers = 0;
  Time idle_since{};
  std::string broken;  // why its zygote cannot start; empty: it can
  // Of one whose file is not here (`executable` is empty): what is in its place, why it did not come, who waits for it.
  std::string absent, missing;
  std::vector<net::Peer> waiting;

  Program(WorkerPool& owner, std::uint32_t index, wire::Program program, std::string file)
      : pool(owner), number(index), wire(std::move(program)), executable(std::move(file)) {}

  void on_started(process::StartedWorker&& started) override;
  void on_exited(const process::ExitedWorker& exited) override;
  void on_fork_failed(std::uint32_t slot, std::uint32_t generation, int error) override;
  void on_gone(const std::string& reason) override;
};

struct WorkerPool::Worker {
  net::Peer peer;
  std::uint32_t program = 0;
  bool killed_here = false;
  process::StartedWorker process;  // pid 0: not started yet
  struct Stream {
    std::unique_ptr<process::OutputLines> lines;
    std::unique_ptr<EventLoop::Watch> watch;
  };
  std::array<Stream, 2> streams;

  int fd(int stream) const { return stream == 1 ? process.output.get() : process.errors.get(); }
};

WorkerPool::WorkerPool(EventLoop& loop, net::Segment& segment, WorkerSetup setup, std::shared_ptr<spdlog::logger> log,
                       WorkerPoolEvents& events, ProgramStore* programs)
    : loop_(loop),
      segment_(segment),
      setup_(std::move(setup)),
      log_(std::move(log)),
      events_(events),
      store_(programs) {
  sweep_memory_groups(0);  // of those who were killed with their node
  if (store_ == nullptr) return;
  store_->ask_in_use([this](const std::string& build_id) {
    return std::ranges::any_of(programs_, [&](const auto& program) {
      return program->wire.build_id == build_id && (program->zygote || program->workers > 0);
    });
  });
}

WorkerPool::~WorkerPool() {
  if (store_ != nullptr) store_->ask_in_use({});
  for (auto& program : programs_) {
    program->watch.reset();
    program->zygote.reset();
  }
  for (auto& [slot, worker] : workers_) {
    if (worker->process.pid != 0) finish_output(*worker);
  }
  sweep_memory_groups(setup_.node_pid);
}

void WorkerPool::sweep_memory_groups(pid_t node) {
  if (!memory_place_) {
    // (Where a worker has made it possible since, it is possible now.)
    if (const Result<process::MemoryPlace> place = process::memory_place(false); place.ok()) memory_place_ = *place;
  }
  if (memory_place_) process::sweep_memory_groups(*memory_place_, node);
}

// `absent`: what is in its place at its path, if it is not there.
std::string WorkerPool::find_file(const wire::Program& wanted, std::string& absent) const {
  if (wanted.build_id == hex(process::build_id_of_program())) return own_program;
  try {
    const std::string found = hex(process::build_id_of_file(wanted.path));
    if (found == wanted.build_id) return wanted.path;
    absent = fmt::format("its build-id here is {}, the driver runs {}", found, wanted.build_id);
  } catch (const std::runtime_error& error) {
    absent = fmt::format("{} (wanted: build-id {})", error.what(), wanted.build_id);
  }
  return store_ != nullptr ? store_->cached(wanted.build_id) : std::string();
}

Result<std::uint32_t> WorkerPool::open_program(const wire::Program& wanted) {
  for (const auto& program : programs_) {
    if (program->wire != wanted) continue;
    if (!program->broken.empty()) {
      return Error{.code = ErrorCode::unavailable,
                   .message = fmt::format("cannot start workers of {} on this node: {}", wanted.path, program->broken),
                   .node = setup_.node_name};
    }
    return program->number;
  }
  std::string absent;
  std::string executable = find_file(wanted, absent);
  if (executable.empty() && (store_ == nullptr || !is_build_id(wanted.build_id))) {
    return Error{.code = ErrorCode::build_mismatch,
                 .message = fmt::format(
                     "cannot start workers of {} on this node: {}; install the same file at this path on all machines",
                     wanted.path, absent),
                 .node = setup_.node_name};
  }
  const auto number = static_cast<std::uint32_t>(programs_.size());
  programs_.push_back(std::make_unique<Program>(*this, number, wanted, std::move(executable)));
  programs_.back()->absent = std::move(absent);
  if (store_ != nullptr && !programs_.back()->executable.empty())
    store_->know(wanted.build_id, programs_.back()->executable);
  return number;
}

std::vector<std::string> WorkerPool::take_wanted() {
  return std::exchange(wanted_, {});
}

void WorkerPool::program_here(const std::string& build_id, const std::string& file) {
  for (auto& program : programs_) {
    if (program->wire.build_id != build_id || !program->executable.empty()) continue;
    program->executable = file;
    store_->know(build_id, file);
    warm_up(program->number);
    for (const net::Peer& worker : std::exchange(program->waiting, {})) {
      if (program->zygote) {
        program->zygote->fork_worker(worker.slot, worker.generation);
      } else {
        fail_start(worker);
      }
    }
  }
}

void WorkerPool::program_missing(const std::string& build_id, const std::string& why) {
  for (auto& program : programs_) {
    if (program->wire.build_id != build_id || !program->executable.empty()) continue;
    program->missing = fmt::format("{}, and {}", program->absent, why);
    for (const net::Peer& worker : std::exchange(program->waiting, {})) fail_start(worker);
  }
}

void WorkerPool::fail_start(const net::Peer& worker) {
  failed_.push_back(worker);
  failed_due_ = std::min(failed_due_, steady_now() + failure_pause);
}

void WorkerPool::start_zygote(Program& program) {
  process::ZygoteOptions options;
  options.program = program.executable;
  options.name = program.wire.path;
  options.inherited = worker_descriptors(setup_);
  options.options = worker_options(setup_);
  program.zygote = process::Zygote::start(options);
  program.idle_since = steady_now();
  program.watch = loop_.watch(program.zygote->fd(), [this, &program] { poll_zygote(program); });
}

void WorkerPool::look_at_file(Program& program) {
  if (store_ == nullptr || program.executable.empty()) return;
  std::string found = find_file(program.wire, program.absent);
  if (found == program.executable) return;
  log_->info("{} is no longer the file of build-id {}{}", program.executable, program.wire.build_id,
             found.empty() ? ": it is fetched again" : "");
  program.executable = std::move(found);
  program.missing.clear();
  if (program.executable.empty()) {
    store_->forget(program.wire.build_id);
  } else {
    store_->know(program.wire.build_id, program.executable);
  }
}

void WorkerPool::warm_up(std::uint32_t number) {
  Program& program = *programs_.at(number);
  if (program.zygote || !program.broken.empty()) return;
  look_at_file(program);
  if (program.executable.empty()) return;
  try {
    start_zygote(program);
  } catch (const std::runtime_error& error) {
    look_at_file(program);  // it may have gone just now
    if (program.executable.empty()) return;
    program.broken = error.what();
    log_->error("{}", program.broken);
  }
}

void WorkerPool::start_worker(std::uint32_t number, const net::Peer& slot) {
  Program& program = *programs_.at(number);
  warm_up(number);
  auto worker = std::make_unique<Worker>();
  worker->peer = slot;
  worker->program = number;
  workers_[slot.slot] = std::move(worker);
  ++program.workers;
  if (program.zygote) {
    program.zygote->fork_worker(slot.slot, slot.generation);
  } else if (program.executable.empty()) {
    // Each time: whoever asks now may have the file, and those who were asked may not.
    if (std::ranges::find(wanted_, program.wire.build_id) == wanted_.end()) wanted_.push_back(program.wire.build_id);
    program.waiting.push_back(slot);
  } else {
    fail_start(slot);
  }
}

void WorkerPool::kill(const net::Peer& peer) {
  const auto at = workers_.find(peer.slot);
  if (at == workers_.end() || at->second->peer != peer) return;
  Worker& worker = *at->second;
  worker.killed_here = true;
  if (worker.process.pidfd.valid()) syscall(SYS_pidfd_send_signal, worker.process.pidfd.get(), SIGKILL, nullptr, 0);
}

void WorkerPool::ask_stack(const net::Peer& peer) {
  const auto at = workers_.find(peer.slot);
  if (at == workers_.end() || at->second->peer != peer || !at->second->process.pidfd.valid()) return;
  const auto area = segment_.crash_area(peer.slot);
  if (const auto before = process::read_crash(area); before && before->signal != process::stack_signal) return;
  process::clear_crash(area);
  syscall(SYS_pidfd_send_signal, at->second->process.pidfd.get(), process::stack_signal, nullptr, 0);
}

std::string WorkerPool::stack(const net::Peer& peer) const {
  const auto at = workers_.find(peer.slot);
  if (at == workers_.end() || at->second->peer != peer) return {};
  const auto found = process::read_crash(segment_.crash_area(peer.slot));
  if (!found || found->signal != process::stack_signal) return {};
  const Program& program = *programs_[at->second->program];
  return process::describe_crash(
      *found, program.zygote ? fmt::format("/proc/{}/exe", program.zygote->pid()) : program.wire.path);
}

std::string WorkerPool::program_of(const net::Peer& peer) const {
  const auto at = workers_.find(peer.slot);
  return at == workers_.end() || at->second->peer != peer ? std::string() : programs_[at->second->program]->wire.path;
}

void WorkerPool::poll_zygote(Program& program) {
  if (program.zygote && !program.zygote->poll(program)) {
    program.watch.reset();
    program.zygote.reset();
  }
}

void WorkerPool::Program::on_started(process::StartedWorker&& started) {
  const auto at = pool.workers_.find(started.slot);
  if (at == pool.workers_.end() || at->second->peer.generation != started.generation) return;
  Worker& worker = *at->second;
  const std::uint64_t token = started.output_token;
  worker.process = std::move(started);
  for (int stream : {1, 2}) {
    auto& [lines, lines_watch] = worker.streams[static_cast<std::size_t>(stream - 1)];
    lines = std::make_unique<process::OutputLines>(token, worker.process.pid);
    lines_watch = pool.loop_.watch(worker.fd(stream), [this, &worker, stream] { pool.read_output(worker, stream); });
    if (pool.paused_) lines_watch->pause();
  }
  pool.segment_.set_pid(worker.peer, worker.process.pid);
  pool.events_.worker_started(worker.peer, worker.process.pid);
  if (worker.killed_here) pool.kill(worker.peer);
}

void WorkerPool::Program::on_exited(const process::ExitedWorker& exited) {
  const auto at = pool.workers_.find(exited.slot);
  if (at == pool.workers_.end() || at->second->peer.generation != exited.generation) return;
  pool.finished(exited.slot, pool.explain(*this, *at->second, exited.pid, exited.status));
}

void WorkerPool::Program::on_fork_failed(std::uint32_t slot, std::uint32_t generation, int error) {
  const auto at = pool.workers_.find(slot);
  if (at == pool.workers_.end() || at->second->peer.generation != generation) return;
  pool.log_->error("cannot fork a worker of {}: {}", wire.path, std::strerror(error));
  // Reported after a pause: what is short of processes or memory must not be asked again at once.
  pool.fail_start(at->second->peer);
}

void WorkerPool::Program::on_gone(const std::string& reason) {
  pool.log_->error("{}", reason);
  if (!zygote->ready()) {
    pool.look_at_file(*this);  // it may have gone just now
    if (!executable.empty()) broken = reason;
  }
  std::vector<Worker*> orphans;
  for (auto& [slot, worker] : pool.workers_) {
    if (worker->program == number) orphans.push_back(worker.get());
  }
  for (Worker* worker : orphans) {
    if (worker->process.pid == 0) {
      pool.fail_start(worker->peer);
      continue;
    }
    // The kernel kills it with its zygote; it is reported dead once it is, so that no task runs twice at a time.
    syscall(SYS_pidfd_send_signal, worker->process.pidfd.get(), SIGKILL, nullptr, 0);
    pollfd dead{worker->process.pidfd.get(), POLLIN, 0};
    ::poll(&dead, 1, 1000);
    wire::ProcessDeath death;
    death.pid = worker->process.pid;
    death.signal = SIGKILL;
    death.description = "killed because " + reason;
    pool.finished(worker->peer.slot, std::move(death));
  }
}

wire::ProcessDeath WorkerPool::explain(const Program& program, const Worker& worker, std::int32_t pid, int status) {
  wire::ProcessDeath death;
  death.pid = pid;
  if (WIFSIGNALED(status)) {
    death.signal = WTERMSIG(status);
    const char* name = sigabbrev_np(death.signal);
    death.description =
        name != nullptr ? fmt::format("killed by SIG{}", name) : fmt::format("killed by signal {}", death.signal);
  } else {
    death.exit_status = WEXITSTATUS(status);
    death.description = fmt::format("exited with status {}", death.exit_status);
  }
  if (!memory_place_) sweep_memory_groups(0);
  if (const auto limit =
          memory_place_ ? process::bury_memory_group(*memory_place_, setup_.node_pid, pid) : std::nullopt) {
    if (death.signal == SIGKILL && !worker.killed_here) {
      death.over_limit = true;
      death.out_of_memory = fmt::format(
          "the process (pid {}) and its children reached the memory limit of {} bytes (Options::memory_limit), and the "
          "kernel killed it: give it more, or let it use less",
          pid, *limit);
    }
  }
  const auto crash = process::read_crash(segment_.crash_area(worker.peer.slot));
  if (crash && crash->signal != process::stack_signal) {
    // The zygote's own file: right even if the program has been rebuilt since.
    const std::string file = program.zygote ? fmt::format("/proc/{}/exe", program.zygote->pid()) : program.wire.path;
    death.backtrace = process::describe_crash(*crash, file);
    if (crash->address != 0) death.description += fmt::format(" at address {:#x}", crash->address);
  }
  return death;
}

void WorkerPool::finished(std::uint32_t slot, wire::ProcessDeath death) {
  const auto at = workers_.find(slot);
  const std::unique_ptr<Worker> worker = std::move(at->second);
  workers_.erase(at);
  if (worker->process.pid != 0) finish_output(*worker);
  Program& program = *programs_[worker->program];
  --program.workers;
  program.idle_since = steady_now();
  events_.worker_exited(worker->peer, death);
}

void WorkerPool::finish_output(Worker& worker) {
  for (int stream : {1, 2}) {
    read_output(worker, stream);
    const auto& lines = worker.streams[static_cast<std::size_t>(stream - 1)].lines;
    if (!lines) continue;
    std::string rest;
    lines->finish(rest);
    if (!rest.empty()) events_.worker_printed(worker.peer, stream, rest);
  }
}

void WorkerPool::read_output(Worker& worker, int stream) {
  auto& [lines, watch] = worker.streams[static_cast<std::size_t>(stream - 1)];
  if (!lines) return;
  std::array<char, 16 * 1024> buffer;
  std::string text;
  bool ended = false;
  // Bounded, so that one worker that prints without end does not keep the loop from the others.
  for (int i = 0; i < 16; ++i) {
    const ssize_t size = read(worker.fd(stream), buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    ended = size == 0;
    if (size <= 0) break;
    lines->feed({buffer.data(), static_cast<std::size_t>(size)}, text);
  }
  if (!text.empty()) events_.worker_printed(worker.peer, stream, text);
  if (ended && watch) watch->pause();
  if (events_.output_congested() && !paused_) {
    paused_ = true;
    resume_at_ = steady_now() + std::chrono::milliseconds(10);
    for (auto& [slot, other] : workers_) {
      for (auto& other_stream : other->streams) {
        if (other_stream.watch) other_stream.watch->pause();
      }
    }
  }
}

void WorkerPool::on_timer(Time now) {
  if (now >= failed_due_) {
    failed_due_ = never;
    const auto failed = std::exchange(failed_, {});
    for (const net::Peer& peer : failed) {
      wire::ProcessDeath death;
      const auto at = workers_.find(peer.slot);
      if (at == workers_.end() || at->second->peer != peer) continue;
      const Program& program = *programs_[at->second->program];
      const std::string& why = program.broken.empty() ? program.missing : program.broken;
      death.description = "could not be started" + (why.empty() ? std::string() : ": " + why);
      finished(peer.slot, std::move(death));
    }
  }
  if (paused_ && now >= resume_at_) {
    if (events_.output_congested()) {
      resume_at_ = now + std::chrono::milliseconds(10);
    } else {
      paused_ = false;
      resume_at_ = never;
      for (auto& [slot, worker] : workers_) {
        for (auto& stream : worker->streams) {
          if (stream.watch) stream.watch->resume();
        }
      }
    }
  }
  for (auto& program : programs_) {
    // The first program is the driver's own in an embedded node, and the one expected next.
    if (program->number == 0 || !program->zygote || program->workers > 0 || now < program->idle_since + zygote_keep)
      continue;
    program->watch.reset();
    program->zygote.reset();
  }
}

Time WorkerPool::next_timer() const {
  Time next = std::min(failed_due_, resume_at_);
  for (const auto& program : programs_) {
    if (program->number != 0 && program->zygote && program->workers == 0)
      next = std::min(next, program->idle_since + zygote_keep);
  }
  return next;
}

}  // namespace mobula::daemon
