#include "rl/train/run_log.h"

#include <nlohmann/json.hpp>

namespace mobula::rl {

RunLog::RunLog(const RunDirectory& directory, ResumePoint point) : folder_(directory.path()), point_(std::move(point)) {
  point_.finished = finished_at(path(RunDirectory::events), point_.iteration);
  open();
}

void RunLog::open() {
  tables_.emplace(path(RunDirectory::progress), path(RunDirectory::evaluations), point_);
  events_.emplace(path(RunDirectory::events), point_);
  scalars_.emplace(folder_, point_);
}

void RunLog::event(std::string_view kind, const Progress& progress, const Json& more) {
  events_->add(kind, progress, more);
  write_now_and_then();
}

void RunLog::iteration(const Progress& progress, double return_mean,
                       std::span<const std::pair<std::string_view, double>> statistics,
                       std::span<const Controller::State> constraints) {
  tables_->add(progress, return_mean, statistics);
  scalars_->add(progress, return_mean, statistics);
  Json values = Json::object();
  for (const auto& [name, value] : statistics) values[std::string(name)] = json_number(value);
  events_->add("iteration", progress,
               {{"episodes", progress.episodes},
                {"wall_seconds", progress.wall_seconds},
                {"return_mean", json_number(return_mean)},
                {"statistics", std::move(values)}});
  for (const auto& c : constraints) {
    events_->add("constraint", progress,
                 {{"metric", c.metric},
                  {"part", c.part},
                  {"limit", c.limit},
                  {"kind", c.at_most ? "at_most" : "at_least"},
                  {"bound", json_number(c.bound)},
                  {"multiplier", c.multiplier},
                  {"updates_at_cap", c.updates_at_cap}});
  }
  write_now_and_then();
}

void RunLog::evaluation(const EvaluationEvent& event, std::span<const ConstraintResult> constraints) {
  tables_->add(event);
  scalars_->add(event);
  Json verdicts = Json::array();
  for (const auto& c : constraints) verdicts.push_back(json_constraint(c));
  events_->add("evaluation", event.progress,
               {{"policy", event.policy},
                {"final", event.final},
                {"metrics", json_metrics(event.metrics)},
                {"constraints", std::move(verdicts)}});
  write_now_and_then();
}

void RunLog::drop_final_evaluation(const Progress& progress) {
  if (!point_.finished || progress.iteration != point_.iteration) return;
  write();
  point_.finished = false;
  open();
}

void RunLog::flush() {
  write();
  tables_->sync();
  events_->sync();
  scalars_->sync();
}

void RunLog::write() {
  tables_->flush();
  events_->flush();
  scalars_->flush();
  written_ = std::chrono::steady_clock::now();
}

void RunLog::write_now_and_then() {
  if (std::chrono::steady_clock::now() - written_ > std::chrono::seconds(1)) write();
}

}  // namespace mobula::rl
