#include "rl/train/cpu_meter.h"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
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

/// Every process of /proc: its parent, and the time of its children that it has waited for.
std::vector<Stat> processes() {
  std::vector<Stat> found;
  const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream in(entry.path() / "stat");
    std::string line;
    if (!std::getline(in, line)) continue;
    // The command's name may hold spaces and parentheses; the fields after it begin behind the last ')'.
    std::istringstream fields(line.substr(line.rfind(')') + 1));
    std::string word;
    Stat stat;
    stat.pid = static_cast<pid_t>(std::stol(name));
    for (int field = 3; field <= 17 && fields >> word; ++field) {  // proc(5) numbers them so
      if (field == 4) stat.parent = static_cast<pid_t>(std::stol(word));
      if (field >= 16) stat.of_ended_children += tick * std::stod(word);
    }
    found.push_back(stat);
  }
  return found;
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
  before_ = family().seconds;
  own_before_ = used_by(RUSAGE_SELF);
}

void CpuMeter::report(const ProcessTime& worker) {
  Reported& known = reported_[{worker.host, worker.pid}];
  if (worker.cpu_seconds < known.of_the_last) known.of_earlier_actors += known.of_the_last;
  known.of_the_last = worker.cpu_seconds;
}

double CpuMeter::reported_seconds() const {
  double total = used_by(RUSAGE_SELF) - own_before_;
  for (const auto& [process, seconds] : reported_) {
    if (process == std::pair(this_host(), static_cast<std::int32_t>(::getpid()))) continue;
    total += seconds.of_earlier_actors + seconds.of_the_last;
  }
  return total;
}

double CpuMeter::seconds() const {
  const Family all = family();
  double total = all.seconds - before_;
  for (const auto& [process, seconds] : reported_) {
    // A worker of a runtime that others use, too, is no descendant.
    if (process.first == this_host() && all.processes.contains(process.second)) continue;
    total += seconds.of_earlier_actors + seconds.of_the_last;
  }
  return total;
}

CpuMeter::Family CpuMeter::family() {
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
  return {{family.begin(), family.end()}, total};
}

}  // namespace mobula::rl
