#include "runtime/process/memory_group.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

#include <fmt/format.h>

#include "runtime/process/fd.h"

namespace mobula::process {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view prefix = "mobula-";
// What the kernel itself keeps for a process (page tables, pipes) and the lanes that it touches first.
constexpr std::uint64_t kernels_own = 16 << 20;

Error not_here(const std::string& why) {
  return {.code = ErrorCode::unavailable, .message = "no cgroup limits memory here: " + why};
}

std::vector<std::string> words(const std::string& line, char at) {
  std::vector<std::string> out;
  std::istringstream in(line);
  for (std::string word; std::getline(in, word, at);) out.push_back(word);
  return out;
}
bool has(const std::vector<std::string>& list, std::string_view word) {
  return std::find(list.begin(), list.end(), word) != list.end();
}

std::string read_file(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

Result<void> write_file(const fs::path& file, const std::string& text) {
  const Fd fd(open(file.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
  if (fd.valid() && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return {};
  return not_here(fmt::format("writing '{}' to {}: {}", text, file.string(), std::strerror(errno)));
}

// Where the group `path` of a hierarchy lies in the file system; empty if it is not mounted.
std::string mounted(std::string_view mountinfo, bool (*is_it)(const std::string& type, const std::string& options),
                    const std::string& path) {
  std::istringstream lines{std::string(mountinfo)};
  for (std::string line; std::getline(lines, line);) {
    // ID PARENT MAJOR:MINOR ROOT POINT OPTIONS ... - TYPE SOURCE OPTIONS
    const std::vector<std::string> fields = words(line, ' ');
    const auto dash = std::find(fields.begin(), fields.end(), "-");
    if (fields.size() < 6 || fields.end() - dash < 4 || !is_it(*(dash + 1), *(dash + 3))) continue;
    const std::string& root = fields[3];
    if (root == "/") return fields[4] + (path == "/" ? "" : path);
    if (path == root) return fields[4];
    if (path.starts_with(root + "/")) return fields[4] + path.substr(root.size());
  }
  return {};
}

std::string name_of(pid_t node, pid_t process) {
  return fmt::format("{}{}-{}-", prefix, node, process);
}

// Of the group's name; 0 if it is none of ours.
pid_t node_of(std::string_view name) {
  pid_t node = 0;
  if (!name.starts_with(prefix)) return 0;
  name.remove_prefix(prefix.size());
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), node);
  return error == std::errc() && end != name.data() + name.size() && *end == '-' ? node : 0;
}

bool lives(pid_t process) {
  return kill(process, 0) == 0 || errno != ESRCH;
}

}  // namespace

Result<MemoryPlace> memory_place(std::string_view cgroup, std::string_view mountinfo, bool prepare,
                                 const std::string& root) {
  std::string unified, memory;
  bool counted_by_first = false;
  std::istringstream lines{std::string(cgroup)};
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) unified = path;
    if (has(words(controllers, ','), "memory")) counted_by_first = true, memory = path;
  }
  if (counted_by_first) {
    const std::string at = mounted(
        mountinfo,
        [](const std::string& type, const std::string& options) {
          return type == "cgroup" && has(words(options, ','), "memory");
        },
        memory);
    if (at.empty()) return not_here("the memory controller is not mounted");
    if (access((root + at).c_str(), W_OK) != 0) return not_here(root + at + " cannot be written");
    return MemoryPlace{1, root + at};
  }
  const std::string at =
      unified.empty()
          ? std::string()
          : mounted(
                mountinfo, [](const std::string& type, const std::string&) { return type == "cgroup2"; }, unified);
  if (at.empty()) return not_here("no cgroup file system is mounted");
  const std::string directory = root + at;
  if (access(directory.c_str(), W_OK) != 0) return not_here(directory + " cannot be written");
  // Groups that have processes of their own do not share out memory, unless they are the root.
  const auto shares_out = [&] {
    std::string names = read_file(directory + "/cgroup.subtree_control");
    std::replace(names.begin(), names.end(), '\n', ' ');
    return has(words(names, ' '), "memory");
  };
  if (!shares_out() &&
      (!prepare || !write_file(directory + "/cgroup.subtree_control", "+memory").ok() || !shares_out())) {
    return not_here(directory + " does not share out memory among its children (cgroup.subtree_control)");
  }
  return MemoryPlace{2, directory};
}

Result<MemoryPlace> memory_place(bool prepare) {
  return memory_place(read_file("/proc/self/cgroup"), read_file("/proc/self/mountinfo"), prepare);
}

Result<void> MemoryGroup::write(const char* file, const std::string& text) const {
  return write_file(fs::path(directory_) / file, text);
}

void MemoryGroup::write_limit() const {
  const bool first = place_.version == 1;
  (void)write(first ? "memory.limit_in_bytes" : "memory.max",
              most_ != 0 ? std::to_string(most_) : std::string(first ? "-1" : "max"));
}

Result<void> MemoryGroup::limit(std::uint64_t bytes, pid_t process) {
  const std::lock_guard lock(mutex_);
  const std::string wanted = fmt::format("{}/{}{}", place_.directory, name_of(node_, process), bytes);
  const std::string before = directory_;
  if (wanted != before) {
    if (mkdir(wanted.c_str(), 0755) != 0 && errno != EEXIST) {
      return not_here(fmt::format("making {}: {}", wanted, std::strerror(errno)));
    }
    directory_ = wanted;
    if (Result<void> entered = write("cgroup.procs", std::to_string(process)); !entered) {
      rmdir(wanted.c_str());
      directory_ = before;
      return entered;
    }
    if (!before.empty()) rmdir(before.c_str());  // children of the process may still be in it
  }
  const std::string used =
      read_file(fs::path(directory_) / (place_.version == 1 ? "memory.usage_in_bytes" : "memory.current"));
  std::uint64_t now = 0;
  std::from_chars(used.data(), used.data() + used.size(), now);
  most_ = now + bytes + kernels_own;
  write_limit();
  return {};
}

void MemoryGroup::allow(std::uint64_t bytes) {
  const std::lock_guard lock(mutex_);
  if (most_ == 0) return;
  most_ += bytes;
  write_limit();
}

void MemoryGroup::lift() {
  const std::lock_guard lock(mutex_);
  if (most_ == 0) return;
  most_ = 0;
  write_limit();
}

std::optional<std::uint64_t> bury_memory_group(const MemoryPlace& place, pid_t node, pid_t process) {
  std::error_code error;
  std::optional<std::uint64_t> reached;
  const std::string begin = name_of(node, process);
  for (const auto& entry : fs::directory_iterator(place.directory, error)) {
    const std::string name = entry.path().filename();
    if (!name.starts_with(begin)) continue;
    std::istringstream events(read_file(entry.path() / (place.version == 1 ? "memory.oom_control" : "memory.events")));
    std::uint64_t killed = 0, limit = 0;
    for (std::string key, value; events >> key >> value;) {
      if (key == "oom_kill") std::from_chars(value.data(), value.data() + value.size(), killed);
    }
    std::from_chars(name.data() + begin.size(), name.data() + name.size(), limit);
    if (killed != 0) reached = limit;
    rmdir(entry.path().c_str());  // refused where children of the process live on
  }
  return reached;
}

void sweep_memory_groups(const MemoryPlace& place, pid_t node) {
  std::error_code error;
  std::vector<fs::path> groups;
  for (const auto& entry : fs::directory_iterator(place.directory, error)) {
    const pid_t of = node_of(entry.path().filename().string());
    if (of != 0 && (of == node || !lives(of))) groups.push_back(entry.path());
  }
  for (const fs::path& group : groups) rmdir(group.c_str());  // refused where processes are in it
}

}  // namespace mobula::process
