// What a run tells and writes beside its checkpoints.
#include <array>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "rl/algos/algorithms.h"
#include "rl/fairness/trade_svg.h"
#include "rl/train/matrix_rate.h"
#include "rl/train/records.h"
#include "rl/train/trainer.h"

namespace mobula::rl {

void Trainer::log_start(Begin begin) {
  RunLog::Json more{{"program", "mobula " MOBULA_VERSION},
                    {"experiment", options_.experiment},
                    {"environment", options_.env.name},
                    {"algorithm", name_of(options_.algorithm)},
                    {"seed", options_.seed},
                    {"workers", options_.workers},
                    {"until_env_steps", options_.stop.env_steps}};
  if (begin == Begin::resume || !notes_.empty()) more["notes"] = notes_;
  log_->event(begin == Begin::resume ? "resumed" : "started", progress_, more);
  log_->flush();
}

void Trainer::log_deaths() {
  for (const auto& [actor, before, now] : watch_.take()) {
    if (!log_) continue;
    log_->event("worker_died", progress_, {{"worker", actor}, {"host", before.host}, {"process", before.pid}});
    log_->event("worker_restarted", progress_, {{"worker", actor}, {"host", now.host}, {"process", now.pid}});
  }
}

void Trainer::log_failure(const std::string& what) {
  if (!log_) return;
  try {
    log_->event("failed", progress_, {{"error", what}});
    log_->flush();
  } catch (const FileError&) {
    // The first error is the one to tell.
  }
}

void Trainer::log_end(const TrainResult& result) {
  if (!log_) return;
  RunLog::Json more{
      {"stopped_by", result.stopped_by}, {"wall_seconds", result.wall_seconds}, {"cpu_seconds", result.cpu_seconds}};
  if (!result.interrupted) {
    more["verdict"] =
        result.constraints.empty() ? RunLog::Json(nullptr) : RunLog::Json(to_string(overall(result.constraints)));
  }
  log_->event(result.interrupted ? "interrupted" : "finished", progress_, more);
  log_->flush();
}

void Trainer::write_result(const TrainResult& result) const {
  if (!directory_) return;
  write_file(directory_->file(RunDirectory::result), result_json(options_, result));
  const std::string picture = trade_svg(options_.fairness, policies_);
  if (!picture.empty()) write_file(directory_->file(RunDirectory::trade), picture);
}

StageSeconds Trainer::stages_of_run() const {
  StageSeconds all = stages_.seconds();
  for (std::size_t i = 0; i < all.seconds.size(); ++i) all.seconds[i] += stages_before_.seconds[i];
  return all;
}

WorkSeconds Trainer::work_here() const {
  WorkSeconds work = sampling_;
  work.advantage = learner_->advantage_seconds();
  work.operations = learner_->operations();
  return work;
}

WorkSeconds Trainer::work_of_run() const {
  WorkSeconds work = work_before_;
  return work += work_here();
}

double Trainer::floor_share(double operations, double update_seconds) const {
  if (!log_ || operations <= 0 || update_seconds <= 0) return std::numeric_limits<double>::quiet_NaN();
  return operations / update_seconds / matrix_rate();
}

Statistics Trainer::stage_columns() {
  static const auto names = [] {
    std::array<std::string, stage_names.size()> all;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = std::string(stage_names[i]) + "_seconds";
    return all;
  }();
  const StageSeconds now = stages_.seconds();
  Statistics columns;
  for (std::size_t i = 0; i < names.size(); ++i) {
    columns.emplace_back(names[i], now.seconds[i] - stages_logged_.seconds[i]);
  }
  const double update = now[Stage::update] - stages_logged_[Stage::update];
  stages_logged_ = now;
  const WorkSeconds work = work_here(), before = std::exchange(work_logged_, work);
  columns.emplace_back("environment_seconds", work.environment - before.environment);
  columns.emplace_back("inference_seconds", work.inference - before.inference);
  columns.emplace_back("transfer_seconds", work.transfer - before.transfer);
  columns.emplace_back("advantage_seconds", work.advantage - before.advantage);
  columns.emplace_back("idle_seconds", work.idle - before.idle);
  columns.emplace_back("learner_floor_share", floor_share(work.operations - before.operations, update));
  return columns;
}

}  // namespace mobula::rl
