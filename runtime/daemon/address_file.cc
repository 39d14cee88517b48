#include "runtime/daemon/address_file.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <fstream>
#include <sstream>
#include <system_error>
#include <thread>

#include "runtime/daemon/private_folder.h"
#include "runtime/process/fd.h"

namespace mobula::daemon {
namespace {

// When the process began, in ticks since the machine did; 0: there is none.
std::uint64_t start_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string text;
  std::getline(file, text);
  // The second field is a name in parentheses that may hold anything.
  std::istringstream rest(text.substr(std::min(text.size(), text.rfind(')') + 1)));
  std::string field;
  for (int i = 3; i <= 22; ++i) rest >> field;
  std::uint64_t ticks = 0;
  std::from_chars(field.data(), field.data() + field.size(), ticks);
  return rest ? ticks : 0;
}

bool is_address(const std::string& text) {
  const auto colon = text.rfind(':');
  return colon != std::string::npos && colon > 0 && colon + 1 < text.size() && text.find(' ') == std::string::npos;
}

template <class Number>
void read_number(const std::string& text, Number& number) {
  std::from_chars(text.data(), text.data() + text.size(), number);
}

}  // namespace

Running this_daemon() {
  Running self;
  self.pid = getpid();
  self.started = start_of(self.pid);
  return self;
}

Result<void> write_address_file(const std::filesystem::path& file, const Running& what) {
  return write_whole(file, fmt::format("{}\nhead {}\nkeys {}\nname {}\npid {}\nstarted {}\n", what.address, what.head,
                                       what.keys, what.name, what.pid, what.started));
}

Result<Running> read_address_file(const std::filesystem::path& file) {
  const auto invalid = [&](const std::string& why) {
    return Error{.code = ErrorCode::invalid, .message = fmt::format("the address file {}: {}", file.string(), why)};
  };
  std::ifstream in(file);
  if (!in) {
    return invalid(std::generic_category().message(errno) +
                   "; `mobula head --address-file FILE` writes it and removes it at its end");
  }
  Running what;
  if (!std::getline(in, what.address) || !is_address(what.address)) {
    return invalid("its first line is not HOST:PORT; give a file that `mobula head --address-file FILE` wrote");
  }
  for (std::string line; std::getline(in, line);) {
    const auto space = std::min(line.size(), line.find(' '));
    const std::string name = line.substr(0, space), value = line.substr(std::min(line.size(), space + 1));
    if (name == "head") what.head = value;
    if (name == "keys") what.keys = value;
    if (name == "name") what.name = value;
    if (name == "pid") read_number(value, what.pid);
    if (name == "started") read_number(value, what.started);
  }
  return what;
}

AddressFile::AddressFile(std::filesystem::path file, const Running& what) : file_(std::move(file)), what_(what) {
  write_address_file(file_, what_).value();
}

AddressFile::~AddressFile() {
  const auto now = read_address_file(file_);
  if (now.ok() && now->pid == what_.pid && now->started == what_.started) unlink(file_.c_str());
}

std::filesystem::path own_record() {
  return run_folder() / fmt::format("{}.node", getpid());
}

Result<HeadAt> head_at(const std::string& address, const std::string& keys, Duration patience) {
  if (!address.starts_with('@')) return HeadAt{address, keys};
  const std::filesystem::path file = address.substr(1);
  const Time until = steady_now() + patience;
  for (;;) {
    const auto found = read_address_file(file);
    if (found.ok()) {
      const std::string& of = found->head.empty() ? found->address : found->head;
      return HeadAt{of, keys.empty() ? found->keys : keys};
    }
    if (std::filesystem::exists(file) || steady_now() >= until) return found.error();
    // (Nothing tells of a file that appears on a disk that machines share.)
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

bool lives(const Running& what) {
  if (what.pid <= 0 || what.started == 0 || start_of(what.pid) != what.started) return false;
  struct stat status {};
  return stat(fmt::format("/proc/{}", what.pid).c_str(), &status) == 0 && status.st_uid == geteuid();
}

std::vector<Running> running_here() {
  std::vector<Running> found;
  std::error_code none;
  // What others may write says nothing about whom to signal.
  const std::filesystem::path folder = run_folder();
  struct stat status {};
  const auto is_ours = [&](const std::filesystem::path& path, mode_t type) {
    return lstat(path.c_str(), &status) == 0 && (status.st_mode & S_IFMT) == type && status.st_uid == geteuid();
  };
  if (!is_ours(folder, S_IFDIR) || (status.st_mode & 077) != 0) return found;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    if (entry.path().extension() != ".node" || !is_ours(entry.path(), S_IFREG)) continue;
    const auto what = read_address_file(entry.path());
    if (what.ok() && lives(*what)) {
      found.push_back(*what);
    } else {
      std::filesystem::remove(entry.path(), none);
    }
  }
  std::ranges::sort(found, {}, [](const Running& one) { return std::pair(one.started, one.pid); });
  return found;
}

Result<Stopped> stop(const Running& what, Duration grace) {
  const process::Fd process(static_cast<int>(syscall(SYS_pidfd_open, what.pid, 0)));
  // The descriptor first: from here on the number cannot come to mean another process.
  if (!process.valid() || !lives(what)) return Stopped::was_gone;
  const auto signal_and_wait = [&](int number, Duration patience) -> Result<bool> {
    if (syscall(SYS_pidfd_send_signal, process.get(), number, nullptr, 0) != 0 && errno != ESRCH) {
      return Error{
          .code = ErrorCode::unavailable,
          .message = fmt::format("cannot end process {}: {}", what.pid, std::generic_category().message(errno))};
    }
    pollfd end{process.get(), POLLIN, 0};
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(patience).count();
    return ::poll(&end, 1, static_cast<int>(ms)) > 0;
  };
  const auto ended = signal_and_wait(SIGTERM, grace);
  if (!ended.ok()) return ended.error();
  if (*ended) return Stopped::ended;
  const auto killed = signal_and_wait(SIGKILL, std::chrono::seconds(10));
  if (!killed.ok()) return killed.error();
  if (*killed) return Stopped::killed;
  return Error{
      .code = ErrorCode::unavailable,
      .message = fmt::format("process {} is still there 10 s after SIGKILL: the kernel does not let it go", what.pid)};
}

}  // namespace mobula::daemon
