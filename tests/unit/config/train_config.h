// A configuration with a field of each kind, which the tests read, dump and list.
#pragma once

#include <mobula/fields.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mobula::config {

struct Schedule {
  std::string kind = "constant";
  double end = 0;

  void describe(Fields& f) {
    f("kind", kind, {.choices = {"constant", "linear", "cosine"}, .help = "How the rate falls."});
    f("end", end, {.min = 0, .help = "Value at the end."});
  }
  bool operator==(const Schedule&) const = default;
};

struct Constraint {
  std::string metric;
  double at_most = 1;

  void describe(Fields& f) {
    f("metric", metric, {.required = true, .help = "Which metric is bounded."});
    f("at_most", at_most, {.unit = "s", .help = "Its bound."});
  }
  bool operator==(const Constraint&) const = default;
};

struct Algorithm {
  double lr = 3e-4;
  float clip = 0.2F;
  int epochs = 10;
  std::int64_t steps = 1'000'000;
  std::uint64_t seed = 1;
  std::uint8_t level = 3;
  bool normalise = true;
  std::string policy = "mlp";
  std::optional<double> target_kl;
  std::vector<int> hidden = {64, 64};
  std::array<double, 2> betas = {0.9, 0.999};
  std::vector<bool> masks;
  std::vector<std::string> tags;
  Schedule schedule;
  std::optional<Schedule> entropy;
  std::vector<Constraint> constraints;

  void describe(Fields& f) {
    f("lr", lr, {.unit = "1/step", .max = 1, .above = 0, .help = "Learning rate of Adam."});
    f("clip", clip, {.min = 0, .below = 1, .help = "Range of the probability ratio."});
    f("epochs", epochs, {.min = 1, .max = 1000, .help = "Passes over each batch."});
    f("steps", steps, {.min = 0, .help = "Environment steps in all."});
    f("seed", seed);
    f("level", level);
    f("normalise", normalise, {.help = "Whether advantages are normalised."});
    f("policy", policy, {.choices = {"mlp", "lstm"}, .help = "Shape of the network."});
    f("target_kl", target_kl, {.above = 0, .help = "Stops an update early; ~ never does."});
    f("hidden", hidden, {.min = 1, .max = 4096, .help = "Units of each layer."});
    f("betas", betas, {.min = 0, .below = 1});
    f("masks", masks);
    f("tags", tags, {.choices = {"red", "green"}});
    f("schedule", schedule);
    f("entropy", entropy);
    f("constraints", constraints);
  }
  std::string problem() const {
    return clip > 0.5F && epochs > 100 ? "clip above 0.5 with more than 100 epochs diverges; lower one of them" : "";
  }
  bool operator==(const Algorithm&) const = default;
};

}  // namespace mobula::config
