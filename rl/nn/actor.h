// Acting: observations in, actions out, for rollout and evaluation workers and for trained policies in programs.
#pragma once

#include <mobula/random.h>

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "rl/nn/parameters.h"
#include "rl/nn/policy.h"

namespace mobula::rl::nn {

// How those who collect experience depart from the policy. Travels with the weights; what a kind of policy has no use
// for is ignored. The default is the policy itself.
struct Exploration {
  double epsilon = 0;       // probability of a uniformly random action, of a policy that has action values
  double noise = 0;         // deviation of the normal noise added to a deterministic policy's action, scaled to [-1, 1]
  double perturbation = 0;  // > 0: deviation of noise on the parameters, other noise for each environment (algos/es)
  bool uniform = false;     // actions are uniform over the space: before learning begins
  // Of the Ornstein-Uhlenbeck process of a policy with correlated_noise, with `noise` as its sigma; see squashed.h.
  double theta = 0.15, dt = 0.01;
  // > 0: deviation of noise on the parameters that stays for an episode of an environment
  // (offpolicy/parameter_noise.h).
  double parameter_noise = 0;
  int resample_every = 0;  // steps after which draw_noise() is called again; 0: once a rollout
  bool operator==(const Exploration&) const = default;
};

// What parameter noise draws for an episode, kept because drawing it again in each short rollout would be dear. Not
// state: it follows from the key.
struct PerturbationCache {
  struct Entry {
    std::uint64_t seed = 0;
    std::uint32_t env = 0, episode = 0;
    std::vector<float> noise;  // empty: nothing yet
  };
  std::vector<Entry> of_row;
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
  // Numbers that the memory of an environment holds from step to step; 0 without memory.
  virtual int state_size() const { return 0; }
  // The memories of the rows that the following calls are about: [rows][state_size()], zero where an episode begins.
  // sample() and mode() move them on, values() only looks. Needed before each call that is about other rows, where
  // there is a memory.
  virtual void bind_states(std::span<float>) {}

  // For policies whose noise stays the same over several steps (state_dependent_noise): draws that of the rows that the
  // following calls of sample() are about, one Random a row. Others do nothing.
  virtual void draw_noise(std::span<Random>) {}
  // Draws an action for each row: observations [rows][observation_size], masks [rows][mask_size] or empty, one Random
  // a row. Writes actions [rows][action.dimensions], and log_probs and values [rows] unless these are null.
  virtual void sample(std::span<const float> parameters, std::span<const float> observations,
                      std::span<const std::uint8_t> masks, std::span<Random> random, const Exploration& exploration,
                      float* actions, float* log_probs, float* values) = 0;
  // The most likely action of each row.
  virtual void mode(std::span<const float> parameters, std::span<const float> observations,
                    std::span<const std::uint8_t> masks, float* actions) = 0;
  virtual void values(std::span<const float> parameters, std::span<const float> observations, float* values) = 0;

  PerturbationCache perturbations;
};

// The one for this kind of policy.
std::unique_ptr<Actor> make_actor(const PolicySpec& spec);

}  // namespace mobula::rl::nn
