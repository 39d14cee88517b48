#include "rl/buffers/fragment.h"

#include <algorithm>
#include <stdexcept>
#include <string>

namespace mobula::rl {
namespace {

// Calls visit(member, numbers) for every table in the order in which they lie in memory.
template <class Fragment, class Visit>
void for_each_table(Fragment& f, const Visit& visit) {
  const FragmentLayout& l = f.layout;
  const std::size_t cells = static_cast<std::size_t>(l.steps) * l.envs;
  visit(f.observations, cells * l.observation_size);
  visit(f.actions, cells * l.action_size);
  visit(f.log_probs, cells);
  visit(f.values, cells);
  visit(f.rewards, cells);
  visit(f.final_values, cells);
  visit(f.last_values, static_cast<std::size_t>(l.envs));
  visit(f.final_observations, cells * l.observation_size);
  visit(f.last_observations, static_cast<std::size_t>(l.envs) * l.observation_size);
  visit(f.costs, cells * l.costs);
  visit(f.groups, cells * l.costs);
  visit(f.masks, cells * l.mask_size);
  visit(f.last_masks, static_cast<std::size_t>(l.envs) * l.mask_size);
  visit(f.terminated, cells);
  visit(f.truncated, cells);
}

std::size_t aligned(std::size_t bytes) {
  return (bytes + 63) / 64 * 64;
}

struct Shape {
  FragmentLayout layout;
  std::span<float> observations, actions, log_probs, values, rewards, final_values, last_values, final_observations,
      last_observations, costs;
  std::span<std::int32_t> groups;
  std::span<std::uint8_t> masks, last_masks, terminated, truncated;
};

}  // namespace

FragmentLayout::FragmentLayout(const EnvironmentInfo& info, int step_count, int env_count)
    : steps(step_count),
      envs(env_count),
      observation_size(info.observation_size),
      action_size(info.action.dimensions),
      mask_size(info.mask_size),
      costs(static_cast<int>(info.cost_names.size())) {}

std::size_t FragmentLayout::bytes() const {
  Shape shape;
  shape.layout = *this;
  std::size_t total = 0;
  for_each_table(shape, [&total](auto& table, std::size_t numbers) {
    total += aligned(numbers * sizeof(typename std::remove_reference_t<decltype(table)>::element_type));
  });
  return total;
}

template <bool writable>
BasicFragment<writable>::BasicFragment(const FragmentLayout& shape, Memory memory) : layout(shape) {
  if (memory.size() < shape.bytes()) {
    throw std::invalid_argument("Viewing " + std::to_string(memory.size()) + " bytes as a fragment of " +
                                std::to_string(shape.steps) + " steps of " + std::to_string(shape.envs) +
                                " environments, which takes " + std::to_string(shape.bytes()) +
                                ". Reader and writer must use the same layout.");
  }
  auto* next = memory.data();
  for_each_table(*this, [&next](auto& table, std::size_t numbers) {
    using Element = typename std::remove_reference_t<decltype(table)>::element_type;
    table = std::span<Element>(reinterpret_cast<Element*>(next), numbers);
    next += aligned(numbers * sizeof(Element));
  });
}

template struct BasicFragment<true>;
template struct BasicFragment<false>;

void place_columns(const ConstFragment& part, Fragment& whole, int first) {
  const int steps = part.layout.steps, envs = part.layout.envs;
  const auto place = [&](const auto& from, const auto& to) {
    const std::size_t width = envs == 0 || steps == 0 ? 0 : from.size() / (static_cast<std::size_t>(steps) * envs);
    for (int t = 0; t < steps; ++t) {
      std::copy_n(from.data() + static_cast<std::size_t>(t) * envs * width, envs * width,
                  to.data() + (static_cast<std::size_t>(t) * whole.layout.envs + first) * width);
    }
  };
  place(part.observations, whole.observations);
  place(part.actions, whole.actions);
  place(part.log_probs, whole.log_probs);
  place(part.values, whole.values);
  place(part.rewards, whole.rewards);
  place(part.final_values, whole.final_values);
  place(part.final_observations, whole.final_observations);
  place(part.costs, whole.costs);
  place(part.groups, whole.groups);
  place(part.masks, whole.masks);
  place(part.terminated, whole.terminated);
  place(part.truncated, whole.truncated);
  std::copy(part.last_values.begin(), part.last_values.end(), whole.last_values.begin() + first);
  std::copy(part.last_masks.begin(), part.last_masks.end(),
            whole.last_masks.begin() + static_cast<std::ptrdiff_t>(first) * whole.layout.mask_size);
  std::copy(part.last_observations.begin(), part.last_observations.end(),
            whole.last_observations.begin() + static_cast<std::ptrdiff_t>(first) * whole.layout.observation_size);
}

}  // namespace mobula::rl
