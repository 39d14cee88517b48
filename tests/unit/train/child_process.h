// Runs a program as a shell would, and reads what it prints while it runs.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace mobula {

class ChildProcess {
 public:
  struct Setting {
    std::filesystem::path directory = {};  ///< where it runs
    bool ignore_interrupt = false;         ///< as a job that a script starts with &
  };

  ChildProcess(std::vector<std::string> arguments, const Setting& setting) {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) ADD_FAILURE() << "pipe";
    pid_ = ::fork();
    if (pid_ == 0) {
      ::signal(SIGINT, setting.ignore_interrupt ? SIG_IGN : SIG_DFL);
      ::dup2(ends[1], STDOUT_FILENO);
      ::dup2(ends[1], STDERR_FILENO);
      if (!setting.directory.empty() && ::chdir(setting.directory.c_str()) != 0) ::_exit(126);
      std::vector<char*> argv;
      for (auto& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    ::close(ends[1]);
    output_end_ = ends[0];
  }
  ~ChildProcess() {
    if (status_ < 0) {
      send(SIGKILL);
      wait();
    }
    ::close(output_end_);
  }
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  void send(int signal) const { ::kill(pid_, signal); }
  pid_t pid() const { return pid_; }

  /// Reads until the text was printed; false if the output ended without it, or nothing came for a minute.
  bool wait_for(const std::string& text) {
    while (output_.find(text) == std::string::npos) {
      if (!read_more()) return false;
    }
    return true;
  }

  /// The exit status as a shell tells it: 128 + signal for one that was killed.
  int wait() {
    if (status_ >= 0) return status_;
    while (read_more()) {
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return status_;
  }

  /// All that was printed so far, to standard output and error.
  const std::string& output() const { return output_; }

 private:
  bool read_more() {
    pollfd readable{output_end_, POLLIN, 0};
    if (::poll(&readable, 1, 60'000) <= 0) {
      ADD_FAILURE() << "the program prints nothing and does not end; so far:\n" << output_;
      return false;
    }
    char buffer[4096];
    const ssize_t n = ::read(output_end_, buffer, sizeof buffer);
    if (n <= 0) return false;
    output_.append(buffer, static_cast<std::size_t>(n));
    return true;
  }

  pid_t pid_ = -1;
  int output_end_ = -1;
  int status_ = -1;
  std::string output_;
};

}  // namespace mobula
