#include "cli/benchmark_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>

#include "cli/benchmark_cases.h"
#include "cli/command.h"
#include "runtime/config/nearest.h"

namespace mobula::cli {

namespace {

std::vector<bench::Case> all_cases(BenchmarkBed& bed) {
  std::vector<bench::Case> cases;
  add_call_cases(bed, cases);
  add_start_cases(bed, cases);
  add_object_cases(bed, cases);
  add_together_cases(bed, cases);
  add_node_cases(bed, cases);
  add_ray_cases(bed, cases);
  for (bench::Case& floor : bed.floors.cases()) cases.push_back(std::move(floor));
  return cases;
}

void check_names(const std::vector<std::string>& only, const std::vector<bench::Case>& cases) {
  std::vector<std::string> names;
  for (const bench::Case& row : cases) {
    names.push_back(row.name);
    if (std::find(names.begin(), names.end(), row.group) == names.end()) names.push_back(row.group);
  }
  for (const std::string& word : only) {
    if (std::find(names.begin(), names.end(), word) != names.end()) continue;
    throw UsageError(fmt::format("microbenchmark: --only: there is no row '{}'{} (--list shows them all)", word,
                                 config::did_you_mean(word, names)));
  }
}

}  // namespace

std::vector<bench::Case> chosen_cases(std::vector<bench::Case> cases, const std::vector<std::string>& only) {
  if (only.empty()) return cases;
  check_names(only, cases);
  std::set<std::string> names;
  for (const bench::Case& row : cases) {
    if (std::find(only.begin(), only.end(), row.name) == only.end() &&
        std::find(only.begin(), only.end(), row.group) == only.end()) {
      continue;
    }
    names.insert(row.name);
    names.insert(row.floor);
  }
  std::erase_if(cases, [&](const bench::Case& row) { return !names.contains(row.name); });
  return cases;
}

bench::RunOptions run_options(const BenchmarkOptions& options, std::size_t cases) {
  bench::RunOptions run;
  run.trials = options.quick ? 1 : options.trials;
  run.turns = options.quick ? 1 : run.turns;
  run.trial_time = std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(options.quick ? 0.001 : options.seconds));
  run.warm_up = options.quick ? std::chrono::nanoseconds(0) : run.trial_time / 4;
  run.begins = [cases, tell = options.tell, trials = run.trials, time = run.trial_time](int trial) {
    if (!tell) return;
    const double minutes = static_cast<double>(cases) * std::chrono::duration<double>(time).count() / 60;
    tell(trial == 0 ? fmt::format("{} rows, {} trials of about {:.1f} minutes", cases, trials, minutes)
                    : fmt::format("trial {} of {}", trial, trials));
  };
  return run;
}

std::vector<bench::Case> benchmark_list() {
  BenchmarkBed bed;
  return all_cases(bed);
}

std::vector<bench::Figures> benchmark_rows(const BenchmarkOptions& options) {
  BenchmarkBed bed(options.quick);
  bed.start.workers =
      options.workers > 0 ? options.workers : static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  bed.start.resources = {{"benchmark", 1000}};
  const std::vector<bench::Case> cases = chosen_cases(all_cases(bed), options.only);
  bed.fork();
  bed.runtime.emplace(Runtime::start(bed.start));

  return bench::run(cases, run_options(options, cases.size()));
}

std::optional<double> figure_of(const BenchmarkTarget& target, const std::vector<bench::Figures>& rows) {
  const auto find = [&](const std::string& name) {
    return std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return row.name == name; });
  };
  const auto row = find(target.row);
  if (row == rows.end()) return std::nullopt;
  switch (target.figure) {
    case BenchmarkTarget::ratio:
      return row->ratio;
    case BenchmarkTarget::per_second:
      return row->per_second;
    case BenchmarkTarget::p50_us:
      return row->p50_us;
    case BenchmarkTarget::amount:
      return row->amount;
    case BenchmarkTarget::over_floor_us: {
      const auto floor = find(row->floor);
      if (floor == rows.end() || !row->p50_us || !floor->p50_us) return std::nullopt;
      return *row->p50_us - *floor->p50_us;
    }
    case BenchmarkTarget::p99_to_floor: {
      const auto floor = find(row->floor);
      if (floor == rows.end() || !row->p99_us || !floor->p99_us) return std::nullopt;
      return *row->p99_us / *floor->p99_us;
    }
  }
  return std::nullopt;
}

}  // namespace mobula::cli
