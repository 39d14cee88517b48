#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/output.h"

namespace mobula::cli {

/// Some lines at the end of the terminal that standard error is, written anew in place.
///
/// A frame is one write: the lines of the last one are overwritten from the top and only what is left of them is
/// erased, so nothing flickers. Lines are cut to the width of the terminal and frames to its height, so nothing wraps
/// and the way back up is known, also when the terminal was made narrower in between and broke the lines.
class LiveBlock {
 public:
  LiveBlock() = default;
  ~LiveBlock() { clear(); }
  LiveBlock(const LiveBlock&) = delete;
  LiveBlock& operator=(const LiveBlock&) = delete;

  /// Draws the lines in place of those drawn before.
  void draw(const std::vector<std::string>& lines);
  /// Lines that stay, above the block.
  void note(std::string_view text);
  /// Takes the block away; the cursor is where it began.
  void clear();
  /// Leaves it where it is: something else was written below it.
  void leave() { drawn_.clear(); }

 private:
  std::vector<std::string> drawn_;  // as they were cut
};

/// The lines as they fit.
std::vector<std::string> cut_to_size(const std::vector<std::string>& lines, TerminalSize size);
/// What brings the terminal from `before` (cursor at the end of its last line) to `lines`; both fit or did fit.
std::string frame(const std::vector<std::string>& before, const std::vector<std::string>& lines, TerminalSize size);
/// At most so many columns of a text, which is UTF-8; what would move the cursor is shown as '?'.
std::string cut_to_width(std::string_view text, int columns);

}  // namespace mobula::cli
