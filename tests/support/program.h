// Runs the program `mobula` (or another) as a shell would: its own folder, standard output and error apart, or on a
// terminal.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace mobula::tests {

struct Ended {
  int status = 0;  ///< as a shell tells it: 128 + signal for one that was killed
  std::string out, err;
};

struct Setting {
  std::filesystem::path directory = {};
  std::map<std::string, std::string> environment = {};  ///< beside this process's
  enum class Output { read, closed_pipe, full_disk } output = Output::read;
  bool errors_to_closed_pipe = false;
  int columns = 0;  ///< above 0: on a terminal of this width, which gets both streams: see Program::out()
  int rows = 24;
};

/// `mobula`, as it was built.
std::string mobula_program();

/// A program under way. Fails the test when nothing happens for a minute.
class Program {
 public:
  Program(std::vector<std::string> command, const Setting& setting);
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void send(int signal) const;
  void type(const std::string& text);  ///< on its terminal
  /// Reads until one of the streams has the text, or ends without it.
  bool wait_for(const std::string& text);
  Ended wait();
  const std::string& out() const { return ended_.out; }
  const std::string& err() const { return ended_.err; }

 private:
  bool read_more();
  pid_t pid_ = -1;
  int out_ = -1, err_ = -1;
  bool over_ = false;
  Ended ended_;
};

Ended run(std::vector<std::string> command, const Setting& setting);

}  // namespace mobula::tests
