#include "tests/cluster/nodes/child.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>

using Clock = std::chrono::steady_clock;

namespace {
int milliseconds_until(Clock::time_point until) {
  return std::max(
      0, static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count()));
}
}  // namespace

Child::Child(const std::vector<std::string>& command) {
  int ends[2];
  int input[2];
  if (pipe2(ends, O_CLOEXEC) != 0 || pipe2(input, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  std::vector<char*> arguments;
  for (const auto& part : command) arguments.push_back(const_cast<char*>(part.c_str()));
  arguments.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(input[0], 0);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  close(input[0]);
  stdin_ = input[1];
  fd_ = ends[0];
  fcntl(fd_, F_SETFL, O_NONBLOCK);
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
}

Child::~Child() {
  if (!reaped_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  close(fd_);
  close(stdin_);
  close(pidfd_);
}

void Child::write(const std::string& text) const {
  if (::write(stdin_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) std::perror("write");
}

void Child::signal(int number) const {
  kill(pid_, number);
}

bool Child::read_some(Clock::time_point until) {
  std::array<pollfd, 1> watched = {pollfd{fd_, POLLIN, 0}};
  if (poll(watched.data(), watched.size(), milliseconds_until(until)) <= 0) return false;
  std::array<char, 4096> buffer;
  const ssize_t size = read(fd_, buffer.data(), buffer.size());
  if (size <= 0) return false;
  output_.append(buffer.data(), static_cast<std::size_t>(size));
  return true;
}

std::string Child::wait_for(const std::string& text, std::chrono::milliseconds patience) {
  const auto until = Clock::now() + patience;
  for (;;) {
    for (std::size_t end; (end = output_.find('\n', searched_)) != std::string::npos;) {
      const std::string line = output_.substr(searched_, end - searched_);
      searched_ = end + 1;
      if (line.find(text) != std::string::npos) return line;
    }
    if (!read_some(until)) return "";
  }
}

int Child::wait(std::chrono::milliseconds patience) {
  const auto until = Clock::now() + patience;
  while (!reaped_) {
    std::array<pollfd, 2> watched = {pollfd{fd_, POLLIN, 0}, pollfd{pidfd_, POLLIN, 0}};
    if (poll(watched.data(), watched.size(), milliseconds_until(until)) <= 0) return -1;
    if (watched[1].revents != 0) {
      waitpid(pid_, &status_, 0);
      reaped_ = true;
    }
    // A descendant may hold the pipe open: after the end only what is there is read.
    while (read_some(Clock::now())) {
    }
    if ((watched[0].revents & POLLHUP) != 0 && !reaped_) {
      poll(&watched[1], 1, milliseconds_until(until));
    }
  }
  return status_;
}

std::vector<pid_t> processes_of(const std::string& executable) {
  std::vector<pid_t> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::error_code gone;
    const auto file = std::filesystem::read_symlink(entry.path() / "exe", gone);  // fails for those that are dead
    if (!gone && file == executable) found.push_back(pid);
  }
  return found;
}

std::vector<pid_t> wait_until_gone(const std::string& executable, std::chrono::milliseconds patience) {
  const auto until = Clock::now() + patience;
  for (pid_t pid : processes_of(executable)) {
    const int pidfd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
    pollfd end{pidfd, POLLIN, 0};
    if (pidfd >= 0) poll(&end, 1, milliseconds_until(until));
    close(pidfd);
  }
  return processes_of(executable);
}
