#include "runtime/daemon/private_folder.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <system_error>

#include "runtime/process/fd.h"

namespace mobula::daemon {
namespace {

std::string reason(int error) {
  return std::generic_category().message(error);
}

std::filesystem::path variable(const char* name) {
  const char* value = std::getenv(name);
  // (The rule of the XDG base directories: paths that are not absolute do not count.)
  return value != nullptr && value[0] == '/' ? value : "";
}

std::filesystem::path below_home(const char* xdg, const char* in_home) {
  if (const auto folder = variable(xdg); !folder.empty()) return folder / "mobula";
  if (const auto home = variable("HOME"); !home.empty()) return home / in_home / "mobula";
  return run_folder();
}

}  // namespace

Result<void> private_folder(const std::filesystem::path& folder) {
  const auto unusable = [&](const std::string& why) {
    return Error{.code = ErrorCode::unavailable,
                 .message = fmt::format("the folder {} cannot be used: {}", folder.string(), why)};
  };
  if (mkdir(folder.c_str(), 0700) != 0) {
    if (errno == ENOENT && folder.has_parent_path() && folder.parent_path() != folder) {
      if (auto above = private_folder(folder.parent_path()); !above) {
        // Those above may be open to others; they only have to be there.
        struct stat status {};
        if (stat(folder.parent_path().c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return above;
      }
      if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return unusable(reason(errno));
    } else if (errno != EEXIST) {
      return unusable(reason(errno));
    }
  }
  struct stat status {};
  if (lstat(folder.c_str(), &status) != 0) return unusable(reason(errno));
  if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0) {
    return unusable("it exists and is not a folder of this user alone (mode 0700)");
  }
  return {};
}

std::filesystem::path run_folder() {
  if (const auto folder = variable("XDG_RUNTIME_DIR"); !folder.empty()) return folder / "mobula";
  std::error_code none;
  const auto folder = std::filesystem::temp_directory_path(none);
  return (none ? std::filesystem::path("/tmp") : folder) / fmt::format("mobula-run-{}", geteuid());
}

std::filesystem::path program_cache_folder() {
  return below_home("XDG_CACHE_HOME", ".cache") / "programs";
}

std::filesystem::path log_folder() {
  return below_home("XDG_STATE_HOME", ".local/state") / "logs";
}

Result<void> write_whole(const std::filesystem::path& file, const std::string& text, unsigned mode) {
  const std::string aside = fmt::format("{}.{}.tmp", file.string(), getpid());
  const auto failed = [&](int error) {
    unlink(aside.c_str());
    return Error{.code = ErrorCode::unavailable,
                 .message = fmt::format("cannot write {}: {}", file.string(), reason(error))};
  };
  unlink(aside.c_str());
  const process::Fd fd(open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
  if (!fd.valid()) return failed(errno);
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = write(fd.get(), text.data() + done, text.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return failed(errno);
    done += static_cast<std::size_t>(written);
  }
  if (fchmod(fd.get(), mode) != 0 || rename(aside.c_str(), file.c_str()) != 0) return failed(errno);
  return {};
}

}  // namespace mobula::daemon
