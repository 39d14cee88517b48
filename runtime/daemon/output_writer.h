#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "runtime/base/time.h"

namespace mobula::daemon {

// Writes workers' lines to this process's own stdout or stderr without ever stopping the loop: where a terminal is held
// or a pipe is full, lines wait here, and `congested()` tells to read no more from workers, who then wait in their
// writes.
class OutputWriter {
 public:
  static constexpr std::size_t enough = 256 * 1024;
  static constexpr Duration retry = std::chrono::milliseconds(10);

  explicit OutputWriter(int fd);

  void write(std::string_view text) { waiting_.append(text); }
  // Writes what can be written now.
  void flush();
  // The same, waiting up to `patience` for a reader that is slow: at the end.
  void drain(Duration patience);
  bool congested() const { return waiting_.size() > enough; }
  bool empty() const { return waiting_.empty(); }

 private:
  const int fd_;
  const bool is_file_;  // never makes a writer wait
  std::string waiting_;
};

}  // namespace mobula::daemon
