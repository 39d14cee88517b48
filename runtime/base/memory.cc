#include "runtime/base/memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <optional>
#include <sstream>

namespace mobula {

namespace {

constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();

std::optional<std::uint64_t> number_in(const std::string& path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  if (file >> number) return number;
  return std::nullopt;  // no such file, or "max"
}

std::uint64_t left_in_group(const std::string& folder) {
  const auto limit = number_in(folder + "/memory.max");
  if (!limit) return unlimited;
  const std::uint64_t used = number_in(folder + "/memory.current").value_or(0);
  return *limit > used ? *limit - used : 0;
}

std::uint64_t available_by_meminfo(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  std::string key, unit;
  std::uint64_t kib = 0;
  while (file >> key >> kib) {
    if (key == "MemAvailable:") return kib * 1024;
    std::getline(file, unit);
  }
  return unlimited;
}

}  // namespace

std::uint64_t available_memory(const std::string& root) {
  std::uint64_t available = available_by_meminfo(root);
  std::ifstream groups(root + "/proc/self/cgroup");
  std::string line;
  while (std::getline(groups, line)) {
    if (!line.starts_with("0::")) continue;  // the unified hierarchy
    std::string path = line.substr(3);
    for (;;) {
      if (path == "/") path.clear();
      available = std::min(available, left_in_group(root + "/sys/fs/cgroup" + path));
      if (path.empty()) break;
      path.erase(path.find_last_of('/'));
    }
  }
  return available;
}

}  // namespace mobula
