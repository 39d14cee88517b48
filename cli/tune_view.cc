#include "cli/tune_view.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <variant>

#include "cli/table.h"
#include "runtime/config/config.h"
#include "runtime/config/value.h"

namespace mobula::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRunningShown = 6, kBestShown = 4;

std::string params_text(const tune::Params& params) {
  std::string text;
  for (const auto& [name, value] : params.entries()) {
    const auto dot = name.rfind('.');
    const auto* number = std::get_if<double>(&value);
    text += (text.empty() ? "" : "  ") + name.substr(dot == std::string::npos ? 0 : dot + 1) + "=" +
            (number != nullptr ? short_number(*number) : tune::to_text(value));
  }
  return text;
}

Json json_of(const config::Value& value) {
  using Kind = config::Value::Kind;
  if (value.kind == Kind::list) {
    Json list = Json::array();
    for (const auto& item : value.items) list.push_back(json_of(item));
    return list;
  }
  if (value.kind == Kind::map) {
    Json object = Json::object();
    for (const auto& entry : value.entries) object[entry.key] = json_of(entry.value);
    return object;
  }
  if (value.kind == Kind::nothing) return nullptr;
  if (value.quoted) return value.scalar;
  if (value.scalar == "true" || value.scalar == "false") return value.scalar == "true";
  const char* const end = value.scalar.data() + value.scalar.size();
  std::int64_t whole = 0;
  if (const auto read = std::from_chars(value.scalar.data(), end, whole); read.ptr == end && read.ec == std::errc{}) {
    return whole;
  }
  double number = 0;
  if (const auto read = std::from_chars(value.scalar.data(), end, number); read.ptr == end && read.ec == std::errc{}) {
    if (std::isfinite(number)) return number;
  }
  return value.scalar;
}

/// A choice is kept as it was written: what it says is what YAML makes of it, 32 a number and [64, 64] a list.
Json json_value(const tune::Value& value) {
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return *whole;
  if (const auto* number = std::get_if<double>(&value)) return json_number(*number);
  const auto& text = std::get<std::string>(value);
  try {
    return json_of(config::parse_yaml(text, std::make_shared<const std::string>("a choice"), false));
  } catch (const config::ConfigError&) {
    return text;
  }
}

/// Whether nothing more will come of it while the study runs.
bool ended(const tune::Trial& trial) {
  return trial.status == tune::Status::completed || trial.status == tune::Status::stopped ||
         trial.status == tune::Status::failed;
}

}  // namespace

std::string trial_line(const tune::Study& study, const tune::Trial& trial) {
  return fmt::format("trial {:<5} {:<10} {:<26} at {:<9.0f} {}", trial.id, tune::status_text(study, trial),
                     tune::value_text(trial), trial.reached, params_text(trial.params));
}

Json trial_json(const tune::Study& study, const tune::Trial& trial) {
  Json params = Json::object();
  for (const auto& [name, value] : trial.params.entries()) {
    params[name] = json_value(value);
  }
  return {{"trial", trial.id},
          {"status", tune::status_text(study, trial)},
          {"iterations", trial.iterations},
          {"reached", trial.reached},
          {"value", trial.value ? json_number(*trial.value) : Json(nullptr)},
          {"ci95", {json_number(trial.low), json_number(trial.high)}},
          {"n", trial.n},
          {"seconds", trial.seconds},
          {"error", trial.error.empty() ? Json(nullptr) : Json(trial.error)},
          {"params", params}};
}

std::vector<std::string> study_lines(const tune::Study& study, double seconds, int columns) {
  std::vector<const tune::Trial*> running, ranked;
  for (const auto& trial : study.trials()) {
    if (trial.status == tune::Status::running) running.push_back(&trial);
    if (trial.value && trial.status != tune::Status::failed) ranked.push_back(&trial);
  }
  const bool more = study.options().mode == "max";
  std::stable_sort(ranked.begin(), ranked.end(),
                   [&](const auto* a, const auto* b) { return more ? *a->value > *b->value : *a->value < *b->value; });
  std::vector<std::string> lines{fmt::format("{} of {} trials begun, {} running, {:.0f} s", study.trials().size(),
                                             study.options().num_trials, running.size(), seconds)};
  const auto show = [&](const tune::Trial& trial) {
    std::istringstream folded(wrapped(trial_line(study, trial), columns - 2));
    for (std::string line; std::getline(folded, line);) lines.push_back("  " + line);
  };
  for (std::size_t i = 0; i < std::min(kRunningShown, running.size()); ++i) show(*running[i]);
  if (!ranked.empty()) lines.push_back("best by " + study.options().metric + ", with 95 % intervals");
  for (std::size_t i = 0; i < std::min(kBestShown, ranked.size()); ++i) show(*ranked[i]);
  return lines;
}

TuneView::TuneView(const OutputOptions& options, const Interrupt& interrupt)
    : mode_(options.json                 ? Mode::json
            : options.quiet              ? Mode::quiet
            : is_terminal(STDERR_FILENO) ? Mode::block
                                         : Mode::lines),
      interrupt_(interrupt) {}

void TuneView::note(const std::string& text) {
  if (mode_ == Mode::block) {
    if (interrupt_.requested()) block_.leave();
    std::string lines = wrapped(text, terminal_size(STDERR_FILENO).text_columns());
    lines.pop_back();  // the block ends it
    block_.note(lines);
  }
  if (mode_ == Mode::lines) write_message(text + "\n");
}

void TuneView::json(const Json& object) {
  if (mode_ != Mode::json || reader_gone()) return;
  try {
    write_json_line(object);
  } catch (const OutputGone&) {  // the study comes to its end in good order
  }
}

void TuneView::show(const tune::Study& study) {
  if (mode_ == Mode::lines || mode_ == Mode::json) return tell_ended(study, false);
  if (mode_ != Mode::block) return;
  const auto now = Clock::now();
  if (!study.finished() && now - shown_ < std::chrono::milliseconds(200)) return;
  shown_ = now;
  // An interrupt has said so below the block, which stays where it is then.
  if (interrupt_.requested()) block_.leave();
  block_.draw(study_lines(study, std::chrono::duration<double>(now - began_).count(),
                          terminal_size(STDERR_FILENO).text_columns()));
}

void TuneView::tell_ended(const tune::Study& study, bool all) {
  for (const auto& trial : study.trials()) {
    if ((!all && !ended(trial)) || !said_.insert(trial.id).second) continue;
    note(trial_line(study, trial) + (trial.error.empty() ? "" : "  (" + trial.error + ")"));
    Json object{{"event", "trial"}};
    object.update(trial_json(study, trial));
    json(object);
  }
}

void TuneView::finish(const tune::Study& study) {
  if (interrupt_.requested()) block_.leave();
  block_.clear();
  tell_ended(study, study.finished());
}

}  // namespace mobula::cli
