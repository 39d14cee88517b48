// Kills a worker process of the calling program.
#pragma once

#include <dirent.h>
#include <mobula/random.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace mobula::rl {

// Processes that run tasks for this one: children of its zygote.
inline std::vector<pid_t> workers_now() {
  std::map<pid_t, pid_t> parent_of;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  while (const dirent* entry = proc ? readdir(proc.get()) : nullptr) {
    std::ifstream file("/proc/" + std::string(entry->d_name) + "/stat");
    std::string line;
    if (!std::getline(file, line) || line.rfind(')') == std::string::npos) continue;
    std::istringstream after(line.substr(line.rfind(')') + 1));
    char state = 0;
    pid_t parent = 0;
    if (after >> state >> parent && state != 'Z') parent_of[std::stoi(line)] = parent;
  }
  std::vector<pid_t> workers;
  for (const auto& [pid, parent] : parent_of) {
    const auto above = parent_of.find(parent);
    if (above != parent_of.end() && above->second == getpid()) workers.push_back(pid);
  }
  return workers;
}

// One at random, by SIGKILL; false if there is none.
inline bool kill_a_worker(Random& random) {
  const std::vector<pid_t> workers = workers_now();
  if (workers.empty()) return false;
  ::kill(workers[random.below(static_cast<std::uint32_t>(workers.size()))], SIGKILL);
  return true;
}

}  // namespace mobula::rl
