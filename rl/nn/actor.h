// Acting: observations in, actions out, for rollout and evaluation workers and for trained policies in programs.
#pragma once

#include <mobula/random.h>

#include <cstdint>
#include <memory>
#include <span>

#include "rl/nn/parameters.h"
#include "rl/nn/policy.h"

namespace mobula::rl::nn {

// How those who collect experience depart from the policy. Travels with the weights; what a kind of policy has no use
// for is ignored. The default is the policy itself.
struct Exploration {
  double epsilon = 0;    // probability of a uniformly random action, of a policy that has action values
  double noise = 0;      // deviation of the normal noise added to a deterministic policy's action, scaled to [-1, 1]
  bool uniform = false;  // actions are uniform over the space: before learning begins
  bool operator==(const Exploration&) const = default;
};

// A policy that acts: scratch memory for passes through one kind of network, no parameters. Every row's results depend
// on the row, its random number and the parameters alone, bit for bit, whatever the batch. One per thread.
class Actor {
 public:
  virtual ~Actor() = default;

  // Of the flat array that all functions take as `parameters`.
  virtual const ParameterLayout& layout() const = 0;
  // Whether there is a value function: without one, sample() is given no place for values and values() is not called.
  virtual bool has_values() const = 0;

  // Draws an action for each row: observations [rows][observation_size], masks [rows][mask_size] or empty, one Random
  // a row. Writes actions [rows][action.dimensions], and log_probs and values [rows] unless these are null.
  virtual void sample(std::span<const float> parameters, std::span<const float> observations,
                      std::span<const std::uint8_t> masks, std::span<Random> random, const Exploration& exploration,
                      float* actions, float* log_probs, float* values) = 0;
  // The most likely action of each row.
  virtual void mode(std::span<const float> parameters, std::span<const float> observations,
                    std::span<const std::uint8_t> masks, float* actions) = 0;
  virtual void values(std::span<const float> parameters, std::span<const float> observations, float* values) = 0;
};

// The one for this kind of policy.
std::unique_ptr<Actor> make_actor(const PolicySpec& spec);

}  // namespace mobula::rl::nn
