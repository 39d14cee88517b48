#include "runtime/process/output.h"

#include <fmt/format.h>
#include <stdio_ext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace mobula::process {
namespace {

constexpr std::size_t max_name = 120;
constexpr std::size_t head_bytes = 4;

// The worker's state: one process has one stdout.
std::uint64_t own_token = 0;
bool is_worker = false;
std::array<char, max_name> own_name;
std::size_t own_name_size = 0;

std::string mark_prefix(std::uint64_t token) {
  std::string mark("\0\x1bM\x02", head_bytes);
  mark.append(reinterpret_cast<const char*>(&token), sizeof(token));
  return mark;
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;  // the reader is gone, and with it the reason to write
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

std::string output_mark(std::uint64_t token, std::string_view name) {
  name = name.substr(0, max_name);
  std::string mark = mark_prefix(token);
  mark.push_back(static_cast<char>(name.size()));
  mark.append(name);
  return mark;
}

void start_output(std::uint64_t token) {
  own_token = token;
  own_name_size = 0;
  is_worker = true;
}

void flush_output() {
  if (is_worker && __fpending(stdout) > 0) std::fflush(stdout);
}

void set_output_name(std::string_view name) {
  name = name.substr(0, max_name);
  if (!is_worker || (name.size() == own_name_size && std::memcmp(name.data(), own_name.data(), name.size()) == 0))
    return;
  std::memcpy(own_name.data(), name.data(), name.size());
  own_name_size = name.size();
  // What was printed before the change still carries the old name. (std::cout writes through stdout.)
  flush_output();
  const std::string mark = output_mark(own_token, name);
  write_all(STDOUT_FILENO, mark);
  write_all(STDERR_FILENO, mark);
}

OutputLines::OutputLines(std::uint64_t token, pid_t pid) : mark_(mark_prefix(token)), pid_(pid) {
  set_name("worker");
}

void OutputLines::set_name(std::string_view name) {
  prefix_ = fmt::format("({} pid={}) ", name, pid_);
}

void OutputLines::feed(std::string_view bytes, std::string& out) {
  std::string joined;
  if (!pending_.empty()) {
    joined = std::move(pending_);
    pending_.clear();
    joined.append(bytes);
    bytes = joined;
  }
  while (!bytes.empty()) {
    const std::size_t at = bytes.find(mark_[0]);
    take_text(bytes.substr(0, at), out);
    if (at == std::string_view::npos) return;
    bytes.remove_prefix(at);
    const std::size_t known = std::min(bytes.size(), mark_.size());
    if (bytes.substr(0, known) != std::string_view(mark_).substr(0, known)) {
      take_text(bytes.substr(0, 1), out);  // a zero byte of the worker's own
      bytes.remove_prefix(1);
      continue;
    }
    const std::size_t length = bytes.size() > mark_.size() ? static_cast<unsigned char>(bytes[mark_.size()]) : 0;
    if (bytes.size() < mark_.size() + 1 || bytes.size() < mark_.size() + 1 + length) {
      pending_ = bytes;
      return;
    }
    if (!line_.empty()) end_line(out);
    set_name(length == 0 ? std::string_view("worker") : bytes.substr(mark_.size() + 1, length));
    bytes.remove_prefix(mark_.size() + 1 + length);
  }
}

void OutputLines::take_text(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::size_t take = std::min({end, text.size(), max_line - line_.size()});
    line_.append(text.substr(0, take));
    text.remove_prefix(take);
    if (end == take) text.remove_prefix(1);
    if (end == take || line_.size() == max_line) end_line(out);
  }
}

void OutputLines::end_line(std::string& out) {
  out.append(prefix_).append(line_).push_back('\n');
  line_.clear();
}

void OutputLines::finish(std::string& out) {
  const std::string rest = std::move(pending_);
  pending_.clear();
  take_text(rest, out);
  if (!line_.empty()) end_line(out);
}

}  // namespace mobula::process
