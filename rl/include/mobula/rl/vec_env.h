#pragma once

#include <mobula/fields.h>
#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/environment.h>
#include <mobula/rl/snapshot.h>

#include <mobula/rl/wrapper_options.h>

#include <algorithm>
#include <exception>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mobula::rl {

// Fills a described struct from YAML text; what `make_vec_env` reads configurations with. Returns the wrappers that the
// text asks for. Throws config::ConfigError.
std::vector<WrapperOptions> read_environment_config(const std::string& config_yaml, Fields::Group& config);

template <Environment E>
EnvironmentInfo environment_info() {
  EnvironmentInfo info;
  info.observation_size = observation_size<E>;
  info.action = ActionCodec<typename E::Action>::space();
  if constexpr (Masked<E>) info.mask_size = info.action.mask_size();
  if constexpr (Annotated<E>) {
    info.cost_names.assign(E::cost_names.begin(), E::cost_names.end());
    info.group_names.assign(E::group_names.begin(), E::group_names.end());
    if (!info.group_names.empty()) info.group_sets.push_back({"group", info.group_names, {}});
  }
  if constexpr (WithGroupSets<E>) {
    info.group_sets.clear();
    for (const auto& set : std::span<const GroupSetView>(E::group_sets())) {
      info.group_sets.push_back(
          {std::string(set.name), {set.groups.begin(), set.groups.end()}, {set.of_cost.begin(), set.of_cost.end()}});
    }
  }
  if constexpr (WithBaselines<E>) {
    for (const auto& baseline : std::span<const Baseline<E>>(E::baselines())) {
      info.baseline_names.emplace_back(baseline.name);
    }
  }
  info.reports = Reporting<E>;
  info.renders_text = TextRenderable<E>;
  info.renders_svg = SvgRenderable<E>;
  return info;
}

// Steps `options.count` copies of E; see AnyVecEnv for the contract.
template <Environment E>
class VecEnv final : public AnyVecEnv {
  static_assert(Snapshotable<E>,
                "The environment has no codec: make it trivially copyable, or add a member "
                "`template <class A> void serialize(A& a) { a(first_member, second_member); }`.");
  static constexpr int K = observation_size<E>;
  using Codec = ActionCodec<typename E::Action>;

 public:
  VecEnv(const typename E::Config& config, const VecEnvOptions& options)
      : AnyVecEnv(environment_info<E>(), options),
        fresh_(config),
        envs_(options.count, fresh_),
        random_(options.count),
        totals_(options.count),
        lengths_(options.count),
        crashes_(options.count),
        broken_episodes_(options.count),
        failed_resets_(options.count) {}

  const E& env(int i) const { return envs_[i]; }

  void reset(std::uint32_t episode) override {
    ended_.clear();
    for (int i = 0; i < size(); ++i) {
      episodes_[i] = episode;
      begin_episode(i);
      rewards_[i] = 0;
      terminated_[i] = truncated_[i] = 0;
    }
  }
  void reset() { reset(0); }

  void step(std::span<const float> actions) override {
    ended_.clear();
    if constexpr (Batched<E>) {
      E::step_batch(std::span<E>(envs_), actions,
                    {observations_.data(), rewards_.data(), terminated_.data(), truncated_.data()});
      for (int i = 0; i < size(); ++i) {
        if (after_step(i)) [[unlikely]] {
          std::copy_n(observations_.data() + i * K, K, final_observations_.data() + i * K);
          end_episode(i, terminated_[i]);
        } else {
          mask(i);
        }
      }
    } else {
      for (int i = 0; i < size(); ++i) step_one(i, actions.data() + i * info_.action.dimensions);
    }
  }

  void cut(int i) override {
    if (terminated_[i] || truncated_[i]) return;
    truncated_[i] = 1;
    std::copy_n(observations_.data() + i * K, K, final_observations_.data() + i * K);
    end_episode(i, false);
    EpisodeEnd end = std::move(ended_.back());
    ended_.pop_back();
    add_end(std::move(end));
  }

  void baseline_actions(int k, std::span<float> actions) const override {
    if constexpr (WithBaselines<E>) {
      const auto& baseline = std::span<const Baseline<E>>(E::baselines())[k];
      for (int i = 0; i < size(); ++i) {
        Codec::encode(baseline.act(envs_[i]), actions.data() + static_cast<std::size_t>(i) * info_.action.dimensions);
      }
    } else {
      (void)k, (void)actions;
      throw std::logic_error("This environment has no baselines.");
    }
  }

  std::string render_text(int env) const override {
    if constexpr (TextRenderable<E>) return envs_[env].render_text();
    return (void)env, std::string();
  }
  std::string render_svg(int env) const override {
    if constexpr (SvgRenderable<E>) return envs_[env].render_svg();
    return (void)env, std::string();
  }

  void save(int i, std::vector<std::byte>& bytes) const override {
    append_snapshot(bytes, envs_[i]);
    append_snapshot(bytes, random_[i]);
    append_snapshot(bytes, episodes_[i]);
    append_snapshot(bytes, lengths_[i]);
    append_snapshot(bytes, crashes_[i]);
    append_snapshot(bytes, broken_episodes_[i]);
    append_snapshot(bytes, failed_resets_[i]);
    append_snapshot(bytes, totals_[i]);
    append_row(bytes, observations_, i, K);
    append_row(bytes, masks_, i, info_.mask_size);
  }

  void load(int i, std::span<const std::byte>& bytes) override {
    take_snapshot(bytes, envs_[i]);
    take_snapshot(bytes, random_[i]);
    take_snapshot(bytes, episodes_[i]);
    take_snapshot(bytes, lengths_[i]);
    take_snapshot(bytes, crashes_[i]);
    take_snapshot(bytes, broken_episodes_[i]);
    take_snapshot(bytes, failed_resets_[i]);
    take_snapshot(bytes, totals_[i]);
    take_row(bytes, observations_, i, K);
    take_row(bytes, masks_, i, info_.mask_size);
    rewards_[i] = 0;
    terminated_[i] = truncated_[i] = 0;
  }

 private:
  static constexpr std::uint32_t kMostWithoutStep = 10, kMostWithoutEpisode = 100;

  void step_one(int i, const float* action) {
    Step<typename E::Observation> result;
    try {
      result = envs_[i].step(Codec::decode(action), random_[i]);
    } catch (const std::exception& error) {
      return crash(i, error.what());
    }
    rewards_[i] = result.reward;
    terminated_[i] = result.terminated;
    truncated_[i] = result.truncated;
    const bool end = after_step(i);
    auto& table = end ? final_observations_ : observations_;
    std::copy_n(result.observation.data(), K, table.data() + i * K);
    if (end) {
      end_episode(i, result.terminated);
    } else {
      mask(i);
    }
  }

  // Books the step; whether it ended the episode.
  bool after_step(int i) {
    totals_[i] += rewards_[i];
    ++lengths_[i];
    crashes_[i] = 0;
    if constexpr (Annotated<E>) annotate(i);
    return terminated_[i] | truncated_[i];
  }

  // The environment threw: what it holds is worth nothing any more.
  void crash(int i, const char* what) {
    refuse_endless_crashes(i, what);
    rewards_[i] = 0;
    terminated_[i] = 0;
    truncated_[i] = 1;
    if constexpr (Annotated<E>) {
      constexpr std::size_t C = E::cost_names.size();  // (the groups stay those of the last step)
      std::fill_n(costs_.data() + i * C, C, 0.0f);
    }
    std::copy_n(observations_.data() + i * K, K, final_observations_.data() + i * K);
    auto& end = ended_.emplace_back();
    end.env = options_.first + static_cast<std::uint32_t>(i);
    end.episode = episodes_[i];
    end.length = lengths_[i];
    end.total = totals_[i];
    end.crashed = true;
    end.crashes = std::exchange(failed_resets_[i], 0) + 1;
    envs_[i] = fresh_;
    ++episodes_[i];
    begin_episode(i);
  }

  void refuse_endless_crashes(int i, const char* what) {
    const bool never_steps = ++crashes_[i] >= kMostWithoutStep;
    const bool never_ends = ++broken_episodes_[i] >= kMostWithoutEpisode;
    if (!never_steps && !never_ends) return;
    throw std::runtime_error(
        "Environment " + std::to_string(options_.first + static_cast<std::uint32_t>(i)) + " crashed " +
        (never_steps ? std::to_string(kMostWithoutStep) + " times without a step in between"
                     : std::to_string(kMostWithoutEpisode) + " times without a whole episode in between") +
        ", the last time in its episode " + std::to_string(episodes_[i]) + ": " + what);
  }

  void begin_episode(int i) {
    for (;; ++episodes_[i]) {
      random_[i] = Random(options_.seed, options_.stream, options_.first + static_cast<std::uint32_t>(i), episodes_[i]);
      totals_[i] = 0;
      lengths_[i] = 0;
      try {
        const auto observation = envs_[i].reset(random_[i]);
        std::copy_n(observation.data(), K, observations_.data() + i * K);
        mask(i);
        return;
      } catch (const std::exception& error) {
        refuse_endless_crashes(i, error.what());
        ++failed_resets_[i];
        envs_[i] = fresh_;
      }
    }
  }

  void end_episode(int i, bool terminated) {
    auto& end = ended_.emplace_back();
    end.env = options_.first + static_cast<std::uint32_t>(i);
    end.episode = episodes_[i];
    end.length = lengths_[i];
    end.total = totals_[i];
    end.terminated = terminated;
    end.crashes = std::exchange(failed_resets_[i], 0);
    broken_episodes_[i] = 0;
    if constexpr (Reporting<E>) envs_[i].report(end.report);
    ++episodes_[i];
    begin_episode(i);
  }

  void annotate(int i) requires Annotated<E> {
    constexpr std::size_t C = E::cost_names.size();
    const Annotation<C> annotation = envs_[i].annotate();
    std::copy_n(annotation.cost.data(), C, costs_.data() + i * C);
    std::copy_n(annotation.group.data(), C, groups_.data() + i * C);
  }

  void mask(int i) {
    if constexpr (Masked<E>) {
      const auto allowed = envs_[i].action_mask();
      static_assert(std::tuple_size_v<decltype(envs_[i].action_mask())> > 0);
      std::copy(allowed.begin(), allowed.end(), masks_.begin() + i * info_.mask_size);
    } else {
      (void)i;
    }
  }

  const E fresh_;  // as made from the configuration; what a broken one is replaced by
  std::vector<E> envs_;
  std::vector<Random> random_;
  std::vector<double> totals_;
  std::vector<std::uint32_t> lengths_;
  std::vector<std::uint32_t> crashes_;          // since the last step that went well
  std::vector<std::uint32_t> broken_episodes_;  // crashes since the last episode that ended by itself
  std::vector<std::uint32_t> failed_resets_;    // before the present episode
};

// The factory of an environment: its address is how the environment reaches worker processes.
template <Environment E>
std::unique_ptr<AnyVecEnv> make_vec_env(const std::string& config_yaml, const VecEnvOptions& options) {
  typename E::Config config;
  fields_detail::GroupOf<typename E::Config> group(config);
  const auto wrappers = read_environment_config(config_yaml, group);
  if (wrappers.empty()) return std::make_unique<VecEnv<E>>(config, options);
  return wrap([config](const VecEnvOptions& some) { return std::make_unique<VecEnv<E>>(config, some); }, options,
              wrappers);
}

}  // namespace mobula::rl
