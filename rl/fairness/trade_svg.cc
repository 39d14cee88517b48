#include "rl/fairness/trade_svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "rl/fairness/place_labels.h"

namespace mobula::rl {
namespace {

constexpr double kWidth = 640, kHeight = 420, kLeft = 70, kRight = 30, kTop = 30, kBottom = 70;
constexpr double kCharacter = 7, kLine = 15;  // of a label, generously

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

std::string trade_svg(const FairnessOptions& options, std::span<const PolicyMetrics> policies, std::size_t trained) {
  const std::string samples = compared_samples(policies);
  if (samples.empty()) return {};
  const std::string mean_name = "mean_" + samples, gap_name = mean_name + "_gap";
  struct Point {
    std::string policy;
    Estimate mean, gap;
    bool trained;
  };
  std::vector<Point> points;
  double most_mean = 0, most_gap = 0;
  const auto high = [](const Estimate& e) { return std::isnan(e.high) ? e.value : e.high; };
  for (std::size_t i = 0; i < policies.size(); ++i) {
    const auto& policy = policies[i];
    const auto *mean = find(policy.metrics, mean_name), *gap = find(policy.metrics, gap_name);
    if (!mean || !gap || !std::isfinite(mean->value) || !std::isfinite(gap->value)) continue;
    points.push_back({policy.policy, *mean, *gap, i < trained});
    most_mean = std::max(most_mean, high(*mean));
    most_gap = std::max(most_gap, high(*gap));
  }
  if (points.empty()) return {};
  std::optional<double> limit;
  for (const auto& c : options.constraints) {
    if (c.metric == gap_name && c.at_most) limit = c.at_most;
  }
  if (limit) most_gap = std::max(most_gap, *limit);
  const double right = kWidth - kRight, bottom = kHeight - kBottom;
  const Axis x(most_mean, kLeft, right), y(most_gap, bottom, kTop);

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
    line(x(v), kTop, x(v), bottom, "stroke=\"#e0e0e0\"");
    text(x(v), bottom + 18, "middle", fmt::format("{:g}", v));
  }
  for (double v = 0; v <= y.end * 1.0001; v += y.step) {
    line(kLeft, y(v), right, y(v), "stroke=\"#e0e0e0\"");
    text(kLeft - 8, y(v) + 4, "end", fmt::format("{:g}", v));
  }
  text((kLeft + right) / 2, bottom + 38, "middle", mean_name);
  text((kLeft + right) / 2, bottom + 58, "middle",
       fmt::format("bars: 95 % intervals over n = {} held-out episodes", points[0].mean.n));
  svg += fmt::format(
      "<text x=\"18\" y=\"{0:.1f}\" text-anchor=\"middle\" transform=\"rotate(-90 18 {0:.1f})\">{1}</text>\n",
      (kTop + bottom) / 2, escaped(gap_name));
  std::vector<Box> taken;
  if (limit) {
    line(kLeft, y(*limit), right, y(*limit), "stroke=\"#c0392b\" stroke-dasharray=\"6 4\"");
    const std::string words = fmt::format("limit {:g}", *limit);
    const double width = kCharacter * static_cast<double>(words.size());
    text(kLeft + 6, y(*limit) - 6, "start", words);
    taken.push_back({kLeft, y(*limit) - 2, right, y(*limit) + 2});
    taken.push_back({kLeft + 6, y(*limit) - 6 - kLine, kLeft + 6 + width, y(*limit) - 4});
  }
  std::vector<Label> labels;
  for (const auto& p : points) {
    const std::string colour = p.trained ? "#1f5fa8" : "#666666";
    const std::string stroke = "stroke=\"" + colour + "\" stroke-width=\"1.5\"";
    const double px = x(p.mean.value), py = y(p.gap.value);
    svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\" fill=\"{}\" fill-opacity=\"0.35\"/>\n", px, py,
                       colour);
    if (!std::isnan(p.mean.low)) {
      line(x(p.mean.low), py, x(p.mean.high), py, stroke);
      for (const double end : {p.mean.low, p.mean.high}) line(x(end), py - 3, x(end), py + 3, stroke);
      taken.push_back({x(p.mean.low), py - 3, x(p.mean.high), py + 3});
    }
    if (!std::isnan(p.gap.low)) {
      line(px, y(p.gap.low), px, y(p.gap.high), stroke);
      for (const double end : {p.gap.low, p.gap.high}) line(px - 3, y(end), px + 3, y(end), stroke);
      taken.push_back({px - 3, y(p.gap.high), px + 3, y(p.gap.low)});
    }
    labels.push_back({px, py, p.policy});
  }
  place_labels(labels, taken, {kLeft, kTop, right, bottom}, kCharacter, kLine);
  for (const auto& label : labels) {
    text((label.box.left + label.box.right) / 2, label.box.bottom - 4, "middle", label.text);
  }
  return svg + "</svg>\n";
}

}  // namespace mobula::rl
