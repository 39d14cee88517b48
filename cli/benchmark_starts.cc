// Rows of processes: how soon a runtime and an actor answer, and what they weigh.
#include <dirent.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "bench/micro/errand.h"
#include "cli/benchmark_cases.h"

namespace mobula::cli {

namespace {

using bench::Case;
using bench::Measure;

void nothing() {}

struct Idle {
  void nothing() {}
};

/// Memory of a process that nobody else has, in MB, but for the arena of objects.
double private_mb(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/smaps", pid));
  double kib = 0;
  bool counts = true;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string key;
    double value = 0;
    words >> key;
    if (key.empty()) continue;
    if (key.back() != ':') {  // a mapping begins: its addresses, and at the end its name
      counts = line.find("mobula-arena") == std::string::npos;
    } else if (counts && (key == "Private_Clean:" || key == "Private_Dirty:") && words >> value) {
      kib += value;
    }
  }
  return kib / 1024;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> out;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(opendir("/proc"), closedir);
  while (const dirent* entry = proc ? readdir(proc.get()) : nullptr) {
    std::ifstream file(fmt::format("/proc/{}/stat", entry->d_name));
    std::string line;
    if (!std::getline(file, line) || line.rfind(')') == std::string::npos) continue;
    std::istringstream after(line.substr(line.rfind(')') + 1));
    char state = 0;
    pid_t its_parent = 0;
    if (after >> state >> its_parent && its_parent == parent) out.push_back(std::stoi(line));
  }
  return out;
}

double threads_of(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/status", pid));
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("Threads:")) return std::stod(line.substr(8));
  }
  throw bench::CannotMeasure(fmt::format("/proc/{}/status does not tell its threads", pid));
}

/// The processes that run tasks for this one: children of its zygote.
std::vector<pid_t> workers_now() {
  std::vector<pid_t> out;
  for (const pid_t zygote : children_of(getpid())) {
    for (const pid_t worker : children_of(zygote)) out.push_back(worker);
  }
  return out;
}

std::vector<pid_t> workers() {
  std::vector<pid_t> out = workers_now();
  if (out.empty()) throw bench::CannotMeasure("/proc shows no worker processes");
  return out;
}

/// Actors, each in a process that was made for it. When there are many they are killed, all together and while nothing
/// is measured, and nothing goes on before their processes have gone.
class Crowd {
 public:
  explicit Crowd(BenchmarkBed& bed) : bed_(bed) {}

  /// How long it takes that so many more have answered a call.
  std::chrono::nanoseconds grow(std::size_t count) {
    std::vector<Ref<void>> answers;
    answers.reserve(count);
    const std::size_t first = actors_.size();
    const auto begin = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < count; ++i) actors_.push_back(bed_.runtime->spawn<Idle>());
    for (std::size_t i = first; i < actors_.size(); ++i) answers.push_back(actors_[i].call<&Idle::nothing>());
    for (const auto& answer : answers) answer.get();
    const auto time = std::chrono::steady_clock::now() - begin;
    if (actors_.size() >= most) end();
    return time;
  }

 private:
  static constexpr std::size_t most = 200;

  void end() {
    const std::size_t before = workers_now().size();
    for (const auto& actor : actors_) bed_.runtime->kill(actor);
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (workers_now().size() + actors_.size() > before && std::chrono::steady_clock::now() < patience) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    actors_.clear();
  }

  BenchmarkBed& bed_;
  std::vector<Actor<Idle>> actors_;
};

enum Footprint : int { driver_mb, worker_mb, worker_threads, growth_mb };

/// Runs in a process of its own, which has nothing but a runtime.
double footprint(int what, const StartOptions& options, std::size_t tasks) {
  const double before = private_mb(getpid());
  const auto runtime = Runtime::start(options);
  for (int i = 0; i < 100; ++i) runtime.remote<nothing>().get();
  const auto run = [&](std::size_t count) {
    for (std::size_t done = 0; done < count; done += 1000) {
      std::vector<Ref<void>> refs;
      for (int i = 0; i < 1000; ++i) refs.push_back(runtime.remote<nothing>());
      for (const auto& ref : refs) ref.get();
    }
  };
  if (what == growth_mb) {
    run(tasks / 10);
    const double warm = private_mb(getpid());
    run(tasks);
    return private_mb(getpid()) - warm;
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // for what an idle runtime looks like
  if (what == driver_mb) return private_mb(getpid()) - before;
  double most = 0;
  for (const pid_t worker : workers()) {
    most = std::max(most, what == worker_mb ? private_mb(worker) : threads_of(worker));
  }
  return most;
}

}  // namespace

void add_start_cases(BenchmarkBed& bed, std::vector<Case>& cases) {
  Case& start = cases.emplace_back(
      measured("start_to_first_result", "Runtime::start and the result of a task", Measure::latency, "", 1, [] {}));
  start.once = [&bed] {
    const auto begin = std::chrono::steady_clock::now();
    const auto runtime = Runtime::start(bed.start);
    runtime.remote<nothing>().get();
    return std::chrono::steady_clock::now() - begin;  // its end is not counted
  };

  const auto crowd = std::make_shared<Crowd>(bed);
  Case& actor =
      cases.emplace_back(measured("actor_start", "spawn of an actor in a new process, and the result of its first call",
                                  Measure::latency, "fork_rtt", 1, [] {}));
  actor.once = [crowd] { return crowd->grow(1); };

  const std::size_t count = bed.many(200);
  Case& actors = cases.emplace_back(measured("actors_per_second",
                                             fmt::format("{} actors in new processes, and a call of each", count),
                                             Measure::rate, "forks", static_cast<double>(count), [] {}));
  actors.once = [crowd, count] { return crowd->grow(count); };

  // A new process each time: one that had a runtime before keeps some of its memory.
  const std::size_t tasks = bed.many(10'000'000);
  const auto ask = bed.errand([&bed, tasks](int what) {
    bench::Errand fresh([&](int again) { return footprint(again, bed.start, tasks); });
    return fresh.ask(what);
  });
  const auto weigh = [&](const char* name, const std::string& about, const char* unit, Footprint what) {
    Case& row = cases.emplace_back();
    row.name = name;
    row.group = "mobula";
    row.about = about;
    row.measure = Measure::amount;
    row.unit = unit;
    row.amount = [ask, what] { return ask(what); };
  };
  weigh("idle_footprint_mb", "private memory that head and node add to a driver, arena not counted", "MB", driver_mb);
  weigh("worker_private_mb", "private memory of an idle worker process", "MB", worker_mb);
  weigh("worker_threads", "threads of an idle worker process", "threads", worker_threads);
  weigh("growth_10m_mb", fmt::format("by which a driver has grown after {} tasks", tasks), "MB", growth_mb);
}

}  // namespace mobula::cli
