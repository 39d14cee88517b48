#include "rl/train/records.h"

#include <gmock/gmock.h>

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

TEST(CpuMeter, CountsAWorkerOfThisMachineOnce) {
  CpuMeter meter;
  ProcessTime worker = ProcessTime::here();
  meter.report(worker);  // in-process: it is this very process
  EXPECT_LT(meter.reported_seconds(), ProcessTime::here().cpu_seconds + 0.01);
  worker.pid += 1;
  worker.cpu_seconds = 100;
  meter.report(worker);
  EXPECT_GE(meter.reported_seconds(), 100);
  EXPECT_LT(meter.seconds(), 100) << "there is no such process";
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
