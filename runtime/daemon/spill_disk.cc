#include "runtime/daemon/spill_disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

#include "runtime/base/checksum.h"

namespace mobula::daemon {
namespace {

constexpr const char* prefix = "mobula-spill-";
constexpr const char* unborn = ".mobula-spill-";  // made, but not locked yet
constexpr time_t most_unborn = 60;                // seconds; then its maker has died
constexpr std::size_t part_bytes = 4 << 20;       // in one system call, a multiple of 32

std::string megabytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

std::string default_base() {
  std::error_code none;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(none);
  return (none ? std::filesystem::path("/tmp") : folder) / fmt::format("{}{}", prefix, geteuid());
}

std::string file_name(std::uint64_t file) {
  return fmt::format("{}.objects", file);
}

Error unusable(const std::string& base, const std::string& why) {
  return {.code = ErrorCode::unavailable,
          .message = fmt::format("the spill directory {} cannot be used: {}; give another one (spill_directory in "
                                 "StartOptions, --spill-dir), or an empty one to keep all objects in memory",
                                 base, why)};
}

std::string reason(int error) {
  return std::generic_category().message(error);
}

int open_folder(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

void remove_folder(const std::filesystem::path& path) {
  std::error_code none;
  std::filesystem::remove_all(path, none);  // does not follow links
}

}  // namespace

// ---- the folder

SpillFolder::SpillFolder(std::string base)
    : own_base_(base.empty()), base_(own_base_ ? default_base() : std::filesystem::absolute(base).string()) {}

SpillFolder::~SpillFolder() {
  if (!path_.empty()) remove_folder(path_);
}

void SpillFolder::sweep() const {
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(base_, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(prefix) && !name.starts_with(unborn)) continue;
    struct stat status {};
    if (lstat(entry.path().c_str(), &status) != 0 || !S_ISDIR(status.st_mode) || status.st_uid != geteuid()) continue;
    if (name.starts_with(unborn) && time(nullptr) - status.st_mtime < most_unborn) continue;
    const process::Fd folder(open_folder(entry.path()));
    if (folder.get() < 0 || flock(folder.get(), LOCK_EX | LOCK_NB) != 0) continue;  // someone lives there
    remove_folder(entry.path());
  }
}

Result<void> SpillFolder::open() {
  if (!path_.empty()) return {};
  std::error_code failed;
  if (own_base_) {
    // Others may write where it lies: it must be ours and nobody else's, whoever made it.
    if (mkdir(base_.c_str(), 0700) != 0 && errno != EEXIST) return unusable(base_, reason(errno));
    struct stat status {};
    if (lstat(base_.c_str(), &status) != 0) return unusable(base_, reason(errno));
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
      return unusable(base_, "it exists and is not a folder of this user alone (mode 0700)");
    }
  } else if (std::filesystem::create_directories(base_, failed); failed) {
    return unusable(base_, failed.message());
  }
  sweep();
  std::string path = fmt::format("{}/{}XXXXXX", base_, unborn);
  if (mkdtemp(path.data()) == nullptr) return unusable(base_, reason(errno));
  fd_ = process::Fd(open_folder(path));
  std::string born = path;
  born.erase(path.find(unborn, base_.size()), 1);  // the dot
  if (fd_.get() < 0 || flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 || rename(path.c_str(), born.c_str()) != 0) {
    const int error = errno;
    remove_folder(path);
    return unusable(base_, reason(error));
  }
  path_ = born;
  return {};
}

// ---- the thread

SpillDisk::SpillDisk(std::string directory, std::function<void()> wake)
    : folder_(std::move(directory)), wake_(std::move(wake)) {
  folder_.sweep();
}

SpillDisk::~SpillDisk() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
}

void SpillDisk::write(std::uint64_t file, std::vector<object::Pin> objects) {
  add(Write{file, std::move(objects)});
}
void SpillDisk::read(const wire::ObjectLocation& name, const SpillPlace& place, const object::Draft& draft) {
  add(ReadJob{place, {name, draft, {}}});
}
void SpillDisk::remove(std::uint64_t file) {
  add(Remove{file});
}

void SpillDisk::add(Job job) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  changed_.notify_one();
  if (thread_.joinable()) return;
  thread_ = std::thread([this] {
    pthread_setname_np(pthread_self(), "mobula-spill");
    run();
  });
}

void SpillDisk::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    std::visit([this](auto& one) { perform(one); }, job);
    lock.lock();
  }
}

void SpillDisk::done(Done result) {
  const std::lock_guard lock(mutex_);
  done_.push_back(std::move(result));
  wake_();
}

std::deque<SpillDisk::Done> SpillDisk::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(done_, {});
}

void SpillDisk::perform(Write& job) {
  Written written{job.file, write_file(job)};
  job.objects.clear();  // let go before the node looks who reads them
  done(std::move(written));
}
void SpillDisk::perform(ReadJob& job) {
  job.read.result = read_object(job);
  done(std::move(job.read));
}
void SpillDisk::perform(Remove& job) {
  unlinkat(folder_.fd(), file_name(job.file).c_str(), 0);
}

// ---- the files

Result<std::vector<SpillPlace>> SpillDisk::write_file(const Write& job) {
  if (auto opened = folder_.open(); !opened.ok()) return opened.error();
  std::uint64_t total = 0;
  for (const object::Pin& pin : job.objects) total += pin.bytes().size();
  const std::string aside = file_name(job.file) + ".part";
  const auto failed = [&](int error) -> Error {
    struct statvfs disk {};
    const bool known = fstatvfs(folder_.fd(), &disk) == 0;
    unlinkat(folder_.fd(), aside.c_str(), 0);
    const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
    return {.code = full ? ErrorCode::disk_full : ErrorCode::unavailable,
            .message = fmt::format(
                "writing {} objects of together {} to {} failed: {}{}; make room there, give another directory "
                "(spill_directory in StartOptions, --spill-dir), or drop references that are no longer needed",
                job.objects.size(), megabytes(total), folder_.base(), reason(error),
                known ? fmt::format(" ({} of {} are free there)", megabytes(disk.f_bavail * disk.f_frsize),
                                    megabytes(disk.f_blocks * disk.f_frsize))
                      : "")};
  };
  const process::Fd file(
      openat(folder_.fd(), aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) return failed(errno);
  // A full disk shows before anything is written, where the file system can tell.
  if (total > 0 && fallocate(file.get(), 0, 0, static_cast<off_t>(total)) != 0 && errno != EOPNOTSUPP &&
      errno != ENOSYS) {
    return failed(errno);
  }
  std::vector<SpillPlace> places;
  std::uint64_t at = 0;
  for (const object::Pin& pin : job.objects) {
    SpillPlace& place = places.emplace_back();
    if (!pin) continue;
    place = {job.file, at, pin.bytes().size(), 0};
    for (std::span<const std::byte> rest = pin.bytes(); !rest.empty();) {
      std::span<const std::byte> part = rest.first(std::min(part_bytes, rest.size()));
      rest = rest.subspan(part.size());
      place.checksum = checksum(part, place.checksum);
      while (!part.empty()) {
        const ssize_t written = pwrite(file.get(), part.data(), part.size(), static_cast<off_t>(at));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return failed(written == 0 ? ENOSPC : errno);
        at += static_cast<std::uint64_t>(written);
        part = part.subspan(static_cast<std::size_t>(written));
      }
    }
  }
  if (renameat(folder_.fd(), aside.c_str(), folder_.fd(), file_name(job.file).c_str()) != 0) return failed(errno);
  return places;
}

Result<void> SpillDisk::read_object(const ReadJob& job) {
  const std::string name = file_name(job.place.file);
  const auto lost = [&](const std::string& why) -> Error {
    return {.code = ErrorCode::object_lost,
            .message = fmt::format("reading an object of {} back from {}/{}: {}", megabytes(job.place.bytes),
                                   folder_.path(), name, why)};
  };
  const process::Fd file(openat(folder_.fd(), name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.get() < 0) return lost(reason(errno));
  std::uint64_t sum = 0;
  auto at = static_cast<off_t>(job.place.offset);
  for (std::span<std::byte> rest = job.read.draft.bytes; !rest.empty();) {
    const std::span<std::byte> part = rest.first(std::min(part_bytes, rest.size()));
    rest = rest.subspan(part.size());
    for (std::span<std::byte> left = part; !left.empty();) {
      const ssize_t size = pread(file.get(), left.data(), left.size(), at);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) return lost(reason(errno));
      if (size == 0) return lost("the file ends before its object does");
      at += size;
      left = left.subspan(static_cast<std::size_t>(size));
    }
    sum = checksum(part, sum);
  }
  if (sum != job.place.checksum) {
    return lost(
        "its bytes are not those that were written (the checksum is wrong); something else wrote to that "
        "file, or the disk is damaged");
  }
  return {};
}

}  // namespace mobula::daemon
