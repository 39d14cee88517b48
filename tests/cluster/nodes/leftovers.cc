#include "tests/cluster/nodes/leftovers.h"

#include <filesystem>
#include <fstream>

namespace {
std::set<std::string> names_in(const char* folder) {
  std::set<std::string> names;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder, missing)) names.insert(entry.path());
  return names;
}
}  // namespace

std::set<std::string> leftovers() {
  std::set<std::string> found;
  for (const char* folder : {"/dev/shm", "/dev/mqueue", "/tmp", "/run"}) found.merge(names_in(folder));
  std::ifstream sockets("/proc/net/unix");
  for (std::string line; std::getline(sockets, line);) {
    const auto name = line.find_first_of("/@");
    if (name != std::string::npos) found.insert("socket " + line.substr(name));
  }
  return found;
}

std::vector<std::string> left_since(const std::set<std::string>& before, const std::string& program) {
  std::vector<std::string> added;
  for (const auto& name : leftovers()) {
    const bool named = name.find("mobula") != std::string::npos || name.find(program) != std::string::npos;
    if (!before.contains(name) && (named || !name.starts_with("/tmp/"))) added.push_back(name);
  }
  return added;
}
