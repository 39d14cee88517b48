// The records of a run: that they say what happened, and that they agree with one another wherever the run was stopped.

#include "rl/train/run_log.h"

#include <gmock/gmock.h>

#include <fstream>
#include <optional>

#include "rl/train/records.h"
#include "tests/support/small_disk.h"
#include "tests/unit/train/run_records.h"
#include "tests/unit/train/scratch.h"
#include "tests/unit/train/small_run.h"

namespace mobula::rl {
namespace {

using testing::ElementsAre;
using testing::IsSupersetOf;

TrainOptions written(TrainOptions options, const std::filesystem::path& folder) {
  options.write = true;
  options.run_directory = folder;
  options.evaluate.every = 2;
  options.evaluate.episodes = 2;
  return options;
}

std::vector<std::string> kinds(const std::filesystem::path& run) {
  std::vector<std::string> all;
  for (const auto& event : events(run / "events.jsonl")) all.push_back(event.at("event"));
  return all;
}

TEST(RunLog, TellsWhatHappenedInItsOrder) {
  const Scratch scratch;
  Runtime runtime = in_process();
  auto options = written(small_cartpole(), scratch / "run");
  options.stop.env_steps = 256 * 3;
  options.checkpoint.every = 2;
  train(runtime, options);
  EXPECT_THAT(kinds(scratch / "run"), ElementsAre("started", "iteration", "iteration", "checkpoint", "iteration",
                                                  "evaluation", "checkpoint", "evaluation", "finished"));
  const auto all = events(scratch / "run/events.jsonl");
  for (const auto& event : all) {
    EXPECT_THAT(event.at("time").get<std::string>(), testing::MatchesRegex("2...-..-..T..:..:..\\....Z"));
    EXPECT_TRUE(event.at("iteration").is_number_integer());
    EXPECT_TRUE(event.at("env_steps").is_number_integer());
  }
  EXPECT_EQ(all[0].at("seed"), 0);
  EXPECT_EQ(all[0].at("algorithm"), "ppo");
  EXPECT_EQ(all[1].at("env_steps"), 256);
  EXPECT_TRUE(all[1].at("statistics").at("entropy").is_number());
  EXPECT_EQ(all[3].at("file"), "checkpoints/000000000002.checkpoint");
  EXPECT_EQ(all[3].at("bytes"), std::filesystem::file_size(scratch / "run/checkpoints/000000000002.checkpoint"));
  EXPECT_EQ(all[5].at("iteration"), 2);
  EXPECT_EQ(all[5].at("policy"), "trained");
  EXPECT_FALSE(all[5].at("final"));
  EXPECT_EQ(all[5].at("metrics").at("return").at("n"), 2);
  EXPECT_TRUE(all[7].at("final"));
  EXPECT_EQ(all[8].at("stopped_by"), "env_steps");
}

TEST(RunLog, TellsWhereEachConstraintStandsAndWhatWasFound) {
  const Scratch scratch;
  Runtime runtime = in_process();
  auto options = written(small_intersection(), scratch / "run");
  options.fairness.constraints = {{.metric = "mean_wait_gap", .at_most = 100}};
  options.evaluate.episodes = 6;
  options.evaluate.every = 0;
  train(runtime, options);
  const auto states = events_of_kind(scratch / "run/events.jsonl", "constraint");
  ASSERT_EQ(states.size(), 2u * 6) << "two signs, six iterations";
  EXPECT_EQ(states[0].at("metric"), "mean_wait_gap");
  EXPECT_EQ(states[0].at("part"), "main - side");
  EXPECT_EQ(states[0].at("limit"), 100);
  EXPECT_EQ(states[0].at("multiplier"), 0);
  EXPECT_TRUE(states[0].at("bound").is_null()) << "no episode has ended yet";
  EXPECT_TRUE(states.back().at("bound").is_number());

  const auto evaluations = events_of_kind(scratch / "run/events.jsonl", "evaluation");
  ASSERT_EQ(evaluations.size(), 2u);
  const auto result = nlohmann::json::parse(read_file(scratch / "run/result.json"));
  EXPECT_EQ(evaluations[0].at("constraints"), result.at("constraints"));
  for (const auto* key : {"metric", "groups", "limit", "value", "ci95", "n", "verdict", "reason"}) {
    EXPECT_TRUE(result.at("constraints").at(0).contains(key)) << key;
  }
  const std::string verdict = result.at("constraints").at(0).at("verdict");
  EXPECT_THAT(verdict, testing::AnyOf("passed", "failed", "not enough evidence"));
  EXPECT_EQ(events(scratch / "run/events.jsonl").back().at("verdict"), verdict);
  for (const auto* policy : {"trained", "fixed_time"}) {
    EXPECT_TRUE(result.at("policies").at(policy).at("mean_wait_gap").at("value").is_number()) << policy;
  }
}

TEST(RunLog, IsDrawnByTensorBoard) {
  const Scratch scratch;
  Runtime runtime = in_process();
  auto options = written(small_intersection(), scratch / "run");
  options.fairness.constraints = {{.metric = "mean_wait_gap", .at_most = 100}};
  options.evaluate.episodes = 6;
  train(runtime, options);
  const auto drawn = scalars(scratch / "run");
  const auto rows = csv_rows(scratch / "run/progress.csv");
  ASSERT_EQ(rows.size(), 6u);
  for (const auto& [column, first] : rows[0]) {
    if (column == "env_steps") continue;
    const bool fairness = column.starts_with("fairness.");
    const std::string tag = fairness ? "fairness/" + column.substr(9) : "train/" + column;
    std::vector<std::pair<std::int64_t, double>> expected;
    for (const auto& row : rows) {
      if (!row.at(column).empty()) expected.emplace_back(std::stoll(row.at("env_steps")), std::stod(row.at(column)));
    }
    if (expected.empty()) continue;
    ASSERT_TRUE(drawn.contains(tag)) << tag;
    const auto& points = drawn.at(tag);
    ASSERT_EQ(points.size(), expected.size()) << tag;
    for (std::size_t i = 0; i < points.size(); ++i) {
      EXPECT_EQ(points[i].first, expected[i].first) << tag;
      EXPECT_NEAR(points[i].second, expected[i].second,
                  1e-6 * (1e-3 + std::abs(expected[i].second)) + 6e-4 * (column == "wall_seconds"))
          << tag;
    }
  }
  int compared = 0;
  for (const auto& row : csv_rows(scratch / "run/evaluations.csv")) {
    for (const auto& [column, suffix] :
         {std::pair("value", ""), std::pair("low", "/low"), std::pair("high", "/high")}) {
      if (row.at(column).empty()) continue;
      const std::string tag = "evaluation/" + row.at("policy") + "/" + row.at("metric") + suffix;
      ASSERT_TRUE(drawn.contains(tag)) << tag;
      const auto step = std::stoll(row.at("env_steps"));
      const auto& points = drawn.at(tag);
      const auto point = std::find_if(points.begin(), points.end(), [&](const auto& p) { return p.first == step; });
      ASSERT_NE(point, points.end()) << tag << " at " << step;
      EXPECT_NEAR(point->second, std::stod(row.at(column)), 1e-6 * (1 + std::abs(point->second))) << tag;
      ++compared;
    }
  }
  EXPECT_GT(compared, 50);
}

std::vector<std::tuple<std::int64_t, std::string, bool>> evaluations(const std::filesystem::path& run) {
  std::vector<std::tuple<std::int64_t, std::string, bool>> all;
  for (const auto& event : events_of_kind(run / "events.jsonl", "evaluation")) {
    all.emplace_back(event.at("iteration"), event.at("policy"), event.at("final"));
  }
  return all;
}

TEST(RunLog, OfARunThatWasInterruptedIsThatOfOneThatWasNot) {
  const Scratch scratch;
  Runtime runtime = in_process();
  auto options = written(small_intersection(), scratch / "whole");
  train(runtime, options);

  options.run_directory = scratch / "parts";
  std::int64_t done = 0, stop_at = 1;
  options.interrupted = [&] { return done >= stop_at; };
  Callbacks callbacks;
  callbacks.on_update = [&](const UpdateEvent& event) { done = event.progress.iteration; };
  TrainResult result = train(runtime, options, callbacks);
  while (result.interrupted) {
    ++stop_at;
    result = resume(runtime, options, callbacks);
  }
  EXPECT_EQ(without_times(csv_rows(scratch / "parts/progress.csv")),
            without_times(csv_rows(scratch / "whole/progress.csv")));
  EXPECT_EQ(csv_rows(scratch / "parts/evaluations.csv"), csv_rows(scratch / "whole/evaluations.csv"));
  EXPECT_EQ(evaluations(scratch / "parts"), evaluations(scratch / "whole"));
  EXPECT_EQ(events_of_kind(scratch / "parts/events.jsonl", "resumed").size(), 6u);
  const auto parts = scalars(scratch / "parts"), whole = scalars(scratch / "whole");
  for (const auto& [tag, points] : whole) {
    if (is_of_time(tag)) continue;
    EXPECT_EQ(parts.at(tag), points) << tag;
  }
}

TEST(RunLog, OfAFinishedRunThatIsResumedDoublesNothing) {
  const Scratch scratch;
  Runtime runtime = in_process();
  auto options = written(small_cartpole(), scratch / "run");
  options.stop.env_steps = 256 * 3;
  train(runtime, options);
  const auto before = csv_rows(scratch / "run/evaluations.csv");
  resume(runtime, options);
  EXPECT_EQ(csv_rows(scratch / "run/evaluations.csv"), before);
  // Where it goes on, what was found at its first end is kept.
  options.stop.env_steps = 256 * 5;
  resume(runtime, options);
  EXPECT_THAT(evaluations(scratch / "run"),
              ElementsAre(std::tuple(2, "trained", false), std::tuple(3, "trained", true),
                          std::tuple(4, "trained", false), std::tuple(5, "trained", true)));
  EXPECT_EQ(events_of_kind(scratch / "run/events.jsonl", "iteration").size(), 5u);
  EXPECT_EQ(scalars(scratch / "run").at("evaluation/trained/return").size(), 4u);
}

TEST(RunLog, IsWholeWhenTheDiskIsFullAndGoesOnWhenThereIsRoom) {
  const Scratch scratch;
  Runtime runtime = in_process();
  auto options = written(small_cartpole(), scratch / "whole");
  options.checkpoint.every = 2;
  train(runtime, options);
  for (const rlim_t room : {200, 1000, 3000}) {
    options.run_directory = scratch / ("full-" + std::to_string(room));
    std::optional<tests::SmallDisk> disk;
    Callbacks callbacks;
    callbacks.on_update = [&](const UpdateEvent& event) {
      if (event.progress.iteration == 5) disk.emplace(room);
    };
    try {
      train(runtime, options, callbacks);
      FAIL() << "it was written";
    } catch (const FileError& error) {
      EXPECT_THAT(error.what(),
                  testing::AllOf(testing::HasSubstr("cannot write"),
                                 testing::HasSubstr("mobula train --resume " + options.run_directory.string())));
    }
    disk.reset();
    for (const auto& entry : std::filesystem::recursive_directory_iterator(options.run_directory)) {
      EXPECT_NE(entry.path().extension(), ".new") << entry.path();
      const auto extension = entry.path().extension();
      if (extension != ".csv" && extension != ".jsonl") continue;
      EXPECT_EQ(read_file(entry.path()).back(), '\n') << entry.path();
    }
    EXPECT_THAT(events_of_kind(options.run_directory / "events.jsonl", "iteration").back().at("iteration"),
                testing::AnyOf(4, 5));
    resume(runtime, options);
    EXPECT_EQ(without_times(csv_rows(options.run_directory / "progress.csv")),
              without_times(csv_rows(scratch / "whole/progress.csv")));
    EXPECT_EQ(evaluations(options.run_directory), evaluations(scratch / "whole"));
  }
}

TEST(RunLog, DropsWhatFollowsTheCheckpointAndATornEnd) {
  const Scratch scratch;
  const auto directory = RunDirectory::create(scratch / "run", "x");
  const std::pair<std::string_view, double> statistics[] = {{"entropy", 0.5}};
  const Metrics metrics{{"return", {.value = 1, .low = 0, .high = 2, .n = 2, .samples = 2}}};
  {
    RunLog log(directory, {});
    for (int i = 1; i <= 4; ++i) {
      const Progress at{.iteration = i, .env_steps = i * 10};
      log.iteration(at, 1.0, statistics, {});
      log.evaluation({at, false, "trained", metrics}, {});
      log.event("checkpoint", at, {{"file", "x"}});
      log.event("worker_died", at, {{"worker", "rollout 0"}});
    }
    log.flush();
  }
  std::ofstream(scratch / "run/progress.csv", std::ios::app) << "5,50,0,0.1";
  std::ofstream(scratch / "run/evaluations.csv", std::ios::app) << "5,";
  std::ofstream(scratch / "run/events.jsonl", std::ios::app) << "{\"event\":\"iterat";
  for (const auto& entry : std::filesystem::directory_iterator(scratch / "run")) {
    if (entry.path().filename().string().starts_with("events.out")) std::ofstream(entry.path(), std::ios::app) << "x";
  }
  {
    // The evaluations at 1 and 2 were under way when the checkpoint of 2 was written.
    RunLog log(directory,
               {.iteration = 2, .env_steps = 20, .evaluated_again = {1, 2}, .steps_evaluated_again = {10, 20}});
    log.iteration({.iteration = 3, .env_steps = 30}, 7.0, statistics, {});
    log.flush();
  }
  const auto rows = csv_rows(scratch / "run/progress.csv");
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[1].at("iteration"), "2");
  EXPECT_EQ(rows[2].at("return_mean"), "7");
  EXPECT_TRUE(csv_rows(scratch / "run/evaluations.csv").empty());
  EXPECT_EQ(events_of_kind(scratch / "run/events.jsonl", "iteration").size(), 3u);
  EXPECT_EQ(events_of_kind(scratch / "run/events.jsonl", "checkpoint").size(), 2u);
  EXPECT_EQ(events_of_kind(scratch / "run/events.jsonl", "worker_died").size(), 4u) << "that did happen";
  const auto drawn = scalars(scratch / "run");
  EXPECT_THAT(drawn.at("train/return_mean"), ElementsAre(std::pair(10, 1.0), std::pair(20, 1.0), std::pair(30, 7.0)));
  EXPECT_FALSE(drawn.contains("evaluation/trained/return"));
}

TEST(RunLog, PutsRowsOfAnEarlierBuildUnderThePresentColumns) {
  const Scratch scratch;
  const auto directory = RunDirectory::create(scratch / "run", "x");
  const auto log_one = [&](std::int64_t iteration, std::vector<std::pair<std::string_view, double>> statistics) {
    RunLog log(directory, {.iteration = iteration - 1, .env_steps = (iteration - 1) * 10});
    log.iteration({.iteration = iteration, .env_steps = iteration * 10}, 1.0, statistics, {});
    log.flush();
  };
  log_one(1, {{"old", 1}, {"entropy", 2}});
  log_one(2, {{"entropy", 3}, {"new", 4}});
  EXPECT_EQ(read_file(scratch / "run/progress.csv"),
            "iteration,env_steps,episodes,wall_seconds,return_mean,entropy,new\n"
            "1,10,0,0.000,1,2,\n"
            "2,20,0,0.000,1,3,4\n");
}

TEST(Metadata, TellsProgramMachineAndCommand) {
  const auto json = nlohmann::json::parse(metadata_json("x", 7, ""));
  EXPECT_THAT(json.at("program").get<std::string>(), testing::StartsWith("mobula "));
  EXPECT_FALSE(json.at("compiler").get<std::string>().empty());
  EXPECT_THAT(json.at("build").get<std::string>(), testing::HasSubstr("-O"));
  for (const auto* package : {"Eigen3", "Boost", "ZeroMQ", "CapnProto", "Sodium", "fmt", "glibc"}) {
    EXPECT_THAT(json.at("packages").at(package).get<std::string>(), testing::ContainsRegex("^[0-9]+\\.[0-9]+"));
  }
  EXPECT_EQ(json.at("seed"), 7);
  for (const auto* key : {"host", "cpu", "cpus", "memory", "kernel", "system"}) {
    EXPECT_TRUE(json.at("machine").contains(key)) << key;
  }
  EXPECT_THAT(json.at("command_line").get<std::string>(), testing::HasSubstr("train_test"));
  const auto resumed = nlohmann::json::parse(metadata_json("x", 7, json.dump()));
  EXPECT_EQ(resumed.at("started"), json.at("started"));
  EXPECT_EQ(resumed.at("resumed").size(), 1u);
}

}  // namespace
}  // namespace mobula::rl
