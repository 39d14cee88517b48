#include "runtime/daemon/worker_logs.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <compare>
#include <cstdlib>
#include <ctime>
#include <system_error>

#include "runtime/daemon/private_folder.h"

namespace mobula::daemon {
namespace {

using Age = std::pair<std::filesystem::file_time_type, std::filesystem::path>;

std::vector<Age> oldest_first(const std::filesystem::path& folder) {
  std::vector<Age> all;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    all.emplace_back(entry.last_write_time(none), entry.path());
  }
  std::ranges::sort(all);
  return all;
}

std::string time_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  const std::time_t seconds = ms / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}", local, ms % 1000);
}

// Of the file from `offset` on: whole lines, at most `most` bytes.
std::string whole_lines(const std::filesystem::path& file, std::uint64_t offset, std::size_t most) {
  const process::Fd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return {};
  std::string text(most, '\0');
  const ssize_t size = pread(fd.get(), text.data(), text.size(), static_cast<off_t>(offset));
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  text.resize(text.rfind('\n') + 1);
  return text;
}

// "2026-11-30T18:15:19.123 (name pid=1) text": the name.
std::string_view name_of(std::string_view line) {
  const auto open = line.find('('), close = line.find(" pid=");
  if (open == line.npos || close == line.npos || close < open) return {};
  return line.substr(open + 1, close - open - 1);
}

std::string only_named(const std::string& text, std::string_view name) {
  std::string kept;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at) + 1;
    const std::string_view line(text.data() + at, end - at);
    if (name_of(line) == name) kept += line;
    at = end;
  }
  return kept;
}

std::string file_of(pid_t worker) {
  return fmt::format("worker-{}.log", worker);
}

// A folder of logs or jobs whose daemon is gone.
bool is_left(const std::filesystem::path& folder) {
  const std::string name = folder.filename();
  const bool ours = name.starts_with("jobs-") || name.starts_with("n");
  return ours && hold_log_folder(folder).valid();
}

std::string last_lines(const std::string& text, std::uint64_t lines) {
  std::size_t at = text.size();
  for (std::uint64_t i = 0; i <= lines && at != 0 && at != text.npos; ++i) at = at == 0 ? 0 : text.rfind('\n', at - 1);
  return at == text.npos || at == 0 ? text : text.substr(at + 1);
}

}  // namespace

process::Fd hold_log_folder(const std::filesystem::path& folder) {
  process::Fd held(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (held.valid() && flock(held.get(), LOCK_EX | LOCK_NB) != 0) held.reset();
  return held;
}

WorkerLogs::WorkerLogs(std::filesystem::path base, const std::string& node)
    : base_(std::move(base)), folder_(base_ / node) {}

bool WorkerLogs::open(pid_t worker) {
  if (failed_ || base_.empty()) return false;
  if (open_.empty()) {
    failed_ = !private_folder(folder_).ok();
    if (failed_) return false;
    held_ = hold_log_folder(folder_);
  }
  prune();
  const std::string name = file_of(worker), file = folder_ / name;
  Open& made = open_[worker];
  made.fd = process::Fd(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (numbers_.try_emplace(name, last_number_ + 1).second) ++last_number_;
  struct stat status {};
  if (made.fd.valid() && fstat(made.fd.get(), &status) == 0) made.bytes = static_cast<std::uint64_t>(status.st_size);
  return made.fd.valid();
}

void WorkerLogs::prune() {
  std::error_code none;
  auto files = oldest_first(folder_);
  for (std::size_t i = 0; i + most_files <= files.size(); ++i) {
    const bool in_use =
        std::ranges::any_of(open_, [&](const auto& one) { return files[i].second.filename() == file_of(one.first); });
    if (in_use) continue;
    std::filesystem::remove(files[i].second, none);
    numbers_.erase(files[i].second.filename());
  }
  auto folders = oldest_first(base_);
  std::erase_if(folders, [&](const Age& one) { return one.second == folder_; });
  const auto week_ago = std::filesystem::file_time_type::clock::now() - std::chrono::hours(7 * 24);
  for (std::size_t i = 0; i + most_folders <= folders.size(); ++i) {
    if (folders[i].first < week_ago && is_left(folders[i].second)) std::filesystem::remove_all(folders[i].second, none);
  }
}

void WorkerLogs::write(pid_t worker, std::string_view lines) {
  const auto at = open_.find(worker);
  if (at == open_.end() && !open(worker)) return;
  Open& to = open_.at(worker);
  if (!to.fd.valid()) return;
  const std::string time = time_now();
  std::string text;
  for (std::size_t from = 0; from < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', from), lines.size() - 1) + 1;
    text.append(time).append(" ").append(lines.substr(from, end - from));
    from = end;
  }
  // (A disk that is full costs the log, not the work.)
  if (::write(to.fd.get(), text.data(), text.size()) < 0) return;
  to.bytes += text.size();
  if (to.bytes < most_file_bytes) return;
  const std::string name = file_of(worker), file = folder_ / name;
  if (rename(file.c_str(), (file + ".old").c_str()) != 0) return;
  open_.erase(worker);
  // It stays the log that it was: who follows it reads its rest, and then the new one from the start.
  if (auto number = numbers_.extract(name)) numbers_[name + ".old"] = number.mapped();
}

Answer WorkerLogs::read(const Question& question) const {
  Answer answer{.id = question.id, .number = 0, .error = {}, .rows = {}};
  const auto word = [&](std::size_t i) { return i < question.words.size() ? question.words[i] : std::string(); };
  const std::string name = word(0), pid = word(1);
  std::map<std::string, std::uint64_t> had;  // by log
  for (std::size_t i = 2; i < question.words.size(); ++i) {
    const auto equal = question.words[i].rfind('=');
    if (equal == std::string::npos) continue;
    had[question.words[i].substr(0, equal)] = std::strtoull(question.words[i].c_str() + equal + 1, nullptr, 10);
  }
  // In the order in which they were written to last, and of one process in that in which they were begun.
  struct Log {
    std::filesystem::file_time_type written;
    std::uint64_t number;
    std::string file;
    auto operator<=>(const Log&) const = default;
  };
  std::vector<Log> logs;
  for (const auto& [when, path] : oldest_first(folder_)) {
    const auto number = numbers_.find(path.filename());
    if (number != numbers_.end()) logs.push_back({when, number->second, path.filename()});
  }
  std::ranges::sort(logs);
  std::size_t room = most_answer_bytes;
  for (const auto& [when, number, file] : logs) {
    if (!pid.empty() && file != "worker-" + pid + ".log" && file != "worker-" + pid + ".log.old") continue;
    const auto known = had.find(std::to_string(number));
    std::uint64_t offset = known != had.end() ? known->second : 0;
    std::string text = whole_lines(folder_ / file, offset, std::min<std::uint64_t>(room, most_file_bytes + (1 << 20)));
    offset += text.size();
    if (!name.empty()) text = only_named(text, name);
    if (had.empty()) text = last_lines(text, question.number);
    room -= text.size();
    answer.rows.push_back({file, std::to_string(offset), std::move(text), std::to_string(number)});
  }
  return answer;
}

}  // namespace mobula::daemon
