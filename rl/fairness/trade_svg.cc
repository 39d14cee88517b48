#include "rl/fairness/trade_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace mobula::rl {
namespace {

constexpr double kWidth = 640, kHeight = 420, kLeft = 70, kRight = 150, kTop = 30, kBottom = 60;

/// From 0 to a little beyond the largest value, in round steps.
struct Axis {
  double step, end, from, to;
  Axis(double largest, double first, double last) : from(first), to(last) {
    const double rough = std::max(largest, 1e-9) / 5, power = std::pow(10, std::floor(std::log10(rough)));
    step = power * (rough / power <= 1 ? 1 : rough / power <= 2 ? 2 : rough / power <= 5 ? 5 : 10);
    end = step * std::ceil(largest * 1.05 / step);
  }
  double operator()(double value) const { return from + (to - from) * std::clamp(value / end, 0.0, 1.0); }
};

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : std::string(1, c);
  return out;
}

}  // namespace

std::string compared_samples(std::span<const PolicyMetrics> policies) {
  if (policies.empty()) return {};
  for (const auto& [name, estimate] : policies[0].metrics) {
    if (name.starts_with("mean_") && name.ends_with("_gap") && name.size() > 9) return name.substr(5, name.size() - 9);
  }
  return {};
}

std::string trade_svg(const FairnessOptions& options, std::span<const PolicyMetrics> policies) {
  const std::string samples = compared_samples(policies);
  if (samples.empty()) return {};
  const std::string mean_name = "mean_" + samples, gap_name = mean_name + "_gap";
  struct Point {
    std::string policy;
    Estimate mean, gap;
  };
  std::vector<Point> points;
  double most_mean = 0, most_gap = 0;
  const auto high = [](const Estimate& e) { return std::isnan(e.high) ? e.value : e.high; };
  for (const auto& policy : policies) {
    const auto *mean = find(policy.metrics, mean_name), *gap = find(policy.metrics, gap_name);
    if (!mean || !gap || !std::isfinite(mean->value) || !std::isfinite(gap->value)) continue;
    points.push_back({policy.policy, *mean, *gap});
    most_mean = std::max(most_mean, high(*mean));
    most_gap = std::max(most_gap, high(*gap));
  }
  if (points.empty()) return {};
  std::optional<double> limit;
  for (const auto& c : options.constraints) {
    if (c.metric == gap_name && c.at_most) limit = c.at_most;
  }
  if (limit) most_gap = std::max(most_gap, *limit);
  const Axis x(most_mean, kLeft, kWidth - kRight), y(most_gap, kHeight - kBottom, kTop);

  std::string svg = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n",
      kWidth, kHeight);
  const auto line = [&](double x1, double y1, double x2, double y2, std::string_view style) {
    svg += fmt::format("<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" {}/>\n", x1, y1, x2, y2, style);
  };
  const auto text = [&](double tx, double ty, std::string_view anchor, const std::string& words) {
    svg +=
        fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{}</text>\n", tx, ty, anchor, escaped(words));
  };
  for (double v = 0; v <= x.end * 1.0001; v += x.step) {
    line(x(v), kTop, x(v), kHeight - kBottom, "stroke=\"#e0e0e0\"");
    text(x(v), kHeight - kBottom + 18, "middle", fmt::format("{:g}", v));
  }
  for (double v = 0; v <= y.end * 1.0001; v += y.step) {
    line(kLeft, y(v), kWidth - kRight, y(v), "stroke=\"#e0e0e0\"");
    text(kLeft - 8, y(v) + 4, "end", fmt::format("{:g}", v));
  }
  text((kLeft + kWidth - kRight) / 2, kHeight - 20, "middle", mean_name);
  svg += fmt::format(
      "<text x=\"18\" y=\"{0:.1f}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {0:.1f})\">{1}</text>\n",
      (kTop + kHeight - kBottom) / 2, escaped(gap_name));
  if (limit) {
    line(kLeft, y(*limit), kWidth - kRight, y(*limit), "stroke=\"#c0392b\" stroke-dasharray=\"6 4\"");
    text(kWidth - kRight + 6, y(*limit) + 4, "start", fmt::format("limit {:g}", *limit));
  }
  for (const auto& p : points) {
    const std::string colour = p.policy == "trained" ? "#1f5fa8" : "#777777";
    const std::string stroke = "stroke=\"" + colour + "\" stroke-width=\"1.5\"";
    if (!std::isnan(p.mean.low)) line(x(p.mean.low), y(p.gap.value), x(p.mean.high), y(p.gap.value), stroke);
    if (!std::isnan(p.gap.low)) line(x(p.mean.value), y(p.gap.low), x(p.mean.value), y(p.gap.high), stroke);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\" fill=\"{}\"/>\n", x(p.mean.value), y(p.gap.value),
                       colour);
    text(x(p.mean.value) + 8, y(p.gap.value) - 6, "start", p.policy);
  }
  return svg + "</svg>\n";
}

}  // namespace mobula::rl
