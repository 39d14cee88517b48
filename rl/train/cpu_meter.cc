#include "rl/train/cpu_meter.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

namespace mobula::rl {
namespace {

double seconds_of(const timeval& t) {
  return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
}

double used_by(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

const std::string& this_host() {
  static const std::string name = [] {
    char text[256] = {};
    ::gethostname(text, sizeof text - 1);
    return std::string(text);
  }();
  return name;
}

struct Stat {
  pid_t pid = 0, parent = 0;
  double of_ended_children = 0;
};

/// From /proc: its parent, and the time of its children that it has waited for. Nothing if it is gone.
std::optional<Stat> stat_of(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  // The command's name may hold spaces and parentheses; the fields after it begin behind the last ')'.
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  std::string word;
  Stat stat{.pid = pid};
  for (int field = 3; field <= 17 && fields >> word; ++field) {  // proc(5) numbers them so
    if (field == 4) stat.parent = static_cast<pid_t>(std::stol(word));
    if (field >= 16) stat.of_ended_children += tick * std::stod(word);
  }
  return stat;
}

std::vector<Stat> processes() {
  std::vector<Stat> found;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    if (const auto stat = stat_of(static_cast<pid_t>(std::stol(name)))) found.push_back(*stat);
  }
  return found;
}

bool descends_from_this(pid_t pid) {
  while (pid > 1 && pid != ::getpid()) {
    const auto stat = stat_of(pid);
    pid = stat ? stat->parent : 0;
  }
  return pid == ::getpid();
}

}  // namespace

ProcessTime ProcessTime::here() {
  return {this_host(), static_cast<std::int32_t>(::getpid()), used_by(RUSAGE_SELF)};
}

ProcessTime ProcessTime::since(const ProcessTime& start) {
  ProcessTime time = here();
  time.cpu_seconds -= start.cpu_seconds;
  return time;
}

CpuMeter::CpuMeter() {
  static std::atomic<bool> later = false;
  if (!later.exchange(true)) return;
  before_ = of_family();
  own_before_ = used_by(RUSAGE_SELF);
}

void CpuMeter::report(const ProcessTime& worker) {
  const auto [entry, is_new] = reported_.try_emplace({worker.host, worker.pid});
  Reported& known = entry->second;
  if (is_new) known.of_family = worker.host == this_host() && descends_from_this(worker.pid);
  if (worker.cpu_seconds < known.of_the_last) known.of_earlier_actors += known.of_the_last;
  known.of_the_last = worker.cpu_seconds;
}

double CpuMeter::reported_seconds() const {
  double total = used_by(RUSAGE_SELF) - own_before_;
  for (const auto& [process, reported] : reported_) {
    if (process != std::pair(this_host(), static_cast<std::int32_t>(::getpid()))) total += reported.seconds();
  }
  return total;
}

double CpuMeter::seconds() const {
  double total = of_family() - before_;
  // On other machines, and workers of a runtime that others use, too.
  for (const auto& [process, reported] : reported_) {
    if (!reported.of_family) total += reported.seconds();
  }
  return total;
}

double CpuMeter::of_family() {
  double total = used_by(RUSAGE_SELF) + used_by(RUSAGE_CHILDREN);
  const auto all = processes();
  std::vector<pid_t> family{::getpid()};
  for (std::size_t i = 0; i < family.size(); ++i) {
    for (const Stat& stat : all) {
      if (stat.parent != family[i]) continue;
      family.push_back(stat.pid);
      total += stat.of_ended_children;
      clockid_t clock;
      timespec used{};
      if (::clock_getcpuclockid(stat.pid, &clock) == 0 && ::clock_gettime(clock, &used) == 0) {
        total += static_cast<double>(used.tv_sec) + 1e-9 * static_cast<double>(used.tv_nsec);
      }
    }
  }
  return total;
}

}  // namespace mobula::rl
