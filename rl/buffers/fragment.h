// A fragment: what some environments did during some steps, as one block of bytes that can lie in shared memory and is
// written in place.
#pragma once

#include <mobula/rl/any_vec_env.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

namespace mobula::rl {

// The shape, and from it the place of each table. Tables are row-major [steps][envs][...]. Value type; all it says can
// be computed from the environment's info and two numbers, so it does not travel.
struct FragmentLayout {
  int steps = 0;
  int envs = 0;
  int observation_size = 0;
  int action_size = 0;
  int mask_size = 0;
  int costs = 0;

  FragmentLayout() = default;
  FragmentLayout(const EnvironmentInfo& info, int steps, int envs);
  std::size_t bytes() const;
  bool operator==(const FragmentLayout&) const = default;
};

// The tables of a fragment, over memory of layout.bytes() bytes aligned to 64 that belongs to someone else.
// Rewards and observations are raw; values and log-probabilities are those of the policy that acted.
template <bool writable>
struct BasicFragment {
  template <class T>
  using Table = std::span<std::conditional_t<writable, T, const T>>;
  using Memory = std::span<std::conditional_t<writable, std::byte, const std::byte>>;

  // Throws std::invalid_argument if the memory is too small.
  BasicFragment(const FragmentLayout& layout, Memory memory);

  FragmentLayout layout;
  Table<float> observations;        // [steps][envs][observation_size], what the policy saw
  Table<float> actions;             // [steps][envs][action_size], as proposed: a box's values are not clipped
  Table<float> log_probs;           // [steps][envs]
  Table<float> values;              // [steps][envs]
  Table<float> rewards;             // [steps][envs]
  Table<float> final_values;        // [steps][envs], value of the final observation where truncated only, else 0
  Table<float> last_values;         // [envs], value of the observation after the last step
  Table<float> final_observations;  // [steps][envs][observation_size], where an episode ended, else 0
  Table<float> last_observations;   // [envs][observation_size], after the last step: the first of the next fragment
  Table<std::uint8_t> last_masks;   // [envs][mask_size], of the observation after the last step
  Table<float> costs;               // [steps][envs][costs]
  Table<std::int32_t> groups;       // [steps][envs][costs]
  Table<std::uint8_t> masks;        // [steps][envs][mask_size]
  Table<std::uint8_t> terminated;   // [steps][envs]
  Table<std::uint8_t> truncated;    // [steps][envs]
};
using Fragment = BasicFragment<true>;
using ConstFragment = BasicFragment<false>;

// Copies the environments of `part` into columns first .. first + part.envs - 1 of `whole`, which has the same number
// of steps. How the fragments of several workers become the one that a single worker would have written.
void place_columns(const ConstFragment& part, Fragment& whole, int first);

}  // namespace mobula::rl
