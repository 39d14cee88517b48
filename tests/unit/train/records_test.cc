#include "rl/train/records.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include <nlohmann/json.hpp>

#include "rl/train/cpu_meter.h"
#include "rl/train/files.h"
#include "tests/unit/train/scratch.h"
#include "tests/unit/train/small_run.h"

namespace mobula::rl {
namespace {

using nlohmann::json;

TEST(Result, HasTheKeysThatScriptsRelyOn) {
  Runtime runtime = in_process();
  const Scratch scratch;
  auto options = small_intersection();
  options.evaluate.baselines = {"fixed_time", "max_pressure", "longest_queue"};
  options.evaluate.episodes = 6;
  options.write = true;
  options.run_directory = scratch / "run";
  const TrainResult result = train(runtime, options);
  const json file = json::parse(read_file(scratch / "run/result.json"));
  EXPECT_EQ(file.at("env_steps"), 256 * 6);
  EXPECT_GT(file.at("wall_seconds"), 0);
  EXPECT_GT(file.at("cpu_seconds"), 0);
  EXPECT_EQ(file.at("parameters_sha256"), result.parameters_sha256);
  EXPECT_EQ(file.at("parameters_sha256").get<std::string>().size(), 64u);
  EXPECT_EQ(file.at("return_mean"), file.at("policies").at("trained").at("return").at("value"));
  EXPECT_EQ(file.at("return_ci95"), file.at("policies").at("trained").at("return").at("ci95"));
  for (const auto* policy : {"trained", "fixed_time", "max_pressure", "longest_queue"}) {
    for (const auto* metric : {"mean_wait", "p95_wait", "max_wait", "throughput", "mean_wait/main", "mean_wait/side",
                               "p95_wait/side", "max_wait/north", "throughput/side"}) {
      const json& e = file.at("policies").at(policy).at(metric);
      EXPECT_TRUE(e.at("value").is_number()) << policy << " " << metric;
      ASSERT_EQ(e.at("ci95").size(), 2u);
      EXPECT_LE(e.at("ci95")[0], e.at("value"));
      EXPECT_GE(e.at("ci95")[1], e.at("value"));
      EXPECT_EQ(e.at("n"), 6);
    }
  }
}

TEST(Result, OfOneEpisodeHasNoInterval) {
  TrainOptions options = small_cartpole();
  TrainResult result;
  result.policies = {{"trained", {{"return", {.value = 5, .n = 1, .samples = 1}}}}};
  const json file = json::parse(result_json(options, result));
  EXPECT_EQ(file.at("return_mean"), 5);
  EXPECT_TRUE(file.at("return_ci95")[0].is_null());
}

// What a run says of where its time went: all of it, and never more than there was in one process.
TEST(TimeSplit, OfARunInOneProcessIsWithinItsStages) {
  Runtime runtime = in_process();
  const Scratch scratch;
  TrainOptions options = small_cartpole();
  options.workers = 0;
  options.stop.env_steps = 256 * 40;
  options.write = true;
  options.run_directory = scratch / "run";
  const TrainResult result = train(runtime, options);
  const WorkSeconds& work = result.work;
  for (const double part : {work.environment, work.inference, work.transfer, work.advantage}) EXPECT_GT(part, 0);
  EXPECT_GE(work.idle, 0);
  EXPECT_LT(work.advantage, result.stages[Stage::update]);
  EXPECT_NEAR(work.environment + work.inference + work.transfer + work.idle, result.stages[Stage::collect],
              0.2 * result.stages[Stage::collect]);
  // Samples of all epochs through two networks of 64 x 64.
  const double products = 2 * (4 * 64 + 64 * 64) + 64 * 2 + 64;
  EXPECT_EQ(work.operations, 2 * 256 * 40 * (6 * products - 2 * 2 * 4 * 64));
  EXPECT_GT(result.learner_floor_share, 0);
  const json file = json::parse(read_file(options.run_directory / "result.json"));
  for (const auto* part : {"environment", "inference", "transfer", "advantage", "update", "broadcast", "idle"}) {
    EXPECT_TRUE(file.at("time_split").at(part).is_number()) << part;
  }
  EXPECT_EQ(file.at("learner_floor_share"), result.learner_floor_share);

  options.stop.env_steps *= 2;
  const TrainResult more = resume(runtime, options);
  EXPECT_EQ(more.work.operations, 2 * work.operations) << "over all resumptions";
  EXPECT_GT(more.work.environment, work.environment);
}

void use_processor_time(double seconds) {
  const double until = ProcessTime::here().cpu_seconds + seconds;
  volatile double sum = 0;
  while (ProcessTime::here().cpu_seconds < until) {
    for (int i = 0; i < 10000; ++i) sum = sum + i;
  }
}

TEST(CpuMeter, CountsThisProcessAndItsChildren) {
  const CpuMeter meter;
  const double before = meter.seconds();
  use_processor_time(0.05);
  EXPECT_GE(meter.seconds(), before + 0.05);
}

TEST(CpuMeter, OfALaterRunLeavesOutWhatWasBeforeIt) {
  const CpuMeter earlier;
  use_processor_time(0.05);
  const CpuMeter later;
  EXPECT_LT(later.seconds(), 0.04);
  EXPECT_LT(later.reported_seconds(), 0.04);
  use_processor_time(0.05);
  EXPECT_GE(later.seconds(), 0.05);
  EXPECT_GE(later.reported_seconds(), 0.05);
  EXPECT_GE(earlier.seconds(), later.seconds() + 0.05);
}

TEST(CpuMeter, CountsAWorkerOfThisMachineWhoeversItIs) {
  CpuMeter meter;
  ProcessTime worker = ProcessTime::here();
  meter.report(worker);  // in-process: it is this very process
  EXPECT_LT(meter.reported_seconds(), ProcessTime::here().cpu_seconds + 0.01);
  worker.pid += 1;
  worker.pid = 1;  // no descendant of this one
  worker.cpu_seconds = 100;
  meter.report(worker);
  worker.cpu_seconds = 120;
  meter.report(worker);
  EXPECT_GE(meter.reported_seconds(), 120);
  EXPECT_GE(meter.seconds(), 120) << "of a runtime that others use, too";
  EXPECT_LT(meter.seconds(), 130);
  worker.cpu_seconds = 7;  // the next actor in the same process
  meter.report(worker);
  EXPECT_GE(meter.seconds(), 127);
  EXPECT_LT(meter.seconds(), 137);
}

TEST(CpuMeter, CountsAWorkerThatDiedOnce) {
  CpuMeter meter;
  int answer[2];
  ASSERT_EQ(::pipe(answer), 0);
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    use_processor_time(0.2);
    const ProcessTime time = ProcessTime::here();
    const bool told = ::write(answer[1], &time.cpu_seconds, sizeof time.cpu_seconds) == sizeof time.cpu_seconds;
    ::pause();
    ::_exit(!told);
  }
  ProcessTime worker = ProcessTime::here();
  worker.pid = child;
  ASSERT_EQ(::read(answer[0], &worker.cpu_seconds, sizeof worker.cpu_seconds),
            static_cast<ssize_t>(sizeof worker.cpu_seconds));
  const double before = meter.seconds();
  meter.report(worker);
  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_GE(meter.seconds(), 0.2);
  EXPECT_LT(meter.seconds(), before + 0.15) << "as one that has ended and as one that reported";
  ::close(answer[0]);
  ::close(answer[1]);
}

TEST(CpuMeter, AddsWhatOtherMachinesReported) {
  CpuMeter meter;
  const double before = meter.seconds();
  meter.report({"elsewhere", 7, 100});
  meter.report({"elsewhere", 7, 120});  // the same process, later
  meter.report({"elsewhere", 8, 1000});
  EXPECT_GE(meter.seconds(), before + 1120);
  EXPECT_LT(meter.seconds(), before + 1130);
}

}  // namespace
}  // namespace mobula::rl
