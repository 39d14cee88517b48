#include "cli/live_block.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

namespace mobula::cli {
namespace {

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
}

int width_of(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), begins_character));
}

}  // namespace

std::string cut_to_width(std::string_view text, int columns) {
  std::string cut;
  int width = 0;
  for (const char c : text) {
    if (begins_character(c) && ++width > columns) break;
    const auto byte = static_cast<unsigned char>(c);
    cut += byte < 0x20 || byte == 0x7F ? '?' : c;
  }
  return cut;
}

std::vector<std::string> cut_to_size(const std::vector<std::string>& lines, TerminalSize size) {
  std::vector<std::string> cut;
  // One row stays free: where all are full some terminals scroll.
  const auto rows = static_cast<std::size_t>(std::max(size.rows - 1, 1));
  for (std::size_t i = 0; i < lines.size() && i < rows; ++i) cut.push_back(cut_to_width(lines[i], size.text_columns()));
  return cut;
}

std::string frame(const std::vector<std::string>& before, const std::vector<std::string>& lines, TerminalSize size) {
  int rows = 0;  // that the old lines take, some perhaps broken by now
  for (const auto& line : before) rows += std::max(1, (width_of(line) + size.columns - 1) / size.columns);
  std::string text;
  if (rows > 1) text += fmt::format("\033[{}A", rows - 1);
  text += '\r';
  for (std::size_t i = 0; i < lines.size(); ++i) text += (i > 0 ? "\r\n" : "") + lines[i] + "\033[K";
  if (lines.size() < static_cast<std::size_t>(rows) || lines.empty()) text += "\033[J";
  return text;
}

void LiveBlock::draw(const std::vector<std::string>& lines) {
  const TerminalSize size = terminal_size(STDERR_FILENO);
  auto fitting = cut_to_size(lines, size);
  write_message(frame(drawn_, fitting, size));
  drawn_ = std::move(fitting);
}

void LiveBlock::note(std::string_view text) {
  // One write, so that the block is never seen to be away.
  const TerminalSize size = terminal_size(STDERR_FILENO);
  std::string all = drawn_.empty() ? std::string() : frame(drawn_, {}, size);
  all += std::string(text) + "\r\n";
  if (!drawn_.empty()) all += frame({}, drawn_, size);
  write_message(all);
}

void LiveBlock::clear() {
  if (drawn_.empty()) return;
  write_message(frame(drawn_, {}, terminal_size(STDERR_FILENO)));
  drawn_.clear();
}

}  // namespace mobula::cli
