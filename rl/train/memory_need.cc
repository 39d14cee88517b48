#include "rl/train/memory_need.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <optional>
#include <variant>

#include "rl/buffers/fragment.h"
#include "rl/buffers/replay.h"
#include "rl/fairness/bootstrap.h"

namespace mobula::rl {
namespace {

constexpr double kGiB = 1 << 30;
constexpr double kFloat = sizeof(float);

/// Steps collected between two updates: environments x steps of each, and what their settings are called.
struct RolloutShape {
  double envs = 0, steps = 1;
  std::string_view envs_key, steps_key;
};

template <class O>
RolloutShape rollout_of(const O& o) {
  if constexpr (requires { o.n_delta; }) {
    return {2.0 * o.n_delta, 1, "n_delta", "n_delta"};
  } else if constexpr (requires { o.n_directions; }) {
    return {2.0 * o.n_directions, 1, "n_directions", "n_directions"};
  } else if constexpr (requires { o.train_freq; }) {
    return {1.0 * o.n_envs, 1.0 * o.train_freq, "n_envs", "train_freq"};
  } else {
    return {1.0 * o.n_envs, 1.0 * o.n_steps, "n_envs", "n_steps"};
  }
}

std::string key_of(const RolloutShape& shape) {
  return "algorithm." + std::string(shape.envs >= shape.steps ? shape.envs_key : shape.steps_key);
}

MemoryNeed rollout_need(const RolloutShape& shape, const EnvironmentInfo& info) {
  // Large, so that what the alignment of the tables adds is nothing beside it.
  constexpr int many = 1000;
  const double cell = static_cast<double>(FragmentLayout(info, many, many).bytes()) / many / many;
  constexpr double learner = 4 * kFloat;  // rewards, advantages, returns, the order of the samples
  constexpr double environment = 256;     // itself, its random numbers, its snapshot
  return {key_of(shape), fmt::format("rollouts of {:.0f} environments x {:.0f} steps", shape.envs, shape.steps),
          shape.envs * shape.steps * (cell + learner) + shape.envs * environment};
}

/// Parameters, gradient and the two moments of the optimiser.
constexpr double kTrained = 4 * kFloat;

template <class O>
void add_networks(const O& o, const EnvironmentInfo& info, std::vector<MemoryNeed>& needs) {
  double networks = 1;
  if constexpr (requires { o.shared_trunk; }) networks = o.shared_trunk ? 1 : 2;
  if constexpr (requires { o.tau; }) networks = 2;
  double width = info.observation_size;
  if constexpr (requires { o.memory_units; }) {
    if (o.memory != "none") {
      const double units = o.memory_units, gates = o.memory == "lstm" ? 4 : 3;
      needs.push_back({"algorithm.memory_units", fmt::format("layers with memory of {:.0f} units", units),
                       networks * gates * units * (width + units) * kTrained});
      width = units;
    }
  }
  double weights = 0, hidden = 0;
  for (const int next : o.hidden) {
    weights += width * next;
    width = next;
    hidden += next;
  }
  needs.push_back(
      {"algorithm.hidden", fmt::format("networks with {:.0f} hidden units", hidden), networks * weights * kTrained});
  const auto& sizes = info.action.sizes;
  double outputs = info.action.kind == ActionSpace::Kind::box ? info.action.dimensions
                                                              : std::accumulate(sizes.begin(), sizes.end(), 0.0);
  std::string head = "algorithm.hidden";
  if constexpr (requires { o.atoms; }) {
    if (o.value_head != "mean") {
      outputs *= o.atoms;
      head = "algorithm.atoms";
    }
  }
  needs.push_back({head, fmt::format("the networks' {:.0f} outputs", outputs), networks * width * outputs * kTrained});
  if constexpr (requires { o.buffer_size; }) {
    const double row = 2 * info.observation_size + info.action.dimensions + 2 * hidden + outputs;
    needs.push_back({"algorithm.batch_size", fmt::format("batches of {} steps", o.batch_size),
                     static_cast<double>(o.batch_size) * row * kFloat});
  }
}

template <class O>
void add_replay(const O& o, const EnvironmentInfo& info, std::vector<MemoryNeed>& needs) {
  if constexpr (requires { o.buffer_size; }) {
    bool prioritized = false;
    if constexpr (requires { o.prioritized; }) prioritized = o.prioritized;
    const ReplayBuffer one(FragmentLayout(info, 1, 1), {.capacity = 1, .prioritized = prioritized});
    needs.push_back({"algorithm.buffer_size", fmt::format("{} steps kept to learn from", o.buffer_size),
                     static_cast<double>(one.bytes_a_transition()) * static_cast<double>(o.buffer_size)});
  }
}

RolloutShape rollout_shape(const TrainOptions& options) {
  return std::visit([](const auto& o) { return rollout_of(o); }, options.algorithm);
}

}  // namespace

std::vector<MemoryNeed> memory_needs(const TrainOptions& options) {
  const EnvironmentInfo& info = options.env.info;
  std::vector<MemoryNeed> needs{rollout_need(rollout_shape(options), info)};
  std::visit(
      [&](const auto& o) {
        add_networks(o, info, needs);
        add_replay(o, info, needs);
      },
      options.algorithm);
  const auto episodes = static_cast<double>(options.evaluate.episodes);
  needs.push_back({"evaluate.episodes", fmt::format("intervals over {:.0f} episodes", episodes),
                   episodes * Resamples::count * sizeof(std::uint32_t)});
  return needs;
}

std::string problem_with_memory(const TrainOptions& options, std::uint64_t available) {
  const RolloutShape shape = rollout_shape(options);
  constexpr double most = std::numeric_limits<std::uint32_t>::max();
  if (shape.envs * shape.steps > most) {
    return fmt::format(
        "{}: {:.0f} environments x {:.0f} steps are {:.3g} steps between two updates; expected at most "
        "{:.0f}",
        key_of(shape), shape.envs, shape.steps, shape.envs * shape.steps, most);
  }
  const auto needs = memory_needs(options);
  double all = 0;
  for (const auto& need : needs) all += need.bytes;
  if (all <= static_cast<double>(available)) return {};
  const auto& largest =
      *std::max_element(needs.begin(), needs.end(), [](const auto& a, const auto& b) { return a.bytes < b.bytes; });
  return fmt::format(
      "{}: {} take {:.3g} GiB of memory, and the run at least {:.3g} GiB; expected at most {:.3g} GiB, "
      "which is what this machine has left",
      largest.key, largest.what, largest.bytes / kGiB, all / kGiB, static_cast<double>(available) / kGiB);
}

}  // namespace mobula::rl
