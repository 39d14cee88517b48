// A terminal in memory: what a program wrote becomes what a person sees. Only what our programs use is understood;
// anything else is an error, so that no test passes by chance.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::tests {

class Screen {
 public:
  Screen(int columns, int rows) : columns_(columns), rows_(rows), lines_(1) {}

  /// May be given in pieces that cut a sequence anywhere.
  void write(std::string_view text) {
    pending_ += text;
    std::size_t at = 0;
    while (at < pending_.size()) {
      const std::size_t used = take(std::string_view(pending_).substr(at));
      if (used == 0) break;
      at += used;
    }
    pending_.erase(0, at);
  }

  /// All lines since the beginning, also those that have scrolled out.
  std::string text() const {
    std::string all;
    for (const auto& line : lines_) all += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    return all;
  }
  int wrapped() const { return wrapped_; }  ///< lines that were too long
  int unknown() const { return unknown_; }  ///< sequences that are not understood
  int erased() const { return erased_; }    ///< how often more than the rest of a line was erased
  std::size_t row() const { return row_; }

 private:
  std::size_t top() const { return lines_.size() > static_cast<std::size_t>(rows_) ? lines_.size() - rows_ : 0; }

  std::size_t take(std::string_view text) {
    const char c = text[0];
    if (c == '\033') return sequence(text);
    if (c == '\n') {
      if (++row_ == lines_.size()) lines_.emplace_back();
      column_ = 0;  // the terminal's line discipline makes "\r\n" of it
    } else if (c == '\r') {
      column_ = 0;
    } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) {
      if (column_ == columns_) {
        ++wrapped_;
        if (++row_ == lines_.size()) lines_.emplace_back();
        column_ = 0;
      }
      std::string& line = lines_[row_];
      line.resize(std::max<std::size_t>(line.size(), column_ + 1), ' ');
      line[column_++] = c;
    }
    return 1;
  }

  std::size_t sequence(std::string_view text) {
    if (text.size() < 2) return 0;
    if (text[1] != '[') return ++unknown_, 2;
    std::size_t end = 2;
    while (end < text.size() && (text[end] == ';' || text[end] == '?' || (text[end] >= '0' && text[end] <= '9'))) ++end;
    if (end == text.size()) return 0;
    const int number = std::max(1, std::atoi(std::string(text.substr(2, end - 2)).c_str()));
    switch (text[end]) {
      case 'A':
        row_ = std::max(top(), row_ - std::min<std::size_t>(row_, number));
        break;
      case 'K':
        lines_[row_].resize(std::min<std::size_t>(lines_[row_].size(), column_));
        break;
      case 'J':
        ++erased_;
        lines_[row_].resize(std::min<std::size_t>(lines_[row_].size(), column_));
        lines_.resize(row_ + 1);
        break;
      default:
        ++unknown_;
    }
    return end + 1;
  }

  const int columns_, rows_;
  std::vector<std::string> lines_;
  std::size_t row_ = 0;
  int column_ = 0;
  int wrapped_ = 0, unknown_ = 0, erased_ = 0;
  std::string pending_;
};

}  // namespace mobula::tests
