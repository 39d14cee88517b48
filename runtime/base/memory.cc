#include "runtime/base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <vector>

namespace mobula {

namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

std::optional<std::uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;  // no such file, or "max"
}

/// The number behind a word, in lines of words and numbers.
std::uint64_t entry_in(const std::string& path, const std::string& wanted) {
  std::ifstream file(path);
  std::string key, rest;
  std::uint64_t number = 0;
  while (file >> key >> number) {
    if (key == wanted) return number;
    std::getline(file, rest);
  }
  return 0;
}

/// What the two versions call the same things.
struct Names {
  const char *limit, *used, *reclaimable;
};
constexpr Names names_v1{"/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file"};
constexpr Names names_v2{"/memory.max", "/memory.current", "inactive_file"};

bool names_memory(const std::string& controllers) {
  return ("," + controllers + ",").find(",memory,") != std::string::npos;
}

/// The machine first, then each group that has a limit, from the inside out.
std::vector<MemoryUse> memories(const std::string& root) {
  std::vector<MemoryUse> all;
  const std::uint64_t available = entry_in(root + "/proc/meminfo", "MemAvailable:") * 1024;
  const std::uint64_t total = std::max(available, entry_in(root + "/proc/meminfo", "MemTotal:") * 1024);
  if (available != 0) all.push_back({total - available, total, "this machine"});
  std::ifstream groups(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {  // "4:memory:/path" of the first version, "0::/path" of the second
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (!controllers.empty() && !names_memory(controllers)) continue;
    const Names& names = controllers.empty() ? names_v2 : names_v1;
    const std::string folder = root + (controllers.empty() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    std::string path = line.substr(second + 1);
    for (;;) {
      if (path == "/") path.clear();
      const std::string group = folder + path;
      // (The first version writes "no limit" as a number that no machine has.)
      const auto limit = number_in(group + names.limit);
      if (limit && (total == 0 || *limit <= total || controllers.empty())) {
        const std::uint64_t used = number_in(group + names.used).value_or(0);
        const std::uint64_t reclaimable = entry_in(group + "/memory.stat", names.reclaimable);
        all.push_back({used - std::min(used, reclaimable), *limit, "the cgroup " + (path.empty() ? "/" : path)});
      }
      if (path.empty()) break;
      path.erase(path.find_last_of('/'));
    }
  }
  return all;
}

}  // namespace

MemoryUse fullest_memory(const std::string& root) {
  MemoryUse fullest;
  double most = -1;
  for (const MemoryUse& memory : memories(root)) {
    const double part =
        static_cast<double>(memory.used) / static_cast<double>(std::max<std::uint64_t>(memory.limit, 1));
    if (part <= most) continue;
    most = part;
    fullest = memory;
  }
  return fullest;
}

std::uint64_t available_memory(const std::string& root) {
  std::uint64_t available = unlimited;
  for (const MemoryUse& memory : memories(root)) {
    available = std::min(available, memory.limit - std::min(memory.used, memory.limit));
  }
  return available;
}

std::uint64_t private_memory(int pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/statm");
  std::uint64_t size = 0, resident = 0, shared = 0;
  if (!(file >> size >> resident >> shared)) return 0;
  return (resident - std::min(resident, shared)) * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace mobula
