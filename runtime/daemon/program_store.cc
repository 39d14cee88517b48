#include "runtime/daemon/program_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>

#include "runtime/base/checksum.h"
#include "runtime/daemon/private_folder.h"
#include "runtime/process/fd.h"
#include "runtime/process/modules.h"

namespace mobula::daemon {
namespace {

// Larger ones are no programs.
constexpr std::uint64_t most_bytes = std::uint64_t{4} << 30;

std::string reason(int error) {
  return std::generic_category().message(error);
}

std::string hex(std::uint64_t number) {
  return fmt::format("{:016x}", number);
}

std::optional<FileState> state_of(const process::Fd& fd) {
  struct stat status {};
  if (!fd.valid() || fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  return FileState{status.st_dev, status.st_ino, static_cast<std::uint64_t>(status.st_size),
                   status.st_mtim.tv_sec * 1'000'000'000 + status.st_mtim.tv_nsec};
}

// Reads as much as there is from `offset` on.
std::size_t read_at(const process::Fd& fd, std::uint64_t offset, std::span<std::byte> to) {
  std::size_t done = 0;
  while (done < to.size()) {
    const ssize_t size = pread(fd.get(), to.data() + done, to.size() - done, static_cast<off_t>(offset + done));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) break;
    done += static_cast<std::size_t>(size);
  }
  return done;
}

// Of all its bytes, a megabyte after the other (so that it is not the checksum() of them in one piece).
std::uint64_t checksum_of(const process::Fd& fd) {
  std::vector<std::byte> block(std::size_t{1} << 20);
  std::uint64_t sum = 0;
  for (std::uint64_t offset = 0;;) {
    const std::size_t size = read_at(fd, offset, block);
    if (size > 0 || offset == 0) sum = checksum(std::span(block).first(size), sum);
    if (size < block.size()) return sum;
    offset += size;
  }
}

process::Fd open_to_read(const std::string& file) {
  return process::Fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
}

// Empty: it is no program, or not there.
std::string build_id_of(const std::string& file) {
  try {
    return hex(process::build_id_of_file(file));
  } catch (const std::runtime_error&) {
    return {};
  }
}

}  // namespace

bool is_build_id(const std::string& text) {
  return text.size() == 16 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::string ProgramStore::cached(const std::string& build_id) const {
  if (!is_build_id(build_id)) return {};
  struct stat above {
  }, status{};
  const std::string file = folder_ / build_id;
  if (lstat(folder_.c_str(), &above) != 0 || above.st_uid != geteuid() || (above.st_mode & 077) != 0) return {};
  if (lstat(file.c_str(), &status) != 0 || !S_ISREG(status.st_mode) || status.st_uid != geteuid()) return {};
  if (build_id_of(file) != build_id) return {};
  utimensat(AT_FDCWD, file.c_str(), nullptr, 0);  // it is in use
  return file;
}

Answer ProgramStore::chunk(const Question& question) {
  Answer answer{.id = question.id, .number = 0, .error = {}, .rows = {}};
  const std::string build_id = question.words.empty() ? std::string() : question.words[0];
  const auto known = known_.find(build_id);
  const std::string file = known != known_.end() ? known->second : cached(build_id);
  if (file.empty()) {
    answer.error = "it has no such program";
    return answer;
  }
  const process::Fd fd = open_to_read(file);
  const auto state = state_of(fd);
  if (!state || state->bytes == 0) {
    answer.error = fmt::format("its file {} cannot be read", file);
    return answer;
  }
  Sum& sum = sums_[build_id];
  if (sum.state != *state) {
    // New to us, or written to since.
    const std::string found = build_id_of(fmt::format("/proc/self/fd/{}", fd.get()));
    if (found != build_id) {
      answer.error = found.empty() ? fmt::format("its file {} is no program any more", file)
                                   : fmt::format("its file {} has changed since: its build-id is {} now", file, found);
      return answer;
    }
    sum = {*state, checksum_of(fd)};
  }
  const std::uint64_t from = std::min(question.number, state->bytes);
  std::string part(std::min<std::uint64_t>(program_chunk, state->bytes - from), '\0');
  const std::size_t size = read_at(fd, from, std::as_writable_bytes(std::span(part)));
  if (size != part.size() || state_of(fd) != state) {
    sums_.erase(build_id);
    answer.error = fmt::format("its file {} changes just now", file);
    return answer;
  }
  answer.number = state->bytes;
  answer.rows = {{std::move(part), hex(sum.checksum)}};
  return answer;
}

// Makes room for one more.
void ProgramStore::prune() const {
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> files;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, none)) {
    const std::string name = entry.path().filename();
    if (is_build_id(name) && !(in_use_ && in_use_(name))) files.emplace_back(entry.last_write_time(none), entry.path());
  }
  std::ranges::sort(files);
  for (std::size_t i = 0; i + most_files <= files.size(); ++i) std::filesystem::remove(files[i].second, none);
}

// ---- what arrives

ProgramStore::Incoming::Incoming(const ProgramStore& store, std::string build_id)
    : store_(store), build_id_(std::move(build_id)) {}

ProgramStore::Incoming::~Incoming() {
  if (fd_ >= 0) close(fd_);
  if (!aside_.empty()) unlink(aside_.c_str());
}

Error ProgramStore::Incoming::failed(const std::string& why) const {
  return {.code = ErrorCode::unavailable, .message = why};
}

Result<bool> ProgramStore::Incoming::take(const Answer& answer) {
  if (!answer.error.empty()) return failed(answer.error);
  if (answer.rows.size() != 1 || answer.rows[0].size() != 2 || answer.number == 0 || answer.number > most_bytes) {
    return failed("it sent what is no part of a program");
  }
  const std::string& part = answer.rows[0][0];
  if (offset_ == 0) {
    bytes_ = answer.number;
    checksum_ = answer.rows[0][1];
    if (auto folder = private_folder(store_.folder()); !folder) return failed(folder.error().message);
    store_.prune();
    aside_ = store_.folder() / fmt::format(".{}.{}.XXXXXX", build_id_, getpid());
    fd_ = mkostemp(aside_.data(), O_CLOEXEC);
    if (fd_ < 0) return failed(fmt::format("cannot write in {}: {}", store_.folder().string(), reason(errno)));
  }
  if (answer.number != bytes_ || answer.rows[0][1] != checksum_ || part.empty() || part.size() > bytes_ - offset_) {
    return failed("its file has changed meanwhile");
  }
  for (std::size_t done = 0; done < part.size();) {
    const ssize_t written = pwrite(fd_, part.data() + done, part.size() - done, static_cast<off_t>(offset_ + done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return failed(fmt::format("cannot write {}: {}", aside_, reason(errno)));
    done += static_cast<std::size_t>(written);
  }
  offset_ += part.size();
  if (offset_ < bytes_) return false;
  return finish();
}

Result<bool> ProgramStore::Incoming::finish() {
  const bool mode = fchmod(fd_, 0700) == 0;
  if (close(std::exchange(fd_, -1)) != 0 || !mode) return failed(fmt::format("cannot write {}", aside_));
  if (hex(checksum_of(open_to_read(aside_))) != checksum_)
    return failed("what arrived is not what was sent (checksum)");
  try {
    if (const auto found = hex(process::build_id_of_file(aside_)); found != build_id_) {
      return failed(fmt::format("it sent a file of build-id {}", found));
    }
  } catch (const std::runtime_error& error) {
    return failed(fmt::format("it sent a file that is no program: {}", error.what()));
  }
  if (rename(aside_.c_str(), path().c_str()) != 0) {
    return failed(fmt::format("cannot write {}: {}", path(), reason(errno)));
  }
  aside_.clear();
  return true;
}

// ---- fetching

void ProgramFetches::want(const std::string& build_id, NodeId first, const std::vector<NodeId>& members) {
  const auto [at, is_new] = fetches_.try_emplace(build_id);
  Fetch& fetch = at->second;
  if (first && first != self_ && (is_new || fetch.asked != first)) {
    std::erase(fetch.left, first);
    fetch.left.push_back(first);
    fetch.named.insert(first);
  }
  for (const NodeId member : members) {
    if (member != self_ && fetch.named.insert(member).second) fetch.left.insert(fetch.left.begin(), member);
  }
  if (!is_new) return;
  fetch.id = ++last_id_;
  next(build_id, fetch);
}

// A fetch whose last candidate has refused is erased here.
void ProgramFetches::next(const std::string& build_id, Fetch& fetch) {
  if (fetch.left.empty()) {
    const std::string why = fetch.refusals.empty() ? "no other member of the cluster could be asked for it"
                                                   : "no member of the cluster sent it:" + fetch.refusals;
    ends_.push_back({build_id, Error{.code = ErrorCode::build_mismatch, .message = why}});
    fetches_.erase(build_id);
    return;
  }
  fetch.asked = fetch.left.back();
  fetch.left.pop_back();
  fetch.incoming = std::make_unique<ProgramStore::Incoming>(store_, build_id);
  ask(build_id, fetch);
}

void ProgramFetches::ask(const std::string& build_id, const Fetch& fetch) {
  asks_.push_back({fetch.asked, {fetch.id, Topic::program, fetch.incoming->offset(), {build_id}}});
}

void ProgramFetches::refused(const std::string& build_id, NodeId by, const std::string& why) {
  Fetch& fetch = fetches_.at(build_id);
  fetch.refusals += fmt::format("{} {}: {}", fetch.refusals.empty() ? "" : ";", to_string(by), why);
  next(build_id, fetch);
}

void ProgramFetches::on_answer(NodeId from, const Answer& answer) {
  const auto at = std::ranges::find_if(
      fetches_, [&](const auto& entry) { return entry.second.id == answer.id && entry.second.asked == from; });
  if (at == fetches_.end()) return;
  auto& [build_id, fetch] = *at;
  const auto whole = fetch.incoming->take(answer);
  if (!whole.ok()) return refused(std::string(build_id), from, whole.error().message);
  if (!*whole) return ask(build_id, fetch);
  ends_.push_back({build_id, fetch.incoming->path()});
  fetches_.erase(at);
}

void ProgramFetches::lost(NodeId node, const std::string& why) {
  std::vector<std::string> of_it;
  for (auto& [build_id, fetch] : fetches_) {
    std::erase(fetch.left, node);
    if (fetch.asked == node) of_it.push_back(build_id);
  }
  for (const std::string& build_id : of_it) refused(build_id, node, why);
}

}  // namespace mobula::daemon
