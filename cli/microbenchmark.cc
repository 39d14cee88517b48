#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "cli/benchmark_learning.h"
#include "cli/benchmark_peers.h"
#include "cli/benchmark_rows.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/table.h"

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

// The fields up to `ratio` are what scripts rely on; what a row adds to them, it adds after them.
Json json_of(const bench::Figures& row) {
  Json out{{"name", row.name},
           {"per_second", number(row.per_second)},
           {"p50_us", number(row.p50_us)},
           {"p99_us", number(row.p99_us)},
           {"floor", row.floor.empty() ? Json() : Json(row.floor)},
           {"ratio", number(row.ratio)},
           {"sd", number(row.sd)},
           {"n", row.n}};
  if (!row.unit.empty()) {
    out["amount"] = number(row.amount);
    out["unit"] = row.unit;
  }
  if (!row.missing.empty()) out["missing"] = row.missing;
  if (!row.note.empty()) out["note"] = row.note;
  return out;
}

Json json_of(const PeerFigure& peer, const bench::Figures& ours) {
  Json out{{"peer", peer.peer},
           {"per_second", number(peer.per_second)},
           {"p50_us", number(peer.p50_us)},
           {"times_as_fast", number(times_as_fast(ours, peer))}};
  if (!peer.missing.empty()) out["missing"] = peer.missing;
  return out;
}

void print_json(const std::vector<bench::Figures>& rows, const std::optional<std::vector<PeerFigure>>& peers) {
  Json list = Json::array();
  for (const bench::Figures& row : rows) {
    list.push_back(json_of(row));
    if (!peers) continue;
    Json& beside = list.back()["peers"] = Json::array();
    for (const PeerFigure& peer : *peers) {
      if (peer.row == row.name) beside.push_back(json_of(peer, row));
    }
  }
  write_result(Json{{"machine", machine()}, {"rows", list}}.dump(2) + "\n");
}

std::string cell(const std::optional<double>& value) {
  return value ? short_number(*value) : "-";
}

std::vector<std::string> cells(const bench::Figures& row) {
  return {row.name,         row.amount ? cell(row.amount) + " " + row.unit : cell(row.per_second),
          cell(row.sd),     cell(row.p50_us),
          cell(row.p99_us), row.floor.empty() ? "-" : row.floor,
          cell(row.ratio)};
}

const std::vector<std::string> heads{"row", "per second", "sd", "p50 us", "p99 us", "floor", "ratio"};

void print_table(const std::vector<bench::Figures>& rows) {
  std::vector<std::vector<std::string>> table{heads};
  std::string notes;
  for (const bench::Figures& row : rows) {
    table.push_back(cells(row));
    if (!row.missing.empty()) notes += fmt::format("{} could not be measured: {}\n", row.name, row.missing);
    if (!row.note.empty()) notes += fmt::format("{}: {}\n", row.name, row.note);
  }
  write_result(aligned(table) + notes);
}

std::vector<std::vector<std::string>> peer_table(const std::vector<bench::Figures>& rows,
                                                 const std::vector<PeerFigure>& peers) {
  std::vector<std::vector<std::string>> table{{"row", "peer", "per second", "p50 us", "times as fast"}};
  for (const bench::Figures& row : rows) {
    for (const PeerFigure& peer : peers) {
      if (peer.row != row.name) continue;
      table.push_back({row.name, peer.peer, peer.missing.empty() ? cell(peer.per_second) : "missing: " + peer.missing,
                       cell(peer.p50_us), cell(times_as_fast(row, peer))});
    }
  }
  return table;
}

std::string markdown_line(const std::vector<std::string>& cells) {
  return fmt::format("| {} |\n", fmt::join(cells, " | "));
}

// The tables of docs/internals/performance.md.
void print_markdown(const std::vector<bench::Figures>& rows, const std::vector<BenchmarkTarget>& targets,
                    const char* others) {
  const Json about = machine();
  std::string text = fmt::format("Machine: {}, {} cpus, {:.0f} GiB, {}. Compiler {}.\n\n",
                                 about["cpu"].is_null() ? "unknown" : about["cpu"].get<std::string>(),
                                 about["cpus"].get<unsigned>(), about["memory_bytes"].get<double>() / (1u << 30),
                                 about["system"].get<std::string>(), about["compiler"].get<std::string>());
  text += fmt::format("| figure | row | wanted | here | met | {} |\n|---|---|---|---|---|---|\n", others);
  for (const BenchmarkTarget& target : targets) {
    const std::optional<double> here = figure_of(target, rows);
    const bool met = here && (target.at_most ? *here <= target.limit : *here >= target.limit);
    text +=
        markdown_line({target.text, "`" + target.row + "`",
                       fmt::format("{} {}", target.at_most ? "at most" : "at least", cell(target.limit)), cell(here),
                       !here ? "not measured"
                       : met ? "yes"
                             : "**no**",
                       target.ray});
  }
  text += "\n" + markdown_line(heads) + "|---|---|---|---|---|---|---|\n";
  for (const bench::Figures& row : rows) {
    std::vector<std::string> line = cells(row);
    for (const std::size_t name : {0, 5}) {
      if (line[name] != "-") line[name] = "`" + line[name] + "`";
    }
    text += markdown_line(line);
  }
  std::string notes;
  for (const bench::Figures& row : rows) {
    if (!row.note.empty()) notes += fmt::format("{}`{}`: {}", notes.empty() ? "\n" : "; ", row.name, row.note);
  }
  write_result(text + notes + (notes.empty() ? "" : ".\n"));
}

void print_peers_markdown(const std::vector<bench::Figures>& rows, const std::vector<PeerFigure>& peers) {
  const auto table = peer_table(rows, peers);
  std::string text = "\n" + markdown_line(table[0]) + "|---|---|---|---|---|\n";
  for (std::size_t i = 1; i < table.size(); ++i) text += markdown_line(table[i]);
  write_result(text);
}

void print_list(const std::vector<bench::Case>& rows) {
  std::vector<std::vector<std::string>> table{{"row", "group", "floor", "what is done"}};
  for (const bench::Case& row : rows) {
    table.push_back({row.name, row.group, row.floor.empty() ? "-" : row.floor, row.about});
  }
  write_result(aligned(table));
}

struct Arguments {
  BenchmarkOptions options;
  std::string what = "runtime", task;
  bool json = false, markdown = false, list = false, peers = false;
};

int run_microbenchmark(Arguments arguments) {
  if (!arguments.task.empty()) run_training_task(arguments.task);
  const bool learning = arguments.what == "rl";
  if (arguments.list) {
    print_list(learning ? learning_list() : benchmark_list());
    return done;
  }
  if (arguments.peers && !learning) {
    throw UsageError("microbenchmark: --peers: only of rl; bench/compare/run measures Ray beside the runtime");
  }
  arguments.options.tell = [](const std::string& line) { write_message("mobula microbenchmark: " + line + "\n"); };
  const std::vector<bench::Figures> rows =
      learning ? learning_rows(arguments.options) : benchmark_rows(arguments.options);
  std::optional<std::vector<PeerFigure>> peers;
  if (arguments.peers) peers = measure_peers(rows, arguments.options.quick, arguments.options.tell);
  if (arguments.json) {
    print_json(rows, peers);
  } else if (arguments.markdown) {
    print_markdown(rows, learning ? learning_targets() : benchmark_targets(),
                   learning ? "peers on a machine of this class" : "Ray 2.60; ray-cpp");
    if (peers) print_peers_markdown(rows, *peers);
  } else {
    print_table(rows);
    if (peers) write_result("\n" + aligned(peer_table(rows, *peers)));
  }
  return done;
}

}  // namespace

Command add_microbenchmark(CLI::App& program) {
  CLI::App* app = program.add_subcommand("microbenchmark",
                                         "Measure the runtime, or learning, beside what the machine itself takes");
  auto arguments = std::make_shared<Arguments>();
  BenchmarkOptions& options = arguments->options;
  app->add_option("WHAT", arguments->what, "runtime: tasks, actors, objects; rl: learning, environments, sampling")
      ->check(one_of({"runtime", "rl"}))
      ->capture_default_str();
  app->add_flag("--json", arguments->json, "Print {\"machine\", \"rows\"} for programs; unknown values are null");
  app->add_flag("--markdown", arguments->markdown, "Print what was promised and what was measured, for the docs");
  app->add_flag("--list", arguments->list, "Show what can be measured, and measure nothing");
  app->add_option("--only", options.only,
                  "Rows, or groups of them (mobula, ray, rl, floors): a,b; their floors come along")
      ->delimiter(',');
  app->add_option("--trials", options.trials, "How often everything is measured")
      ->check(whole_number(1, 10000))
      ->capture_default_str();
  app->add_option("--seconds", options.seconds, "Of each row in a trial")
      ->check(number_in(0.001, 3600))
      ->capture_default_str();
  app->add_flag("--quick", options.quick, "Try everything once, with a hundredth of the things; no figures to keep");
  app->add_option("--workers", options.workers, "Worker processes (default: one a cpu)")->check(whole_number(1, 4096));
  app->add_flag("--peers", arguments->peers,
                "Of rl: also other libraries, as far as the Python that $MOBULA_PEERS_PYTHON names has them");
  app->add_option("--task", arguments->task, "A program that rows of rl are about")->group("");
  app->footer(
      "Examples:\n"
      "  mobula microbenchmark\n"
      "  mobula microbenchmark --only task_sync,task_async --trials 2 --json\n"
      "  mobula microbenchmark --only ray --workers 1\n"
      "  mobula microbenchmark rl --only cartpole_solved,ppo_sample_pass\n\n"
      "A trial goes round all rows several times, so that a noisy neighbour hits a row and\n"
      "its floor alike. per second and sd are the mean and the deviation of the trials; p50\n"
      "and p99 are of all operations. Floors are bare measurements of the machine: round\n"
      "trips of 64 bytes between two processes (a Unix socket, ZeroMQ over ipc, a futex, our\n"
      "lanes), forks, copies of memory, a TCP stream.\n\n"
      "ratio, against the row named as floor: of a latency, p50 over the floor's p50 (0.5\n"
      "is twice as fast); of a rate, the part of the floor's number a second; of put_* and\n"
      "node_transfer, the part of the floor's speed.\n\n"
      "Rows of rl count processor time, but for sampling_*, weights_broadcast, start_* and\n"
      "*_2_threads, which are by the clock. Their floor `sgemm` counts floating-point operations: ratio is\n"
      "the part of its rate that a row reaches by its own operations, of a latency how many\n"
      "times as long it takes.\n\n"
      "The rows of group ray have the names and the counting of `ray microbenchmark`: some\n"
      "count a thousand tasks as one.");
  return {app, [arguments] { return run_microbenchmark(*arguments); }};
}

}  // namespace mobula::cli
