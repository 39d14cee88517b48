#include "runtime/process/zygote.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "runtime/process/zygote_protocol.h"

extern char** environ;

namespace mobula::process {
namespace {

using protocol::Event;

// A duplicate whose number lies above every number that the zygote will use, so that dup2() in the child overwrites
// none.
Fd duplicate_high(int fd, int above) {
  Fd copy(fcntl(fd, F_DUPFD_CLOEXEC, above));
  if (!copy.valid())
    throw std::runtime_error(
        fmt::format("cannot duplicate descriptor {} for the zygote: {}", fd, std::strerror(errno)));
  return copy;
}

pid_t spawn(const ZygoteOptions& options, int socket, int parent) {
  const int end = protocol::first_inherited_fd + static_cast<int>(options.inherited.size());
  std::vector<Fd> copies;
  copies.push_back(duplicate_high(socket, end));
  copies.push_back(duplicate_high(parent, end));
  for (int fd : options.inherited) copies.push_back(duplicate_high(fd, end));

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  for (std::size_t i = 0; i < copies.size(); ++i) {
    posix_spawn_file_actions_adddup2(&actions, copies[i].get(), protocol::socket_fd + static_cast<int>(i));
  }
  posix_spawn_file_actions_addclosefrom_np(&actions, end);

  // SIGINT stays blocked until the zygote ignores it, so that a Ctrl-C during its start does not end it.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t blocked, defaults;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGINT);
  sigfillset(&defaults);
  posix_spawnattr_setsigmask(&attributes, &blocked);
  posix_spawnattr_setsigdefault(&attributes, &defaults);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);

  const std::string name = options.name.empty() ? options.program : options.name;
  const std::string numbers = fmt::format("{}", options.inherited.size());
  std::array<const char*, 5> arguments = {name.c_str(), protocol::zygote_mark, numbers.c_str(), options.options.c_str(),
                                          nullptr};
  // All symbols are bound now, once, instead of in every worker again.
  std::vector<char*> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) variables.push_back(*entry);
  std::string bind_now = fmt::format("{}={}", protocol::bind_now, protocol::bind_now_ours);
  if (std::getenv(protocol::bind_now) == nullptr) variables.push_back(bind_now.data());
  variables.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, options.program.c_str(), &actions, &attributes,
                                const_cast<char**>(arguments.data()), variables.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw std::runtime_error(
        fmt::format("cannot execute {} to start worker processes: {}", options.program, std::strerror(error)));
  }
  return pid;
}

// Receives one event with its descriptors. 1 = received, 0 = nothing there, -1 = the other end is gone.
int receive(int socket, Event& event, std::array<Fd, 3>& fds) {
  alignas(cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))];
  iovec part{&event, sizeof(event)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  const ssize_t size = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  if (size != sizeof(event)) return -1;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count && i < fds.size(); ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
      fds[i].reset(fd);
    }
  }
  return 1;
}

}  // namespace

Zygote::Zygote(pid_t pid, Fd socket, std::string program)
    : pid_(pid), socket_(std::move(socket)), program_(std::move(program)) {}

std::unique_ptr<Zygote> Zygote::start(const ZygoteOptions& options) {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    throw std::runtime_error(fmt::format("cannot create the zygote's socket: {}", std::strerror(errno)));
  }
  Fd ours(pair[0]), theirs(pair[1]);
  Fd parent(static_cast<int>(syscall(SYS_pidfd_open, getpid(), 0)));
  if (!parent.valid())
    throw std::runtime_error(fmt::format("pidfd_open failed (Linux 5.3 or later is needed): {}", std::strerror(errno)));
  const pid_t pid = spawn(options, theirs.get(), parent.get());
  return std::unique_ptr<Zygote>(
      new Zygote(pid, std::move(ours), options.name.empty() ? options.program : options.name));
}

Zygote::~Zygote() {
  socket_.reset();  // the zygote sees the end of the stream, kills and reaps its workers, and ends
  if (reaped_) return;
  Fd pidfd(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (pidfd.valid()) {
    pollfd waiting{pidfd.get(), POLLIN, 0};
    if (::poll(&waiting, 1, static_cast<int>(grace.count())) == 0) kill(pid_, SIGKILL);
  }
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void Zygote::fork_worker(std::uint32_t slot, std::uint32_t generation) {
  pending_.push_back({slot, generation});
  flush();
}

void Zygote::flush() {
  while (!pending_.empty() && !gone_) {
    const std::size_t count = std::min<std::size_t>(pending_.size(), protocol::max_requests);
    std::array<protocol::ForkRequest, protocol::max_requests> requests;
    for (std::size_t i = 0; i < count; ++i) requests[i] = {pending_[i].slot, pending_[i].generation};
    // A failure other than a full socket means that the zygote is gone, which poll() finds and reports.
    if (send(socket_.get(), requests.data(), count * sizeof(requests[0]), MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return;
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  }
}

bool Zygote::poll(ZygoteEvents& events) {
  if (gone_) return false;
  flush();
  for (;;) {
    Event event{};
    std::array<Fd, 3> fds;
    const int received = receive(socket_.get(), event, fds);
    if (received == 0) return true;
    if (received < 0) break;
    switch (event.kind) {
      case protocol::Kind::ready:
        ready_ = true;
        break;
      case protocol::Kind::started:
        events.on_started({event.slot, event.generation, event.pid, std::move(fds[0]), std::move(fds[1]),
                           std::move(fds[2]), event.output_token});
        break;
      case protocol::Kind::exited:
        events.on_exited({event.slot, event.generation, event.pid, event.status});
        break;
      case protocol::Kind::fork_failed:
        events.on_fork_failed(event.slot, event.generation, event.status);
        break;
    }
  }
  gone_ = true;
  pending_.clear();
  // The socket closes a moment before the process can be waited for.
  int status = 0;
  pid_t waited;
  while ((waited = waitpid(pid_, &status, 0)) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  std::string reason = fmt::format("the zygote of {} (pid {}) ", program_, pid_);
  if (waited != pid_) {
    reason += "ended";
  } else if (WIFSIGNALED(status)) {
    reason += fmt::format("was killed by signal {} ({})", WTERMSIG(status), sigabbrev_np(WTERMSIG(status)));
  } else {
    reason += fmt::format("exited with status {}", WEXITSTATUS(status));
  }
  if (!ready_) reason += " before it reached mobula::init; call mobula::init(argc, argv) in the first line of main";
  events.on_gone(reason);
  return false;
}

}  // namespace mobula::process
