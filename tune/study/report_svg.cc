#include <fmt/format.h>
#include <mobula/tune/report.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace mobula::tune {
namespace {

constexpr double kWidth = 900, kLeft = 70, kRight = 830, kCurveTop = 50, kCurveBottom = 250, kAxesTop = 330,
                 kAxesBottom = 560;

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&') {
      safe += "&amp;";
    } else if (c == '<') {
      safe += "&lt;";
    } else if (c == '>') {
      safe += "&gt;";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string label(double x, double y, const std::string& text, const char* anchor = "middle", int size = 11) {
  return fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\">{}</text>\n", x, y, anchor,
                     size, escaped(text));
}
std::string line(double x1, double y1, double x2, double y2, const char* colour) {
  return fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"/>\n", x1, y1, x2, y2,
                     colour);
}

struct Range {
  double low = 0, high = 1;
  double fraction(double value) const { return high > low ? (value - low) / (high - low) : 0.5; }
};

Range range_of(const std::vector<Trial>& trials) {
  std::optional<Range> range;
  for (const auto& trial : trials) {
    if (!trial.value) continue;
    if (!range) range = Range{*trial.value, *trial.value};
    range->low = std::min(range->low, *trial.value);
    range->high = std::max(range->high, *trial.value);
  }
  return range.value_or(Range{});
}

/// Where a value lies on its axis, from 0 at the bottom to 1.
double place(const Domain& domain, const Value& value) {
  if (!domain.values.empty()) {
    const auto found = std::find(domain.values.begin(), domain.values.end(), value);
    return Range{0, static_cast<double>(domain.values.size()) - 1}.fraction(
        static_cast<double>(found - domain.values.begin()));
  }
  const auto* integer = std::get_if<std::int64_t>(&value);
  const double number = integer != nullptr ? static_cast<double>(*integer) : std::get<double>(value);
  if (domain.kind == Domain::Kind::loguniform) {
    return Range{std::log(domain.low), std::log(domain.high)}.fraction(std::log(number));
  }
  return Range{domain.low, domain.high}.fraction(number);
}

std::string bound(const Domain& domain, bool top) {
  if (!domain.values.empty()) return to_text(top ? domain.values.back() : domain.values.front());
  return fmt::format("{:.3g}", top ? domain.high : domain.low);
}

/// "lr" for algorithm.lr, where no other parameter ends so.
std::string short_name(const Space& space, const std::string& name) {
  const auto last = [](const std::string& full) { return full.substr(full.rfind('.') + 1); };
  const auto alike = std::count_if(space.parameters().begin(), space.parameters().end(),
                                   [&](const Parameter& other) { return last(other.name) == last(name); });
  return alike == 1 ? last(name) : name;
}

/// From pale for the worst to dark for the best.
std::string colour(double goodness) {
  const auto mix = [&](int pale, int dark) {
    return pale + std::lround((dark - pale) * std::clamp(goodness, 0.0, 1.0));
  };
  return fmt::format("#{:02x}{:02x}{:02x}", mix(0xc9, 0x08), mix(0xd8, 0x40), mix(0xe8, 0x81));
}

std::string curve(const Study& study) {
  const auto& trials = study.trials();
  Range range = range_of(trials);
  std::string intervals;
  for (const auto& trial : trials) {
    if (!trial.value || !std::isfinite(trial.low)) continue;
    const std::string said = fmt::format("; bars: 95 % intervals, n = {}", trial.n);
    intervals = intervals.empty() || intervals == said ? said : "; bars: 95 % intervals";
    range.low = std::min(range.low, trial.low);
    range.high = std::max(range.high, trial.high);
  }
  const bool more = study.options().mode == "max";
  std::string svg = label(
      kLeft, kCurveTop - 15,
      "Best " + study.options().metric + " so far, by trial (blue: completed, grey: stopped early" + intervals + ")",
      "start", 14);
  svg += line(kLeft, kCurveBottom, kRight, kCurveBottom, "#888") + line(kLeft, kCurveTop, kLeft, kCurveBottom, "#888");
  svg += label(kLeft - 6, kCurveTop + 4, fmt::format("{:.4g}", range.high), "end");
  svg += label(kLeft - 6, kCurveBottom + 4, fmt::format("{:.4g}", range.low), "end");
  svg += label(kLeft, kCurveBottom + 16, "0") + label(kRight, kCurveBottom + 16, std::to_string(trials.size()));
  const auto x = [&](double id) { return kLeft + (kRight - kLeft) * id / static_cast<double>(trials.size()); };
  const auto y = [&](double value) { return kCurveBottom - (kCurveBottom - kCurveTop) * range.fraction(value); };
  std::optional<double> best;
  std::string path;
  for (const auto& trial : trials) {
    if (!trial.value) continue;
    const auto id = static_cast<double>(trial.id);
    const char* const colour = trial.status == Status::completed ? "#1f77b4" : "#bbbbbb";
    if (std::isfinite(trial.low)) svg += line(x(id + 0.5), y(trial.low), x(id + 0.5), y(trial.high), colour);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n", x(id + 0.5), y(*trial.value),
                       colour);
    const double before = best.value_or(*trial.value);
    best = more ? std::max(before, *trial.value) : std::min(before, *trial.value);
    path += path.empty() ? fmt::format("M{:.1f} {:.1f}", x(id + 0.5), y(*best))
                         : fmt::format("H{:.1f}V{:.1f}", x(id + 0.5), y(*best));
  }
  if (!path.empty()) {
    svg += fmt::format("<path d=\"{}H{:.1f}\" fill=\"none\" stroke=\"#d62728\" stroke-width=\"1.5\"/>\n", path, kRight);
  }
  return svg;
}

std::string coordinates(const Study& study, const Range& range) {
  const auto& parameters = study.space().parameters();
  const double axes = static_cast<double>(parameters.size());  // and one more, for the metric
  const auto x = [&](double axis) { return kLeft + (kRight - kLeft) * (axes > 0 ? axis / axes : 0.5); };
  const auto y = [&](double fraction) { return kAxesBottom - (kAxesBottom - kAxesTop) * fraction; };
  std::string svg =
      label(kLeft, kAxesTop - 35, "Parameters of all trials (the darker the better, the best in red)", "start", 14);
  const auto polyline = [&](const Trial& trial, const std::string& style) {
    std::string path;
    bool pen = false;  // lifted where a conditional parameter does not apply
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Value* value = trial.params.find(parameters[i].name);
      if (value != nullptr) {
        path += fmt::format("{}{:.1f} {:.1f}", pen ? "L" : "M", x(static_cast<double>(i)),
                            y(place(parameters[i].domain, *value)));
      }
      pen = value != nullptr;
    }
    if (trial.value) path += fmt::format("{}{:.1f} {:.1f}", pen ? "L" : "M", x(axes), y(range.fraction(*trial.value)));
    return path.empty() ? path : fmt::format("<path d=\"{}\" fill=\"none\" {}/>\n", path, style);
  };
  const auto goodness = [&](const Trial& trial) {
    if (!trial.value) return 0.0;
    return study.options().mode == "max" ? range.fraction(*trial.value) : 1 - range.fraction(*trial.value);
  };
  std::vector<const Trial*> order;  // the good ones on top
  for (const auto& trial : study.trials()) order.push_back(&trial);
  std::stable_sort(order.begin(), order.end(), [&](auto* a, auto* b) { return goodness(*a) < goodness(*b); });
  for (const Trial* trial : order) {
    svg += polyline(*trial, fmt::format("stroke=\"{}\" stroke-opacity=\"0.8\"", colour(goodness(*trial))));
  }
  if (const Trial* best = study.best()) svg += polyline(*best, "stroke=\"#d62728\" stroke-width=\"2\"");
  for (std::size_t i = 0; i <= parameters.size(); ++i) {
    const double at = x(static_cast<double>(i));
    const bool metric = i == parameters.size();
    svg += line(at, kAxesTop, at, kAxesBottom, "#444");
    svg += label(at, kAxesTop - 18, metric ? study.options().metric : short_name(study.space(), parameters[i].name));
    svg += label(at, kAxesTop - 5, metric ? fmt::format("{:.4g}", range.high) : bound(parameters[i].domain, true));
    svg += label(at, kAxesBottom + 14, metric ? fmt::format("{:.4g}", range.low) : bound(parameters[i].domain, false));
  }
  // What lies between the ends of an axis of few values.
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& values = parameters[i].domain.values;
    if (values.size() > 8) continue;
    for (std::size_t k = 1; k + 1 < values.size(); ++k) {
      svg += label(x(static_cast<double>(i)) + 5, y(place(parameters[i].domain, values[k])) + 4, to_text(values[k]),
                   "start", 10);
    }
  }
  return svg;
}

}  // namespace

std::string report_svg(const Study& study) {
  const Range range = range_of(study.trials());
  return fmt::format(
             "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" "
             "font-family=\"sans-serif\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
             kWidth, kAxesBottom + 40) +
         curve(study) + coordinates(study, range) + "</svg>\n";
}

}  // namespace mobula::tune
