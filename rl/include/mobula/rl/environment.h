#pragma once

#include <mobula/random.h>
#include <mobula/rl/report.h>
#include <mobula/rl/space.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mobula {
class Fields;
}

namespace mobula::rl {

// What one step of an environment gives back.
template <class Observation>
struct Step {
  Observation observation;  // after the step; at an end, the final one (never that of the next episode)
  double reward = 0;
  bool terminated = false;  // the task itself ended: nothing more can be earned from here
  bool truncated = false;   // a limit from outside (time) ended the episode: its value goes on
};

// Costs besides the reward, one per name in E::cost_names, each with the index of the group it belongs to in
// E::group_names. Read after each step; costs add up over an episode.
template <std::size_t C>
struct Annotation {
  std::array<float, C> cost{};
  std::array<int, C> group{};
};

// A set of groups that an environment declares: their names as in its report, and the group of each cost (empty: as
// annotated). The first set is the one that is compared if nothing else is asked for.
struct GroupSetView {
  std::string_view name;
  std::span<const std::string_view> groups;
  std::span<const int> of_cost;
};

// Where a batch of steps is written: row i belongs to environment i. The observation is the one after the step, also at
// an end.
struct StepRows {
  float* observations;  // [count][observation_size]
  double* rewards;
  std::uint8_t* terminated;
  std::uint8_t* truncated;
};

// A hand-written controller to compare with: a pure function of the environment's state.
template <class E>
struct Baseline {
  std::string_view name;
  typename E::Action (*act)(const E&);
};

// An environment is a plain struct: no base class, no registration, nothing virtual.
//
//   struct MyEnv {
//     struct Config { double gravity = 9.8; void describe(Fields&); };      // <mobula/fields.h>
//     using Observation = std::array<float, 4>;
//     using Action = rl::Discrete<2>;
//     explicit MyEnv(const Config&);
//     Observation reset(Random&);                                           // starts an episode
//     rl::Step<Observation> step(const Action&, Random&);
//   };
//
// All randomness comes from the Random that is passed in: it is keyed by seed, environment and episode, which is what
// makes runs repeat on any number of workers. After an end, `step` is not called before `reset`.
//
// The state must have a codec, so that training resumes exactly: either the struct is trivially copyable, or it has
// `template <class A> void serialize(A& a) { a(x, y, z); }` naming all that changes after construction (see
// <mobula/codec.h>). What follows from the Config alone needs no saving.
//
// Optional members, each found by its signature:
//   Annotation<C> annotate() const, with static constexpr std::array<std::string_view, C> cost_names and group_names
//   static std::span<const GroupSetView> group_sets()   where there is more than one way to group; by default one set
//                                              called `group` with the group_names
//   void report(EpisodeReport&) const          called once, at an episode's end
//   static std::span<const Baseline<E>> baselines()
//   std::array<bool, N> action_mask() const    which actions are allowed now (Discrete and MultiDiscrete)
//   std::string render_text() const, std::string render_svg() const
//   static void step_batch(std::span<E> envs, std::span<const float> actions, const StepRows&)
//                                              steps all of them, for environments whose steps draw no numbers; actions
//                                              are rows as in ActionCodec, boxes not yet clipped. Must give the bits
//                                              that `step` gives each of them (check_environment compares).
template <class E>
concept Environment = std::copyable<E> && ActionType<typename E::Action> &&
    std::constructible_from<E, const typename E::Config&> && std::copyable<typename E::Config> &&
    std::default_initializable<typename E::Config> &&
    requires(E e, const typename E::Action& action, Random& random, typename E::Config& config, Fields& fields) {
  requires std::same_as<typename E::Observation, std::array<float, std::tuple_size_v<typename E::Observation>>>;
  { e.reset(random) } -> std::same_as<typename E::Observation>;
  { e.step(action, random) } -> std::same_as<Step<typename E::Observation>>;
  config.describe(fields);
};

template <class E>
concept Annotated = Environment<E> && requires(const E e) {
  { e.annotate() } -> std::same_as<Annotation<E::cost_names.size()>>;
  { E::group_names[0] } -> std::convertible_to<std::string_view>;
};

template <class E>
concept Reporting = Environment<E> && requires(const E e, EpisodeReport& report) {
  e.report(report);
};

template <class E>
concept WithGroupSets = Environment<E> && requires {
  { E::group_sets() } -> std::convertible_to<std::span<const GroupSetView>>;
};

template <class E>
concept WithBaselines = Environment<E> && requires {
  { E::baselines() } -> std::convertible_to<std::span<const Baseline<E>>>;
};

template <class E>
concept Masked = Environment<E> && requires(const E e) {
  std::tuple_size<decltype(e.action_mask())>::value;
};

template <class E>
concept Batched = Environment<E> && requires(std::span<E> envs, std::span<const float> actions, const StepRows& rows) {
  E::step_batch(envs, actions, rows);
};

template <class E>
concept TextRenderable = Environment<E> && requires(const E e) {
  { e.render_text() } -> std::same_as<std::string>;
};

template <class E>
concept SvgRenderable = Environment<E> && requires(const E e) {
  { e.render_svg() } -> std::same_as<std::string>;
};

// Floats in an observation's row.
template <Environment E>
inline constexpr int observation_size = static_cast<int>(std::tuple_size_v<typename E::Observation>);

}  // namespace mobula::rl
