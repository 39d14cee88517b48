#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mobula::process {

// Worker's side. Lines printed from now on belong to the task or actor `name` (cut to 120 bytes). Costs nothing while
// the name stays the same, two writes to a pipe when it changes. Does nothing outside a worker. One thread at a time.
void set_output_name(std::string_view name);

// Worker's side, after each task: hands on what was printed without the end of a line, which a buffer would keep, and
// lose where the process is killed. Costs nothing when nothing is there.
void flush_output();

// Used by the zygote: this process's stdout and stderr are pipes that end in OutputLines with this token.
void start_output(std::uint64_t token);

// Node's side: cuts what one pipe of a worker delivers into whole lines, each prefixed "(name pid=123) ".
//
// The worker says in the pipe itself whose line comes next, so names and lines cannot get out of step: a mark of 4
// fixed bytes, the worker's random token (so that no output can be mistaken for a mark), a length and the name. All
// other bytes are passed on as they are. A line without its end is held until the end comes, the name changes, the
// worker ends, or it reaches `max_line` bytes.
class OutputLines {
 public:
  static constexpr std::size_t max_line = 64 * 1024;

  OutputLines(std::uint64_t token, pid_t pid);

  // Appends the lines completed by `bytes` to `out`.
  void feed(std::string_view bytes, std::string& out);
  // The pipe has ended: appends what is left.
  void finish(std::string& out);

 private:
  void take_text(std::string_view text, std::string& out);
  void end_line(std::string& out);
  void set_name(std::string_view name);

  const std::string mark_;
  const pid_t pid_;
  std::string prefix_;
  std::string line_;     // begun, not ended
  std::string pending_;  // may be the beginning of a mark
};

// The bytes that announce `name`.
std::string output_mark(std::uint64_t token, std::string_view name);

}  // namespace mobula::process
