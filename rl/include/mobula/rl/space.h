#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <string>
#include <vector>

namespace mobula::rl {

// One of N actions, 0 .. N-1.
template <int N>
struct Discrete {
  static_assert(N >= 1);
  int index = 0;
  bool operator==(const Discrete&) const = default;
};

// A float as a template argument, for compilers that take only classes (Clang before 18).
struct Bound {
  float value;
  constexpr Bound(float v) : value(v) {}
  constexpr operator float() const { return value; }
  bool operator==(const Bound&) const = default;
};

// D real numbers, each in [low, high]. What an environment's step receives lies inside the bounds; a policy may
// propose values outside, and those are what the learner keeps (see `ActionCodec::decode`).
template <int D, Bound low = -1.0f, Bound high = 1.0f>
struct Box {
  static_assert(D >= 1 && low < high);
  std::array<float, D> value{};
  bool operator==(const Box&) const = default;
};

// Several choices at once: the k-th is one of Ns[k].
template <int... Ns>
struct MultiDiscrete {
  static_assert(sizeof...(Ns) >= 1 && ((Ns >= 1) && ...));
  std::array<int, sizeof...(Ns)> index{};
  bool operator==(const MultiDiscrete&) const = default;
};

// An action space as data: what a network's head, a configuration file or a report needs to know of it.
struct ActionSpace {
  enum class Kind { discrete, box, multi_discrete };
  Kind kind = Kind::discrete;
  std::vector<int> sizes;   // choices: {n} for discrete, one per component for multi_discrete, empty for box
  int dimensions = 1;       // numbers in an action's row: 1, the D of a box, the components of a multi_discrete
  float low = 0, high = 0;  // bounds of a box

  // Outputs of the policy head: one logit per choice, one mean per dimension of a box.
  int head_size() const {
    if (kind == Kind::box) return dimensions;
    int sum = 0;
    for (const int n : sizes) sum += n;
    return sum;
  }
  // Sizes of an action mask; 0 where the space cannot have one.
  int mask_size() const { return kind == Kind::box ? 0 : head_size(); }
  bool operator==(const ActionSpace&) const = default;
};

// How an action travels in a row of floats: indices as whole numbers, a box as its values. Specialised per space.
template <class Action>
struct ActionCodec;

template <int N>
struct ActionCodec<Discrete<N>> {
  static ActionSpace space() { return {ActionSpace::Kind::discrete, {N}, 1, 0, 0}; }
  static void encode(const Discrete<N>& action, float* row) { row[0] = static_cast<float>(action.index); }
  static Discrete<N> decode(const float* row) { return {static_cast<int>(row[0])}; }
};

template <int D, Bound low, Bound high>
struct ActionCodec<Box<D, low, high>> {
  static ActionSpace space() { return {ActionSpace::Kind::box, {}, D, low, high}; }
  static void encode(const Box<D, low, high>& action, float* row) {
    for (int d = 0; d < D; ++d) row[d] = action.value[d];
  }
  // Clips to the bounds: the row keeps what the policy proposed, the environment gets what is allowed.
  static Box<D, low, high> decode(const float* row) {
    Box<D, low, high> action;
    for (int d = 0; d < D; ++d) action.value[d] = std::clamp<float>(row[d], low, high);
    return action;
  }
};

template <int... Ns>
struct ActionCodec<MultiDiscrete<Ns...>> {
  static ActionSpace space() { return {ActionSpace::Kind::multi_discrete, {Ns...}, sizeof...(Ns), 0, 0}; }
  static void encode(const MultiDiscrete<Ns...>& action, float* row) {
    for (std::size_t k = 0; k < sizeof...(Ns); ++k) row[k] = static_cast<float>(action.index[k]);
  }
  static MultiDiscrete<Ns...> decode(const float* row) {
    MultiDiscrete<Ns...> action;
    for (std::size_t k = 0; k < sizeof...(Ns); ++k) action.index[k] = static_cast<int>(row[k]);
    return action;
  }
};

template <class Action>
concept ActionType = requires(const Action& action, const float* in, float* out) {
  { ActionCodec<Action>::space() } -> std::same_as<ActionSpace>;
  { ActionCodec<Action>::decode(in) } -> std::same_as<Action>;
  ActionCodec<Action>::encode(action, out);
};

}  // namespace mobula::rl
