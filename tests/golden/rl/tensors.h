// The networks of the golden updates.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "rl/algos/offpolicy/transition_batch.h"
#include "rl/nn/parameters.h"
#include "tests/support/golden.h"

namespace mobula::golden {

inline constexpr double kTolerance = 1e-10;

// Widths of the hidden layers, then of the outputs.
inline std::vector<int> widths_of(const json& network) {
  std::vector<int> widths;
  for (int l = 0; network.contains(std::to_string(2 * l) + ".b"); ++l) {
    widths.push_back(static_cast<int>(network.at(std::to_string(2 * l) + ".b").size()));
  }
  return widths;
}

// A network's tensors, "0.w" [out][in], "0.b" [out], "2.w", ... with the last one the head, in the order of the golden
// files, and where each number lies in the flat array.
class Tensors {
 public:
  Tensors(const json& network, const std::string& name, const rl::nn::ParameterLayout& layout) {
    int layers = 0;
    while (network.contains(std::to_string(2 * layers) + ".w")) ++layers;
    for (int l = 0; l < layers; ++l) {
      const bool head = l + 1 == layers;
      const std::string prefix = name + (head ? ".head" : "." + std::to_string(l));
      const auto& weight = layout.block(prefix + ".weight");
      const auto& bias = layout.block(prefix + ".bias");
      const int outputs = head ? weight.rows : weight.columns, inputs = head ? weight.columns : weight.rows;
      std::vector<std::size_t> places;
      for (int o = 0; o < outputs; ++o) {
        for (int i = 0; i < inputs; ++i) {
          places.push_back(weight.offset + (head ? o * weight.stride + i : i * weight.stride + o));
        }
      }
      tensors_.emplace_back(std::to_string(2 * l) + ".w", places);
      places.clear();
      for (int o = 0; o < outputs; ++o) places.push_back(bias.offset + o);
      tensors_.emplace_back(std::to_string(2 * l) + ".b", places);
    }
  }

  void write(const json& network, std::span<double> flat) const {
    for (const auto& [name, places] : tensors_) {
      const auto values = numbers(network.at(name));
      ASSERT_EQ(values.size(), places.size()) << name;
      for (std::size_t k = 0; k < places.size(); ++k) flat[places[k]] = values[k];
    }
  }

  // A tensor is given in full, or by sums and its ends.
  void compare(const json& network, std::span<const double> flat, const std::string& what) const {
    for (const auto& [name, places] : tensors_) {
      const json& expected = network.at(name);
      const std::string label = what + " " + name;
      if (expected.is_array()) {
        const auto values = numbers(expected);
        ASSERT_EQ(values.size(), places.size()) << label;
        for (std::size_t k = 0; k < values.size(); ++k) expect_close(flat[places[k]], values[k], kTolerance, label);
        continue;
      }
      const std::size_t n = expected.at("n");
      ASSERT_EQ(n, places.size()) << label;
      double sum = 0, squares = 0, ramp = 0;
      for (std::size_t k = 0; k < n; ++k) {
        const double x = flat[places[k]];
        sum += x;
        squares += x * x;
        ramp += static_cast<double>(k + 1) * x / static_cast<double>(n);
      }
      expect_close(sum, expected.at("sum"), kTolerance, label + " sum");
      expect_close(squares, expected.at("sum_sq"), kTolerance, label + " sum_sq");
      expect_close(ramp, expected.at("ramp"), kTolerance, label + " ramp");
      const auto first = numbers(expected.at("first")), last = numbers(expected.at("last"));
      for (std::size_t k = 0; k < first.size(); ++k) {
        expect_close(flat[places[k]], first[k], kTolerance, label + " first");
      }
      for (std::size_t k = 0; k < last.size(); ++k) {
        expect_close(flat[places[n - last.size() + k]], last[k], kTolerance, label + " last");
      }
    }
  }

 private:
  std::vector<std::pair<std::string, std::vector<std::size_t>>> tensors_;
};

inline void expect_all_close(std::span<const double> found, const json& expected, const std::string& what) {
  const auto values = numbers(expected);
  ASSERT_EQ(found.size(), values.size()) << what;
  for (std::size_t k = 0; k < values.size(); ++k) expect_close(found[k], values[k], kTolerance, what);
}

// Both critics of one flat array: NAME1 and NAME2 of a golden file.
struct Critics {
  Critics(const json& document, const std::string& first, const rl::nn::ParameterLayout& layout)
      : one(document.at(first + "1"), "critic1", layout), two(document.at(first + "2"), "critic2", layout) {}
  void write(const json& from, const std::string& name, std::span<double> flat) const {
    one.write(from.at(name + "1"), flat);
    two.write(from.at(name + "2"), flat);
  }
  void compare(const json& with, const std::string& name, const std::string& end, std::span<const double> flat) const {
    one.compare(with.at(name + "1" + end), flat, name + "1" + end);
    two.compare(with.at(name + "2" + end), flat, name + "2" + end);
  }
  Tensors one, two;
};

// The transitions of a golden update.
class Transitions {
 public:
  explicit Transitions(const json& update)
      : observations_(numbers(update.at("obs"))),
        next_observations_(numbers(update.at("next_obs"))),
        actions_(numbers(update.at("action"))),
        rewards_(numbers(update.at("reward"))) {
    const double gamma = update.at("gamma");
    for (const bool terminated : update.at("terminated")) discounts_.push_back(terminated ? 0 : gamma);
  }
  rl::TransitionBatch<double> view() const {
    return {.observations = observations_,
            .actions = actions_,
            .rewards = rewards_,
            .discounts = discounts_,
            .next_observations = next_observations_,
            .weights = {}};
  }

 private:
  std::vector<double> observations_, next_observations_, actions_, rewards_, discounts_;
};

}  // namespace mobula::golden
