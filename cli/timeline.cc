// mobula timeline: what every worker does for a while, as a trace that Perfetto and chrome://tracing open.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>

#include "cli/ask.h"
#include "cli/cluster_commands.h"
#include "cli/interrupt.h"
#include "cli/options.h"
#include "cli/output.h"
#include "rl/train/files.h"

namespace mobula::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Arguments {
  AskOptions ask;
  std::string output;
  double seconds = 10;
  std::uint64_t most = 1'000'000;
};

constexpr Duration answer_patience = std::chrono::seconds(1);
constexpr Duration look_every = std::chrono::milliseconds(25);

// Events in the Trace Event Format, times in microseconds since the first answer.
class Trace {
 public:
  explicit Trace(std::uint64_t most) : most_(most) {}

  /// `offset_ns`: to be added to the node's clock to get that of this process.
  void add(int process, const std::string& node, const daemon::Answer& answer, std::int64_t offset_ns, Time now) {
    if (named_.insert({{process, -1}, true}).second) name("process_name", process, 0, node);
    for (const auto& row : answer.rows) {
      if (field(row, 0).empty() && field(row, 1) == "missed") {
        missed_ += static_cast<std::uint64_t>(number(row, 2));
      } else if (field(row, 0).empty()) {
        event({{"ph", "C"},
               {"name", "queued"},
               {"pid", process},
               {"ts", us(now.time_since_epoch().count())},
               {"args", {{"requests", number(row, 1)}}}});
      } else {
        const int pid = static_cast<int>(number(row, 3));
        if (named_.insert({{process, pid}, true}).second) {
          name("thread_name", process, pid, fmt::format("worker {}", pid));
        }
        const auto begin = std::stoll(field(row, 1)) + offset_ns, end = std::stoll(field(row, 2)) + offset_ns;
        ++tasks_;
        event({{"ph", "X"},
               {"name", field(row, 0)},
               {"cat", "task"},
               {"pid", process},
               {"tid", pid},
               {"ts", us(begin)},
               {"dur", static_cast<double>(end - begin) / 1000},
               {"args", {{"attempt", number(row, 4)}}}});
      }
    }
  }
  std::uint64_t tasks() const { return tasks_; }
  std::uint64_t missed() const { return missed_; }
  Json json() const {
    return {{"displayTimeUnit", "ms"}, {"traceEvents", events_}, {"otherData", {{"missed", missed_}}}};
  }

 private:
  double us(std::int64_t ns) {
    if (origin_ == 0) origin_ = ns;
    return static_cast<double>(ns - origin_) / 1000;
  }
  void name(const char* what, int process, int thread, const std::string& text) {
    event({{"ph", "M"}, {"name", what}, {"pid", process}, {"tid", thread}, {"args", {{"name", text}}}});
  }
  void event(Json&& one) {
    if (events_.size() >= most_) {
      ++missed_;
    } else {
      events_.push_back(std::move(one));
    }
  }
  const std::uint64_t most_;
  std::int64_t origin_ = 0;
  std::uint64_t tasks_ = 0, missed_ = 0;
  std::map<std::pair<int, int>, bool> named_;
  Json events_ = Json::array();
};

// A pipe or a device is written where it is, a file aside and renamed: nobody reads half a trace.
bool is_special(const std::string& output) {
  std::error_code unknown;
  const auto status = std::filesystem::status(output, unknown);
  return std::filesystem::exists(status) && !std::filesystem::is_regular_file(status);
}

// Told before ten seconds of recording, not after.
void check_writable(const std::string& output) {
  const std::string tried = is_special(output) ? output : output + ".new";
  if (!std::ofstream(tried, std::ios::app)) {
    throw UsageError(fmt::format("timeline: {} cannot be written: {}", output, std::generic_category().message(errno)));
  }
  if (tried != output) std::filesystem::remove(tried);
}

void write(const std::string& output, const std::string& text) {
  if (!is_special(output)) return rl::write_file(output, text);
  std::ofstream file(output, std::ios::app);
  file << text << std::flush;
  if (!file) throw std::runtime_error(fmt::format("timeline: {} cannot be written", output));
}

int run(const Arguments& arguments) {
  check_writable(arguments.output);
  Asker asker(arguments.ask, "timeline");
  Trace trace(arguments.most);
  const Interrupt interrupt;
  std::set<NodeId> silent;
  std::map<NodeId, int> processes;
  bool told = false;
  const Time end =
      steady_now() + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(arguments.seconds));
  const daemon::Question question{.id = 0, .topic = daemon::Topic::timeline, .number = 0, .words = {}};
  for (bool last = false; !last;) {
    last = interrupt.requested() || steady_now() >= end;
    for (const auto& member : asker.status().members) {
      // A number of its own for each node, also when others come and go.
      const int process = processes.try_emplace(member.view.node, static_cast<int>(processes.size()) + 1).first->second;
      if (silent.contains(member.view.node)) continue;
      const Time before = steady_now();
      const auto answer = asker.visitor().ask({member.view.node}, question, answer_patience).begin()->second;
      const Time after = steady_now();
      if (!answer.error.empty()) {
        silent.insert(member.view.node);  // not waited for again
        continue;
      }
      // Clocks of machines have nothing to do with each other: its answer was written half way.
      const auto there = static_cast<std::int64_t>(answer.number);
      const std::int64_t half = before.time_since_epoch().count() + (after - before).count() / 2;
      trace.add(process, member.view.name, answer, half - there, after);
    }
    // (From the first questions on workers write down what they do.)
    if (!std::exchange(told, true)) {
      write_message(fmt::format("Recording for {:g} s; Ctrl-C ends it.\n", arguments.seconds));
    }
    if (!last) asker.visitor().serve(look_every, [&] { return interrupt.requested(); });
  }
  write(arguments.output, trace.json().dump(-1, ' ', false, Json::error_handler_t::replace) + '\n');
  write_message(fmt::format("{} tasks and calls in {}{}; open it at https://ui.perfetto.dev\n", trace.tasks(),
                            arguments.output,
                            trace.missed() == 0 ? "" : fmt::format(", {} more found no room", trace.missed())));
  return done;
}

}  // namespace

Command add_timeline(CLI::App& program) {
  auto arguments = std::make_shared<Arguments>();
  CLI::App* app = program.add_subcommand("timeline", "Record what every worker does, as a trace for Perfetto");
  app->add_option("--output,-o", arguments->output, "The trace (JSON)")->required()->type_name("FILE");
  app->add_option("--seconds", arguments->seconds, "How long; Ctrl-C ends it before")
      ->check(number_in(0, 86400))
      ->capture_default_str();
  app->add_option("--events", arguments->most, "At most so many")
      ->check(whole_number(1, 100000000))
      ->capture_default_str();
  add_ask_options(*app, arguments->ask);
  app->footer(
      "Examples:\n"
      "  mobula timeline -o trace.json --seconds 5 --address @head.address\n"
      "Only while it is asked for do workers write down what they do: 4096 calls each, between two looks.");
  return {app, [arguments] { return run(*arguments); }};
}

}  // namespace mobula::cli
