// mobula submit: runs a program on a cluster, from wherever it lies.
#include "cli/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cluster_commands.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "runtime/process/modules.h"

namespace mobula::cli {
namespace {

constexpr Duration look_every = std::chrono::milliseconds(50);

struct SubmitArguments {
  AskOptions ask;
  std::vector<std::string> words;
  bool detach = false;
};

struct JobsArguments {
  AskOptions ask;
  std::string id;
  bool follow = false, cancel = false, json = false;
};

daemon::Answer ask_job(Asker& asker, std::vector<std::string> words, Duration patience) {
  auto answer = asker.visitor().ask_head({0, daemon::Topic::job, 0, std::move(words)}, patience);
  if (!answer.error.empty()) throw std::runtime_error(answer.error);
  return answer;
}

/// What a job has printed since the last call.
struct Reading {
  std::uint64_t out = 0, err = 0;  // bytes of it that were read, or are left out
  daemon::Row next(Asker& asker, const std::string& id, Duration patience) {
    auto answer = ask_job(asker, {"state", id, std::to_string(out), std::to_string(err)}, patience);
    daemon::Row row = answer.rows.empty() ? daemon::Row() : answer.rows[0];
    take(id, "standard output", out, field(row, 3), field(row, 5));
    write_result(field(row, 3));
    take(id, "standard error", err, field(row, 4), field(row, 6));
    write_message(field(row, 4));
    return row;
  }

 private:
  static void take(const std::string& id, const char* stream, std::uint64_t& read, const std::string& text,
                   const std::string& from) {
    const std::uint64_t begin = std::max<std::uint64_t>(read, std::strtoull(from.c_str(), nullptr, 10));
    if (begin > read) {
      write_message(
          fmt::format("mobula: {} bytes of the {} of {} are left out here: of what a job prints the head keeps "
                      "the newest (`mobula head --job-output`)\n",
                      begin - read, stream, id));
    }
    read = begin + text.size();
  }
};

int run_submit(const SubmitArguments& arguments) {
  const std::string& file = arguments.words.front();
  std::string build_id;
  try {
    build_id = fmt::format("{:016x}", process::build_id_of_file(file));
  } catch (const std::runtime_error& error) {
    throw UsageError(fmt::format("submit: {}", error.what()));
  }
  Asker asker(arguments.ask, "submit");
  asker.visitor().programs().know(build_id, file);
  std::vector<std::string> words{"submit", build_id, std::filesystem::path(file).filename()};
  words.insert(words.end(), arguments.words.begin() + 1, arguments.words.end());
  const Duration patience = arguments.ask.patience();
  const auto answer = ask_job(asker, std::move(words), patience);
  const std::string id = answer.rows.empty() ? std::string() : field(answer.rows[0], 0);
  if (!arguments.detach) return watch_job(asker, id, patience, true);
  // The program comes from here: not before it has arrived.
  for (;;) {
    const auto state = ask_job(asker, {"state", id}, patience);
    const daemon::Row& row = state.rows.at(0);
    if (field(row, 0) == "failed") throw std::runtime_error(fmt::format("submit: {}: {}", id, field(row, 2)));
    if (field(row, 0) != "fetching") break;
    asker.visitor().serve(look_every);
  }
  write_result(id + "\n");
  return done;
}

int run_jobs(const JobsArguments& arguments) {
  Asker asker(arguments.ask, "jobs");
  const Duration patience = arguments.ask.patience();
  if (arguments.id.empty()) {
    const auto answer = ask_job(asker, {"list"}, patience);
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    std::string text;
    for (const auto& row : answer.rows) {
      const bool ended = field(row, 2) == "ended";
      list.push_back({{"id", field(row, 0)},
                      {"name", field(row, 1)},
                      {"state", field(row, 2)},
                      {"status", ended ? nlohmann::ordered_json(static_cast<int>(number(row, 3))) : nullptr},
                      {"seconds", number(row, 4)}});
      text += fmt::format("{}  {}  {}{}\n", field(row, 0), field(row, 1), field(row, 2),
                          ended ? " with status " + field(row, 3) : "");
    }
    if (arguments.json) {
      write_json_line({{"jobs", list}});
    } else {
      write_result(text.empty() ? "no program was submitted\n" : text);
    }
    return done;
  }
  if (arguments.cancel) {
    static_cast<void>(ask_job(asker, {"cancel", arguments.id}, patience));
    return done;
  }
  if (arguments.follow) return watch_job(asker, arguments.id, patience, false);
  Reading reading;
  for (std::uint64_t before = 1; before != reading.out + reading.err;) {
    before = reading.out + reading.err;
    static_cast<void>(reading.next(asker, arguments.id, patience));
  }
  return done;
}

}  // namespace

int watch_job(Asker& asker, const std::string& id, Duration patience, bool cancels) {
  const Interrupt interrupt;
  Reading reading;
  bool cancelled = false;
  for (;;) {
    const daemon::Row row = reading.next(asker, id, patience);
    const std::string& state = field(row, 0);
    if (cancelled && (state == "ended" || state == "failed")) return interrupted;
    if (state == "failed") throw std::runtime_error(fmt::format("{}: {}", id, field(row, 2)));
    if (state == "ended") {
      if (!field(row, 2).empty()) write_message(fmt::format("mobula: {} was {}\n", id, field(row, 2)));
      return static_cast<int>(number(row, 1));
    }
    if (interrupt.requested() && !cancels) return interrupted;
    if (interrupt.requested() && !cancelled) {
      static_cast<void>(ask_job(asker, {"cancel", id}, patience));
      cancelled = true;
    }
    asker.visitor().serve(look_every, [&] { return !cancelled && interrupt.requested(); });
  }
}

Command add_submit(CLI::App& program) {
  auto arguments = std::make_shared<SubmitArguments>();
  CLI::App* app = program.add_subcommand("submit", "Run a program on a cluster, and return its exit status");
  app->add_option("program", arguments->words, "The program and its arguments; the file is sent there")
      ->required()
      ->type_name("PROGRAM [ARGUMENT...]");
  add_ask_options(*app, arguments->ask);
  app->add_flag("--detach", arguments->detach, "Print its id and return once it runs; see `mobula jobs`");
  app->footer(
      "Examples:\n"
      "  mobula submit --address @head.address ./simulate 100\n"
      "  mobula submit --detach --address HEAD:6390 --keys mobula.keys -- ./simulate --steps 100\n"
      "It runs on the head's machine with MOBULA_ADDRESS and MOBULA_KEYS set, in a folder of its own; Ctrl-C cancels\n"
      "it. Options of the program come after --.");
  return {app, [arguments] { return run_submit(*arguments); }};
}

Command add_jobs(CLI::App& program) {
  auto arguments = std::make_shared<JobsArguments>();
  CLI::App* app =
      program.add_subcommand("jobs", "Show the programs that were submitted to a cluster, and their output");
  app->add_option("id", arguments->id, "What this one has printed so far; default: list them all")->type_name("ID");
  add_ask_options(*app, arguments->ask);
  app->add_flag("--follow", arguments->follow, "Go on with what it prints until it ends, and return its exit status");
  app->add_flag("--cancel", arguments->cancel, "End it: SIGTERM, and after 5 s SIGKILL");
  app->add_flag("--json", arguments->json, "For programs: the list as one object, on one line");
  app->footer(
      "Examples:\n"
      "  mobula jobs --address @head.address\n"
      "  mobula jobs job1 --follow --address @head.address\n"
      "The head knows the last hundred that ended, as long as it runs.");
  return {app, [arguments] { return run_jobs(*arguments); }};
}

}  // namespace mobula::cli
