// The zygote's and the worker's side: what init_zygote_if_marked() does in a process that carries the mark.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "runtime/base/fault_point.h"
#include "runtime/process/crash.h"
#include "runtime/process/fd.h"
#include "runtime/process/output.h"
#include "runtime/process/worker_start.h"
#include "runtime/process/zygote_protocol.h"

namespace mobula::process {
namespace {

using protocol::Event;
using protocol::Kind;

bool initialised_ = false;
std::string program_name_;

int children_died_fd = -1;  // for the signal handler

struct Child {
  pid_t pid;
  std::uint32_t slot;
  std::uint32_t generation;
};

int count_threads() {
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == nullptr) return 1;
  int threads = 0;
  while (const dirent* entry = readdir(tasks)) threads += entry->d_name[0] != '.';
  closedir(tasks);
  return threads;
}

[[noreturn]] void serve_as_worker(WorkerEntry entry, const WorkerStart& start, std::uint64_t token) {
  prctl(PR_SET_NAME, "mobula-worker");
  // A pipe would make stdout fully buffered, and a line printed before a crash would be lost.
  std::setvbuf(stdout, nullptr, _IOLBF, 1 << 16);
  start_output(token);
  const int status = entry(start);
  std::cout.flush();
  std::cerr.flush();
  std::fflush(nullptr);
  _exit(status);
}

// The kernel ends the worker with the zygote. (The signal fires when the forking *thread* ends; the zygote has only
// one.)
void die_with(pid_t zygote) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != zygote) _exit(1);
}

class ZygoteLoop {
 public:
  ZygoteLoop(WorkerEntry entry, std::string name, int inherited, std::string options, int threads)
      : entry_(entry), name_(std::move(name)), options_(std::move(options)), threads_(threads), pid_(getpid()) {
    for (int i = 0; i < inherited; ++i) fds_.push_back(protocol::first_inherited_fd + i);
    // (A signalfd would miss what another thread of this process is given.)
    children_died_.reset(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    children_died_fd = children_died_.get();
    struct sigaction action {};
    action.sa_handler = [](int) {
      const int error = errno;
      const std::uint64_t one = 1;
      static_cast<void>(!write(children_died_fd, &one, sizeof(one)));
      errno = error;
    };
    action.sa_flags = SA_RESTART | SA_NOCLDSTOP;
    sigaction(SIGCHLD, &action, nullptr);
  }

  [[noreturn]] void run() {
    send_event({Kind::ready, 0, 0, pid_, threads_, 0, 0}, {});
    for (;;) {
      std::array<pollfd, 3> watched = {pollfd{protocol::socket_fd, POLLIN, 0}, pollfd{protocol::parent_fd, POLLIN, 0},
                                       pollfd{children_died_.get(), POLLIN, 0}};
      if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR) end();
      if (watched[2].revents != 0) reap();
      if (watched[1].revents != 0) end();
      if (watched[0].revents != 0) take_requests();
    }
  }

 private:
  void take_requests() {
    std::array<protocol::ForkRequest, protocol::max_requests> requests;
    const ssize_t size = recv(protocol::socket_fd, requests.data(), sizeof(requests), 0);
    if (size <= 0) {
      if (size < 0 && errno == EINTR) return;
      end();
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(size) / sizeof(requests[0]); ++i) fork_worker(requests[i]);
  }

  void fork_worker(const protocol::ForkRequest& request) {
    fault_point("zygote.asked");
    int output[2], errors[2];
    if (pipe2(output, O_CLOEXEC) != 0) return fail(request, errno);
    Fd output_read(output[0]), output_write(output[1]);
    if (pipe2(errors, O_CLOEXEC) != 0) return fail(request, errno);
    Fd errors_read(errors[0]), errors_write(errors[1]);
    std::uint64_t token = 0;
    if (getrandom(&token, sizeof(token), 0) != sizeof(token)) return fail(request, errno);

    const std::string numbers =
        fmt::format("{} {} {} {} {}", fds_.size(), request.slot, request.generation, token, static_cast<int>(pid_));
    const pid_t child = fork();
    if (child < 0) return fail(request, errno);
    if (child == 0) {
      fault_point("worker.forked");
      signal(SIGCHLD, SIG_DFL);
      die_with(pid_);
      dup2(output_write.get(), STDOUT_FILENO);
      dup2(errors_write.get(), STDERR_FILENO);
      for (Fd* fd : {&output_read, &output_write, &errors_read, &errors_write, &children_died_}) fd->reset();
      close(protocol::socket_fd);
      close(protocol::parent_fd);
      if (threads_ > 1) execute(numbers.c_str());
      serve_as_worker(entry_, {request.slot, request.generation, fds_, options_}, token);
    }
    fault_point("zygote.forked");
    children_.push_back({child, request.slot, request.generation});
    // Nobody else waits for the child, so its pid cannot be reused before this.
    Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
    // Only the reading end may not block; the worker's writes do.
    fcntl(output_read.get(), F_SETFL, O_NONBLOCK);
    fcntl(errors_read.get(), F_SETFL, O_NONBLOCK);
    send_event({Kind::started, request.slot, request.generation, child, 0, 0, token},
               {pidfd.get(), output_read.get(), errors_read.get()});
    fault_point("zygote.told");
  }

  // A forked copy of a process with threads may hold a lock that nobody will release: start the program afresh instead.
  // `numbers` was written before the fork, so that nothing is allocated here.
  [[noreturn]] void execute(const char* numbers) {
    const std::array<const char*, 5> arguments = {name_.c_str(), protocol::worker_mark, numbers, options_.c_str(),
                                                  nullptr};
    execv("/proc/self/exe", const_cast<char**>(arguments.data()));
    _exit(127);
  }

  void fail(const protocol::ForkRequest& request, int error) {
    send_event({Kind::fork_failed, request.slot, request.generation, 0, error, 0, 0}, {});
  }

  void reap() {
    std::uint64_t deaths = 0;
    while (read(children_died_.get(), &deaths, sizeof(deaths)) > 0) {
    }
    int status = 0;
    pid_t pid = 0;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
      for (std::size_t i = 0; i < children_.size(); ++i) {
        if (children_[i].pid != pid) continue;
        fault_point("zygote.reaped");
        send_event({Kind::exited, children_[i].slot, children_[i].generation, pid, status, 0, 0}, {});
        children_[i] = children_.back();
        children_.pop_back();
        break;
      }
    }
  }

  void send_event(const Event& event, std::initializer_list<int> fds) {
    alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = {};
    iovec part{const_cast<Event*>(&event), sizeof(event)};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (fds.size() > 0) {
      message.msg_control = control;
      message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
      std::memcpy(CMSG_DATA(header), fds.begin(), fds.size() * sizeof(int));
    }
    // A node that is alive reads; while it does not (stopped in a debugger), its death must still be seen.
    while (sendmsg(protocol::socket_fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
      if (errno == EINTR) continue;
      if (errno != EAGAIN) end();
      std::array<pollfd, 2> watched = {pollfd{protocol::socket_fd, POLLOUT, 0}, pollfd{protocol::parent_fd, POLLIN, 0}};
      poll(watched.data(), watched.size(), -1);
      if (watched[1].revents != 0) end();
    }
  }

  [[noreturn]] void end() {
    for (const Child& child : children_) kill(child.pid, SIGKILL);
    for (const Child& child : children_) waitpid(child.pid, nullptr, 0);
    _exit(0);
  }

  const WorkerEntry entry_;
  const std::string name_;
  const std::string options_;
  const int threads_;
  const pid_t pid_;
  std::vector<int> fds_;
  Fd children_died_;
  std::vector<Child> children_;
};

[[noreturn]] void serve_as_zygote(int argc, char** argv, WorkerEntry entry) {
  signal(SIGINT, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_NAME, "mobula-zygote");
  // The workers have the driver's environment, and nothing more.
  const char* const bind_now = std::getenv(protocol::bind_now);
  if (bind_now != nullptr && std::strcmp(bind_now, protocol::bind_now_ours) == 0) unsetenv(protocol::bind_now);
  prepare_crash_handler();
  if (argc != 4) {
    std::fprintf(stderr, "mobula: %s is for mobula's own use; run the program without it\n", argv[1]);
    _exit(2);
  }
  const int threads = count_threads();
  if (threads > 1) {
    std::fprintf(
        stderr,
        "mobula: warning: %s has %d threads before mobula::init, so workers are executed one by one instead of forked "
        "(milliseconds instead of microseconds each); call mobula::init before anything that starts a thread\n",
        argv[0], threads);
  }
  ZygoteLoop(entry, argv[0], std::atoi(argv[2]), argv[3], threads).run();
}

[[noreturn]] void serve_as_executed_worker(int argc, char** argv, WorkerEntry entry) {
  unsigned inherited = 0, slot = 0, generation = 0;
  unsigned long long token = 0;
  int zygote = 0;
  if (argc != 4 || std::sscanf(argv[2], "%u %u %u %llu %d", &inherited, &slot, &generation, &token, &zygote) != 5) {
    std::fprintf(stderr, "mobula: %s is for mobula's own use; run the program without it\n", argv[1]);
    _exit(2);
  }
  die_with(zygote);
  static std::vector<int> fds;
  for (unsigned i = 0; i < inherited; ++i) fds.push_back(protocol::first_inherited_fd + static_cast<int>(i));
  serve_as_worker(entry, {slot, generation, fds, argv[3]}, token);
}

}  // namespace

void init_zygote_if_marked(int argc, char** argv, WorkerEntry entry) {
  initialised_ = true;  // in workers too: a task may start a runtime without processes for itself
  if (argc > 0) program_name_ = argv[0];
  if (argc > 1 && std::strcmp(argv[1], protocol::zygote_mark) == 0) serve_as_zygote(argc, argv, entry);
  if (argc > 1 && std::strcmp(argv[1], protocol::worker_mark) == 0) serve_as_executed_worker(argc, argv, entry);
}

bool initialised() {
  return initialised_;
}

std::string_view program_name() {
  return program_name_;
}

}  // namespace mobula::process
