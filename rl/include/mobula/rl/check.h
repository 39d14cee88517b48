#pragma once

#include <mobula/rl/environment.h>
#include <mobula/rl/snapshot.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace mobula::rl {

struct CheckOptions {
  std::uint64_t seed = 0;
  int steps = 5000;  // random steps in all
};

namespace check_detail {

template <class Action>
struct RandomAction;
template <int N>
struct RandomAction<Discrete<N>> {
  static Discrete<N> draw(Random& random) { return {static_cast<int>(random.below(N))}; }
  static bool valid(const Discrete<N>& action) { return action.index >= 0 && action.index < N; }
};
template <int D, Bound low, Bound high>
struct RandomAction<Box<D, low, high>> {
  // One in eight components lies on a bound: faults like to sit there.
  static Box<D, low, high> draw(Random& random) {
    Box<D, low, high> action;
    for (float& x : action.value) {
      const std::uint32_t kind = random.below(16);
      x = kind == 0   ? float(low)
          : kind == 1 ? float(high)
                      : std::min<float>(high, low + (high - low) * random.uniform_float());
    }
    return action;
  }
  static bool valid(const Box<D, low, high>& action) {
    return std::all_of(action.value.begin(), action.value.end(), [](float x) { return x >= low && x <= high; });
  }
};
template <int... Ns>
struct RandomAction<MultiDiscrete<Ns...>> {
  static constexpr std::array<int, sizeof...(Ns)> sizes{Ns...};
  static MultiDiscrete<Ns...> draw(Random& random) {
    MultiDiscrete<Ns...> action;
    for (std::size_t k = 0; k < sizes.size(); ++k) action.index[k] = static_cast<int>(random.below(sizes[k]));
    return action;
  }
  static bool valid(const MultiDiscrete<Ns...>& action) {
    for (std::size_t k = 0; k < sizes.size(); ++k) {
      if (action.index[k] < 0 || action.index[k] >= sizes[k]) return false;
    }
    return true;
  }
};

// Whether the mask allows the action.
template <class Action, std::size_t M>
bool allowed(const Action& action, const std::array<bool, M>& mask) {
  std::array<float, 64> row{};
  ActionCodec<Action>::encode(action, row.data());
  const ActionSpace space = ActionCodec<Action>::space();
  std::size_t base = 0;
  for (std::size_t k = 0; k < space.sizes.size(); ++k) {
    if (!mask[base + static_cast<std::size_t>(row[k])]) return false;
    base += static_cast<std::size_t>(space.sizes[k]);
  }
  return true;
}

template <std::size_t K>
bool finite(const std::array<float, K>& row) {
  return std::all_of(row.begin(), row.end(), [](float x) { return std::isfinite(x); });
}

// The step of `count` copies of an environment at once; empty if each of them gives `expected` and ends as `after`.
template <Environment E>
std::string batch_problem(const E& before, const typename E::Action& action,
                          const Step<typename E::Observation>& expected, const E& after, int count) {
  constexpr std::size_t K = observation_size<E>;
  const std::size_t width = static_cast<std::size_t>(ActionCodec<typename E::Action>::space().dimensions);
  std::vector<E> envs(count, before);
  std::vector<float> actions(count * width), observations(count * K);
  std::vector<double> rewards(count);
  std::vector<std::uint8_t> terminated(count, 2), truncated(count, 2);
  for (int i = 0; i < count; ++i) ActionCodec<typename E::Action>::encode(action, actions.data() + i * width);
  E::step_batch(std::span<E>(envs), actions,
                {observations.data(), rewards.data(), terminated.data(), truncated.data()});
  const bool end = expected.terminated || expected.truncated;
  // The states are compared by what the next step shows of them.
  const auto next_of = [&](E env) {
    Random random;
    return end ? expected : env.step(action, random);
  };
  const auto next = next_of(after);
  for (int i = 0; i < count; ++i) {
    const bool same_observation =
        std::equal(expected.observation.begin(), expected.observation.end(), observations.begin() + i * K);
    const auto then = next_of(envs[i]);
    if (!same_observation || rewards[i] != expected.reward || terminated[i] != expected.terminated ||
        truncated[i] != expected.truncated || then.observation != next.observation || then.reward != next.reward) {
      return "step_batch() and step() give different bits for the same state and action, in a batch of " +
             std::to_string(count) + ": results would depend on how environments are split over workers.";
    }
  }
  return {};
}

}  // namespace check_detail

// Plays an environment with random actions and returns what is wrong with it, one sentence a problem; empty if all is
// well. It looks for numbers that are not finite, for randomness that does not come from the Random it is given, for
// state that survives a reset, is missing from the snapshot or is shared by copies, for time limits reported as
// terminations, for masks, groups and baselines out of range, for batches that differ from single steps, for
// exceptions. Run it in a test of every environment:
//
//   EXPECT_THAT(mobula::rl::check_environment<MyEnv>(), testing::IsEmpty());
template <Environment E>
std::vector<std::string> check_environment(const typename E::Config& config = {}, const CheckOptions& options = {});

namespace check_detail {

template <Environment E>
void play(const typename E::Config& config, const CheckOptions& options, std::vector<std::string>& problems) {
  using Action = typename E::Action;
  static_assert(Snapshotable<E>,
                "The environment has no codec: make it trivially copyable, or add a member "
                "`template <class A> void serialize(A& a) { a(first_member, second_member); }`.");
  const auto problem = [&problems](const std::string& text) {
    if (std::find(problems.begin(), problems.end(), text) == problems.end()) problems.push_back(text);
  };

  // Three players of the same numbers: one that goes on, one made anew for each episode, and one that is put together
  // from a snapshot before every step.
  E lasting(config);
  Random actions(options.seed, Stream::user, 1);
  std::set<int> terminated_lengths;
  int terminated = 0, ended = 0, steps = 0;
  for (std::uint32_t episode = 0; steps < options.steps; ++episode) {
    Random random(options.seed, Stream::environment, 0, episode);
    Random fresh_random = random;
    E fresh(config);
    typename E::Observation observation = lasting.reset(random);
    if (!finite(observation)) problem("reset() gives an observation that is not finite.");
    if (fresh.reset(fresh_random) != observation) {
      problem(
          "reset() of a used environment and of a new one give different observations for the same random numbers: "
          "state survives the reset, or the environment draws from somewhere else.");
    }
    bool end = false;
    for (int length = 1; !end && steps < options.steps; ++length, ++steps) {
      Action action = RandomAction<Action>::draw(actions);
      if constexpr (Masked<E>) {
        const auto mask = lasting.action_mask();
        static_assert(std::tuple_size_v<std::remove_cvref_t<decltype(mask)>> > 0);
        bool found = false;
        for (int attempt = 0; attempt < 10000 && !found; ++attempt) {
          found = allowed(action, mask);
          if (!found) action = RandomAction<Action>::draw(actions);
        }
        if (!found) {
          problem("action_mask() allows no action before some step.");
          return;
        }
      }
      if constexpr (WithBaselines<E>) {
        for (const auto& baseline : std::span<const Baseline<E>>(E::baselines())) {
          const Action chosen = baseline.act(lasting);
          const std::string name(baseline.name);
          if (!RandomAction<Action>::valid(chosen)) problem("Baseline '" + name + "' gives an action out of range.");
          if (!(baseline.act(lasting) == chosen)) {
            problem("Baseline '" + name + "' gives different actions for the same state: it must be a pure function.");
          }
        }
      }

      std::vector<std::byte> bytes;
      append_snapshot(bytes, lasting);
      E restored(config);
      std::span<const std::byte> rest(bytes);
      take_snapshot(rest, restored);
      Random restored_random = random;

      const E before(lasting);
      E copy(lasting);
      Random copy_random = random;
      copy.step(action, copy_random);
      if constexpr (snapshot_detail::Serializable<E>) {
        std::vector<std::byte> again;
        append_snapshot(again, lasting);
        if (again != bytes) {
          problem(
              "Stepping a copy of the environment changes the original: they share state, as through a pointer. A copy "
              "must be an environment of its own.");
          return;
        }
      }
      const auto step = lasting.step(action, random);
      const auto same = [&step](const Step<typename E::Observation>& other) {
        return other.observation == step.observation && other.reward == step.reward &&
               other.terminated == step.terminated && other.truncated == step.truncated;
      };
      if (!finite(step.observation)) problem("step() gives an observation that is not finite.");
      if (!std::isfinite(step.reward)) problem("step() gives a reward that is not finite.");
      if (problems.empty() && !same(fresh.step(action, fresh_random))) {
        problem(
            "A used and a new environment go apart with the same random numbers and actions: state survives the reset, "
            "or the environment draws from somewhere else.");
      }
      if (problems.empty() && !same(restored.step(action, restored_random))) {
        problem(
            "An environment restored from a snapshot goes on differently: serialize() leaves out some of the state, or "
            "the environment draws from somewhere else.");
      }
      if constexpr (Batched<E>) {
        for (const int count : {1, 8, 11}) {
          if (!problems.empty()) break;
          if (const std::string text = batch_problem(before, action, step, lasting, count); !text.empty())
            problem(text);
        }
      }
      if constexpr (Annotated<E>) {
        const auto annotation = lasting.annotate();
        for (std::size_t c = 0; c < annotation.cost.size(); ++c) {
          const std::string name(E::cost_names[c]);
          if (!std::isfinite(annotation.cost[c])) problem("annotate() gives a cost '" + name + "' that is not finite.");
          if (annotation.group[c] < 0 || annotation.group[c] >= static_cast<int>(E::group_names.size())) {
            problem("annotate() gives cost '" + name + "' a group that is not an index of group_names.");
          }
        }
      }
      end = step.terminated || step.truncated;
      if (end) {
        ++ended;
        if (step.terminated && !step.truncated) {
          ++terminated;
          terminated_lengths.insert(length);
        }
        if constexpr (Reporting<E>) {
          EpisodeReport report, again;
          lasting.report(report);
          lasting.report(again);
          if (!(report == again)) problem("report() gives different reports for the same state.");
        }
      }
    }
    if (!problems.empty()) return;
  }
  if (ended == 0) {
    problem("No episode ended within " + std::to_string(options.steps) +
            " random steps: give the environment a time limit (as `truncated`).");
  }
  if (terminated >= 5 && terminated == ended && terminated_lengths.size() == 1 && *terminated_lengths.begin() > 1) {
    problem("All " + std::to_string(ended) + " episodes terminated after exactly " +
            std::to_string(*terminated_lengths.begin()) +
            " steps, which looks like a time limit: report those as `truncated`, else the value of the last states is "
            "learnt as 0.");
  }
}

}  // namespace check_detail

template <Environment E>
std::vector<std::string> check_environment(const typename E::Config& config, const CheckOptions& options) {
  std::vector<std::string> problems;
  try {
    check_detail::play<E>(config, options, problems);
  } catch (const std::exception& error) {
    problems.push_back(std::string("The environment threw an exception: ") + error.what());
  }
  return problems;
}

}  // namespace mobula::rl
