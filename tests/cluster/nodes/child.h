#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

// A process that a test starts, with its stdout and stderr read together. Killed with SIGKILL at the end.
class Child {
 public:
  explicit Child(const std::vector<std::string>& command);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  void signal(int number) const;
  // To its stdin.
  void write(const std::string& text) const;

  // Reads until a line begins with or contains `text`; returns that line, or "" after `patience` or at the end.
  std::string wait_for(const std::string& text, std::chrono::milliseconds patience = std::chrono::seconds(30));
  // Reads until the process ends; returns its waitpid() status, or -1 after `patience`.
  int wait(std::chrono::milliseconds patience = std::chrono::seconds(30));
  // All that was read so far.
  const std::string& output() const { return output_; }

 private:
  bool read_some(std::chrono::steady_clock::time_point until);
  pid_t pid_ = -1;
  int pidfd_ = -1;
  int fd_ = -1;
  int stdin_ = -1;
  bool reaped_ = false;
  int status_ = 0;
  std::string output_;
  std::size_t searched_ = 0;
};

// Waits up to `patience` for all processes that run this file to end; returns those still there.
std::vector<pid_t> wait_until_gone(const std::string& executable, std::chrono::milliseconds patience);
std::vector<pid_t> processes_of(const std::string& executable);
