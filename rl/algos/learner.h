// What the training loop knows of an algorithm. A new one is an options struct in <mobula/rl/algorithm_options.h>, a
// Learner, and the functions that algorithms.h names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "rl/buffers/fragment.h"
#include "rl/nn/actor.h"

namespace mobula::rl {

// Named numbers of an update, in the order of the columns of progress.csv; the same names each time. Names are
// literals: they live as long as the program.
using Statistics = std::vector<std::pair<std::string_view, double>>;

// What a `shape` hook sees: the batch as the environments' workers wrote it, and the advantages, which it may change.
// Returns (the targets of the value function) are fixed before it runs.
struct ShapeInput {
  const ConstFragment& fragment;
  std::span<const float> rewards;  // [steps][envs], normalised if the options say so
  std::span<float> advantages;     // [steps][envs]
};
using ShapeHook = std::function<void(const ShapeInput&)>;

// May change the rewards [steps][envs] that are learned from, before they are normalised: terms added to them, or a
// Lagrangian mix with costs. By the linearity of generalised advantages it shapes them too, and the value function
// learns the mix. The fragment keeps the environment's own.
using RewardHook = std::function<void(const ConstFragment&, std::span<float> rewards)>;

// What is collected between two updates: so many steps of each environment.
struct RolloutSize {
  int envs = 1;
  int steps = 1;
  int state_size = 0;  // numbers that an environment's memory of the policy holds
  std::int64_t total() const { return static_cast<std::int64_t>(envs) * steps; }
};

// Fragments in, better parameters out. In the driver's process; no hidden state: the same fragments give the same
// bytes. A round is one rollout and one learn().
class Learner {
 public:
  virtual ~Learner() = default;

  // Of those who act.
  virtual const nn::PolicySpec& spec() const = 0;
  // All that is learnt in one flat array (its SHA-256 is the run's), changed by learn() and load().
  virtual std::span<const float> parameters() const = 0;
  // The part of it that those who act need: what nn::make_actor(spec()) takes. It is what travels to workers and what
  // is stored as the policy.
  virtual std::span<const float> policy() const { return parameters(); }

  // Updates by which the policy that collects is older than policy(): from 1 on the next rollout is collected while the
  // learner learns from this one. Fixed for the run, so that bytes do not depend on who was faster.
  virtual int lag() const { return 0; }
  // The policy that the rollout `ahead` of the next one is collected with.
  virtual std::span<const float> behaviour(int ahead = 0) const { return (void)ahead, policy(); }

  // Otherwise (a choice that some algorithms offer) rollouts of parts of the environments are learned from as they
  // arrive, whoever collected them and with whichever of the latest policies: a fragment's columns are then any
  // environments, perhaps twice in a row. lag() is 0, and before each learn() the learner is told, for each column, the
  // iteration() of the policy that collected it.
  virtual bool deterministic() const { return true; }
  virtual void collected_by(std::span<const std::uint32_t> /*iterations*/) {}

  // The same for the whole run.
  virtual RolloutSize rollout() const = 0;
  // Steps of all environments that a rollout took: rollout().total(), unless environments play whole episodes.
  virtual std::int64_t steps_in(const ConstFragment&) const { return rollout().total(); }
  // The same before it is known, for what happens every so often.
  virtual std::int64_t typical_steps() const { return rollout().total(); }
  // How the next rollout departs from the policy.
  virtual nn::Exploration exploration() const { return {}; }
  // Rounds of an iteration: after as many there is a row of progress.csv, and evaluations and checkpoints count
  // iterations. An algorithm that learns after every few steps makes many rounds one.
  virtual std::uint32_t rounds() const { return 1; }

  // Learns from one rollout: all environments in order, rollout().steps steps. Throws std::runtime_error, with advice,
  // when numbers are no longer finite.
  virtual Statistics learn(const ConstFragment& fragment) = 0;

  virtual std::int64_t env_steps() const = 0;   // consumed
  virtual std::uint32_t iteration() const = 0;  // rounds done: what collect() is to be given next

  // So far in this process: seconds spent on rewards, advantages and targets, and the floating-point operations of the
  // products that the updates could not do without (0: there are none, or they are not known).
  virtual double advantage_seconds() const { return 0; }
  virtual double operations() const { return 0; }

  // The whole state: parameters, moments, normalisers, buffers, progress of the schedules. load() throws
  // std::runtime_error if the bytes are of another learner; this one is then as it was.
  virtual std::vector<std::byte> save() const = 0;
  virtual void load(std::span<const std::byte> bytes) = 0;

  // Called before advantages or targets are computed. Not part of save(). Only where supports_constraints().
  virtual void set_reward(RewardHook) {}
  // Called after the advantages are computed and before they are used. Not part of save(). Only where there are such.
  virtual void set_shape(ShapeHook) {}
};

}  // namespace mobula::rl
