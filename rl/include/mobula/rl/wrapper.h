#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>
#include <mobula/rl/snapshot.h>

#include <cstddef>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mobula::rl {

namespace wrapper_detail {

template <class E>
struct Costs {};
template <class E>
requires requires {
  E::cost_names;
  E::group_names;
}
struct Costs<E> {
  static constexpr auto cost_names = E::cost_names;
  static constexpr auto group_names = E::group_names;
};

template <class W, class E>
class Baselines {
 public:
  static std::span<const Baseline<W>> all() {
    static const std::vector<Baseline<W>> baselines = make(std::make_index_sequence<kMost>());
    return baselines;
  }

 private:
  static constexpr std::size_t kMost = 16;
  template <std::size_t I>
  static typename W::Action act(const W& wrapper) {
    return W::outward(std::span<const Baseline<E>>(E::baselines())[I].act(wrapper.env));
  }
  template <std::size_t... Is>
  static std::vector<Baseline<W>> make(std::index_sequence<Is...>) {
    static constexpr typename W::Action (*functions[])(const W&) = {&act<Is>...};
    std::vector<Baseline<W>> baselines;
    for (const auto& inner : std::span<const Baseline<E>>(E::baselines())) {
      if (baselines.size() == kMost) break;
      baselines.push_back({inner.name, functions[baselines.size()]});
    }
    return baselines;
  }
};

template <class Archive, class E>
void serialize_inner(Archive& archive, E& env) {
  if constexpr (std::is_trivially_copyable_v<E> && !snapshot_detail::Serializable<E>) {
    archive(cereal::binary_data(&env, sizeof env));
  } else {
    archive(env);
  }
}

}  // namespace wrapper_detail

// What all wrappers have in common. W is the wrapper itself, E what it wraps.
template <class W, Environment E>
struct Wrapper : wrapper_detail::Costs<E> {
  struct Config {
    typename E::Config env{};
    void describe(Fields& f) { env.describe(f); }
  };
  using Observation = typename E::Observation;
  using Action = typename E::Action;

  explicit Wrapper(const typename E::Config& config) : env(config) {}

  auto annotate() const requires Annotated<E> { return env.annotate(); }
  void report(EpisodeReport& report) const requires Reporting<E> { env.report(report); }
  static std::span<const GroupSetView> group_sets() requires WithGroupSets<E> { return E::group_sets(); }
  static std::span<const Baseline<W>> baselines() requires WithBaselines<E> {
    return wrapper_detail::Baselines<W, E>::all();
  }
  auto action_mask() const requires Masked<E> { return env.action_mask(); }
  std::string render_text() const requires TextRenderable<E> { return env.render_text(); }
  std::string render_svg() const requires SvgRenderable<E> { return env.render_svg(); }
  // An inner action as one of the wrapper's.
  static Action outward(const typename E::Action& action) { return action; }

  E env;
};

}  // namespace mobula::rl
