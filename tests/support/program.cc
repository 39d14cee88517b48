#include "tests/support/program.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/support/paths.h"

namespace mobula::tests {
namespace {

constexpr int kMinute = 60'000;

struct Ends {
  int read = -1, write = -1;
};
Ends make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) ADD_FAILURE() << "pipe";
  return {ends[0], ends[1]};
}

void close_end(int& descriptor) {
  if (descriptor >= 0) ::close(descriptor);
  descriptor = -1;
}

[[noreturn]] void become(std::vector<std::string>& command, const Setting& setting) {
  for (int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE}) ::signal(number, SIG_DFL);
  if (!setting.directory.empty() && ::chdir(setting.directory.c_str()) != 0) ::_exit(126);
  for (const auto& [name, value] : setting.environment) ::setenv(name.c_str(), value.c_str(), 1);
  std::vector<char*> argv;
  for (auto& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

std::string mobula_program() {
  return binary_dir() / "cli/mobula";
}

Program::Program(std::vector<std::string> command, const Setting& setting) {
  if (setting.columns > 0) {
    winsize size{};
    size.ws_col = static_cast<unsigned short>(setting.columns);
    size.ws_row = static_cast<unsigned short>(setting.rows);
    pid_ = ::forkpty(&out_, nullptr, nullptr, &size);
    if (pid_ == 0) {
      ::setenv("TERM", "xterm", 1);
      become(command, setting);
    }
    ::fcntl(out_, F_SETFD, FD_CLOEXEC);
    return;
  }
  Ends out = make_pipe(), err = make_pipe();
  // Before the program begins: its first write finds nobody.
  if (setting.output == Setting::Output::closed_pipe) close_end(out.read);
  if (setting.errors_to_closed_pipe) close_end(err.read);
  pid_ = ::fork();
  if (pid_ == 0) {
    const bool full = setting.output == Setting::Output::full_disk;
    ::dup2(full ? ::open("/dev/full", O_WRONLY | O_CLOEXEC) : out.write, STDOUT_FILENO);
    ::dup2(err.write, STDERR_FILENO);
    const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(nothing, STDIN_FILENO);
    become(command, setting);
  }
  close_end(out.write);
  close_end(err.write);
  out_ = out.read;
  err_ = err.read;
}

Program::~Program() {
  if (!over_) {
    send(SIGKILL);
    wait();
  }
  close_end(out_);
  close_end(err_);
}

void Program::send(int signal) const {
  ::kill(pid_, signal);
}

void Program::type(const std::string& text) {
  if (::write(out_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) ADD_FAILURE() << "cannot type";
}

bool Program::read_more() {
  pollfd ends[] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}};
  if (out_ < 0 && err_ < 0) return false;
  if (::poll(ends, 2, kMinute) <= 0) {
    ADD_FAILURE() << "the program says nothing and does not end; so far:\n" << ended_.out << ended_.err;
    send(SIGKILL);
    return false;
  }
  char buffer[65536];
  for (int i = 0; i < 2; ++i) {
    if (ends[i].revents == 0) continue;
    const ssize_t n = ::read(ends[i].fd, buffer, sizeof buffer);
    // A terminal whose program has ended gives an error, a pipe nothing.
    if (n > 0) {
      (i == 0 ? ended_.out : ended_.err).append(buffer, static_cast<std::size_t>(n));
    } else {
      close_end(i == 0 ? out_ : err_);
    }
  }
  return true;
}

bool Program::wait_for(const std::string& text) {
  while (ended_.out.find(text) == std::string::npos && ended_.err.find(text) == std::string::npos) {
    if (!read_more()) return false;
  }
  return true;
}

Ended Program::wait() {
  if (over_) return ended_;
  while (read_more()) {
  }
  int status = 0;
  ::waitpid(pid_, &status, 0);
  over_ = true;
  ended_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ended_;
}

Ended run(std::vector<std::string> command, const Setting& setting) {
  return Program(std::move(command), setting).wait();
}

}  // namespace mobula::tests
