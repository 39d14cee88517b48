#include <fmt/format.h>
#include <mobula/tune/report.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace mobula::tune {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

std::string short_value(const Value& value) {
  if (const auto* number = std::get_if<double>(&value)) return fmt::format("{:.4g}", *number);
  return to_text(value);
}

}  // namespace

std::string status_text(const Study& study, const Trial& trial) {
  return to_string(trial.status == Status::paused && study.finished() ? Status::stopped : trial.status);
}

std::string trials_csv(const Study& study) {
  std::string csv = "trial,status,iterations,metric,seconds";
  for (const auto& parameter : study.space().parameters()) csv += "," + csv_field(parameter.name);
  csv += ",metric_low,metric_high,metric_n\n";
  for (const auto& trial : study.trials()) {
    csv += fmt::format("{},{},{},{},{:.3f}", trial.id, status_text(study, trial), trial.iterations,
                       trial.value ? fmt::format("{}", *trial.value) : "", trial.seconds);
    for (const auto& parameter : study.space().parameters()) {
      const Value* value = trial.params.find(parameter.name);
      csv += "," + (value == nullptr ? std::string() : csv_field(to_text(*value)));
    }
    if (trial.value && trial.n > 0) {
      const auto bound = [](double x) { return std::isfinite(x) ? fmt::format("{}", x) : std::string(); };
      csv += fmt::format(",{},{},{}\n", bound(trial.low), bound(trial.high), trial.n);
    } else {
      csv += ",,,\n";
    }
  }
  return csv;
}

std::string value_text(const Trial& trial) {
  if (!trial.value) return "-";
  std::string text = fmt::format("{:.6g}", *trial.value);
  if (std::isfinite(trial.low) && std::isfinite(trial.high)) {
    text += fmt::format(" [{:.4g}, {:.4g}]", trial.low, trial.high);
  }
  if (trial.n > 0) text += fmt::format(" n={}", trial.n);
  return text;
}

std::string report_text(const Study& study) {
  const auto& options = study.options();
  std::map<std::string, int> counts;
  double resource = 0, seconds = 0;
  for (const auto& trial : study.trials()) {
    ++counts[status_text(study, trial)];
    resource += trial.reached * static_cast<double>(options.seeds_per_trial);
    seconds += trial.seconds;
  }
  std::string text = fmt::format("{} trials", study.trials().size());
  std::string list;
  for (const auto& [name, count] : counts) list += fmt::format("{}{} {}", list.empty() ? "" : ", ", count, name);
  text += fmt::format(" ({}), {} search, {} scheduler, seed {}; {:.6g} units of resource, {:.1f} s of trials\n\n", list,
                      options.search.name, options.scheduler.name, options.seed, resource, seconds);

  std::vector<const Trial*> order;
  for (const auto& trial : study.trials()) {
    if (trial.value && trial.status != Status::failed) order.push_back(&trial);
  }
  if (order.empty()) return text + "No trial has a value.\n";
  std::stable_sort(order.begin(), order.end(), [&](const Trial* a, const Trial* b) {
    const bool a_done = a->status == Status::completed, b_done = b->status == Status::completed;
    if (a_done != b_done) return a_done;
    return options.mode == "max" ? *a->value > *b->value : *a->value < *b->value;
  });
  text += fmt::format("Best by {} ({}; completed trials first{}):\n", options.metric,
                      options.mode == "max" ? "more is better" : "less is better",
                      options.seeds_per_trial > 1 ? "; 95 % intervals over n repeats on seeds of their own"
                      : order.front()->n > 0      ? "; 95 % intervals over n as the objective counts, of one seed"
                                                  : "");
  for (std::size_t i = 0; i < std::min<std::size_t>(10, order.size()); ++i) {
    const Trial& trial = *order[i];
    text += fmt::format("  trial {:<5} {:<10} {:<30} at {:<10.6g}", trial.id, status_text(study, trial),
                        value_text(trial), trial.reached);
    for (const auto& [name, value] : trial.params.entries()) text += fmt::format("  {}={}", name, short_value(value));
    text += "\n";
  }
  for (const auto& trial : study.trials()) {
    if (trial.status == Status::failed) text += fmt::format("\ntrial {} failed: {}", trial.id, trial.error);
  }
  return text + "\n";
}

}  // namespace mobula::tune
