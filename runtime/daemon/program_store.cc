#include "runtime/daemon/program_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
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

class Mapped {
 public:
  explicit Mapped(const std::string& file) : fd_(open(file.c_str(), O_RDONLY | O_CLOEXEC)) {
    struct stat status {};
    if (!fd_.valid() || fstat(fd_.get(), &status) != 0 || status.st_size <= 0) return;
    size_ = static_cast<std::size_t>(status.st_size);
    void* at = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, fd_.get(), 0);
    if (at != MAP_FAILED) data_ = static_cast<const std::byte*>(at);
  }
  ~Mapped() {
    if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  std::span<const std::byte> bytes() const {
    return data_ == nullptr ? std::span<const std::byte>() : std::span(data_, size_);
  }

 private:
  process::Fd fd_;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

bool is_this_build(const std::string& file, const std::string& build_id) {
  try {
    return hex(process::build_id_of_file(file)) == build_id;
  } catch (const std::runtime_error&) {
    return false;
  }
}

// Makes room for one more: those that were used longest ago go.
void prune(const std::filesystem::path& folder) {
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> files;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (is_build_id(entry.path().filename())) files.emplace_back(entry.last_write_time(none), entry.path());
  }
  std::ranges::sort(files);
  for (std::size_t i = 0; i + ProgramStore::most_files <= files.size(); ++i) {
    std::filesystem::remove(files[i].second, none);
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
  if (!is_this_build(file, build_id)) return {};
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
  const Mapped mapped(file);
  const auto bytes = mapped.bytes();
  if (bytes.empty()) {
    answer.error = fmt::format("its file {} cannot be read", file);
    return answer;
  }
  Sum& sum = sums_[build_id];
  if (sum.bytes != bytes.size()) sum = {bytes.size(), checksum(bytes)};
  const std::size_t from = std::min<std::size_t>(question.number, bytes.size());
  const auto part = bytes.subspan(from, std::min(program_chunk, bytes.size() - from));
  answer.number = bytes.size();
  answer.rows = {{std::string(reinterpret_cast<const char*>(part.data()), part.size()), hex(sum.checksum)}};
  return answer;
}

// ---- what arrives

ProgramStore::Incoming::Incoming(const std::filesystem::path& folder, std::string build_id)
    : folder_(folder), build_id_(std::move(build_id)) {}

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
    if (auto folder = private_folder(folder_); !folder) return failed(folder.error().message);
    prune(folder_);
    aside_ = folder_ / fmt::format(".{}.{}.XXXXXX", build_id_, getpid());
    fd_ = mkostemp(aside_.data(), O_CLOEXEC);
    if (fd_ < 0) return failed(fmt::format("cannot write in {}: {}", folder_.string(), reason(errno)));
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
  const Mapped mapped(aside_);
  if (hex(checksum(mapped.bytes())) != checksum_) return failed("what arrived is not what was sent (checksum)");
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
  if (fetches_.contains(build_id)) return;
  Fetch& fetch = fetches_[build_id];
  fetch.id = ++last_id_;
  for (auto member = members.rbegin(); member != members.rend(); ++member) {
    if (*member != first && *member != self_) fetch.left.push_back(*member);
  }
  if (first && first != self_) fetch.left.push_back(first);
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
  fetch.incoming = std::make_unique<ProgramStore::Incoming>(store_.folder(), build_id);
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
