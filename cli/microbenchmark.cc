#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>

#include "cli/benchmark_rows.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"

namespace mobula::cli {
namespace {

// In the order in which it is written here.
using Json = nlohmann::ordered_json;

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const auto colon = line.find(": ");
    return colon == std::string::npos ? "" : line.substr(colon + 2);
  }
  return "";
}

Json machine() {
  utsname system{};
  uname(&system);
  const std::string model = cpu_model();
  return {{"cpu", model.empty() ? Json() : Json(model)},
          {"cpus", std::thread::hardware_concurrency()},
          {"memory_bytes", sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE)},
          {"system", fmt::format("{} {}", system.sysname, system.release)},
          {"compiler", __VERSION__},
#ifdef NDEBUG
          {"assertions", false}};
#else
          {"assertions", true}};
#endif
}

Json number(const std::optional<double>& value) {
  return value ? Json(*value) : Json();
}

void print_json(const std::vector<BenchmarkRow>& rows) {
  Json list = Json::array();
  for (const BenchmarkRow& row : rows) {
    list.push_back({{"name", row.name},
                    {"per_second", number(row.per_second)},
                    {"p50_us", number(row.p50_us)},
                    {"p99_us", number(row.p99_us)},
                    {"floor", row.floor.empty() ? Json() : Json(row.floor)},
                    {"ratio", number(row.ratio)}});
  }
  write_result(Json{{"machine", machine()}, {"rows", list}}.dump(2) + "\n");
}

std::string cell(const std::optional<double>& value, int decimals) {
  return value ? fmt::format("{:.{}f}", *value, decimals) : "-";
}

void print_table(const std::vector<BenchmarkRow>& rows) {
  std::string text = fmt::format("{:<22} {:>12} {:>12} {:>12}  {:<16} {:>7}\n", "", "per second", "p50 us", "p99 us",
                                 "floor", "ratio");
  for (const BenchmarkRow& row : rows) {
    text += fmt::format("{:<22} {:>12} {:>12} {:>12}  {:<16} {:>7}\n", row.name,
                        cell(row.per_second, row.per_second > 100 ? 0 : 2), cell(row.p50_us, 2), cell(row.p99_us, 2),
                        row.floor.empty() ? "-" : row.floor, cell(row.ratio, 3));
  }
  write_result(text);
}

}  // namespace

Command add_microbenchmark(CLI::App& program) {
  CLI::App* app = program.add_subcommand("microbenchmark",
                                         "Measure tasks, actors and objects beside what the machine itself takes");
  struct Arguments {
    BenchmarkOptions options;
    bool json = false;
  };
  auto arguments = std::make_shared<Arguments>();
  app->add_flag("--json", arguments->json, "Print {\"machine\", \"rows\"} for programs; unknown values are null");
  app->add_option("--rounds", arguments->options.rounds, "How often everything is measured")
      ->check(whole_number(1, 10000))
      ->capture_default_str();
  app->add_option("--workers", arguments->options.workers, "Worker processes (default: one a cpu)")
      ->check(whole_number(1, 4096));
  app->footer(
      "Examples:\n"
      "  mobula microbenchmark\n"
      "  mobula microbenchmark --rounds 5 --workers 1 --json\n\n"
      "Every round measures all rows one after the other, so that a noisy neighbour hits\n"
      "them alike. The last rows are the floors: bare round trips of 64 bytes between two\n"
      "processes (a Unix socket, ZeroMQ over ipc, a futex, our lanes), messages in batches\n"
      "over a lane, and a memcpy of 100 MB into touched shared memory.\n\n"
      "ratio, against the row named as floor: of a latency, p50 over the floor's p50 (0.5\n"
      "is twice as fast); of a rate (task_async, actor_async), the part of the floor's\n"
      "number a second; of put_100mb, the part of memcpy's speed.");
  return {app, [arguments] {
            const std::vector<BenchmarkRow> rows = benchmark_rows(arguments->options);
            arguments->json ? print_json(rows) : print_table(rows);
            return done;
          }};
}

}  // namespace mobula::cli
