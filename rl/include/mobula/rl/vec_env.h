#pragma once

#include <mobula/fields.h>
#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/environment.h>
#include <mobula/rl/snapshot.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace mobula::rl {

// Fills a described struct from YAML text; what `make_vec_env` reads configurations with. Throws config::ConfigError.
void read_environment_config(const std::string& config_yaml, Fields::Group& config);

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
        envs_(options.count, E(config)),
        random_(options.count),
        totals_(options.count),
        lengths_(options.count) {}

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
        totals_[i] += rewards_[i];
        ++lengths_[i];
        annotate(i);
        if (terminated_[i] | truncated_[i]) [[unlikely]] {
          std::copy_n(observations_.data() + i * K, K, final_observations_.data() + i * K);
          end_episode(i, terminated_[i]);
        } else {
          mask(i);
        }
      }
      return;
    }
    const int width = info_.action.dimensions;
    for (int i = 0; i < size(); ++i) {
      E& env = envs_[i];
      const auto result = env.step(Codec::decode(actions.data() + static_cast<std::size_t>(i) * width), random_[i]);
      rewards_[i] = result.reward;
      terminated_[i] = result.terminated;
      truncated_[i] = result.truncated;
      totals_[i] += result.reward;
      ++lengths_[i];
      annotate(i);
      if (result.terminated || result.truncated) [[unlikely]] {
        std::copy_n(result.observation.data(), K, final_observations_.data() + i * K);
        end_episode(i, result.terminated);
      } else {
        std::copy_n(result.observation.data(), K, observations_.data() + i * K);
        mask(i);
      }
    }
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

  std::vector<std::byte> snapshot() const override {
    std::vector<std::byte> bytes;
    append_snapshot(bytes, static_cast<std::uint64_t>(envs_.size()));
    for (const E& env : envs_) append_snapshot(bytes, env);
    for (const Random& random : random_) append_snapshot(bytes, random);
    append_snapshot(bytes, episodes_);
    append_snapshot(bytes, lengths_);
    append_snapshot(bytes, totals_);
    append_snapshot(bytes, observations_);
    append_snapshot(bytes, masks_);
    return bytes;
  }

  void restore(std::span<const std::byte> bytes) override {
    std::uint64_t count = 0;
    take_snapshot(bytes, count);
    if (count != envs_.size()) {
      throw std::runtime_error("Restoring a vector of " + std::to_string(envs_.size()) +
                               " environments: the snapshot holds " + std::to_string(count) +
                               ". Use the number of environments that it was taken with.");
    }
    for (E& env : envs_) take_snapshot(bytes, env);
    for (Random& random : random_) take_snapshot(bytes, random);
    take_snapshot(bytes, episodes_);
    take_snapshot(bytes, lengths_);
    take_snapshot(bytes, totals_);
    take_snapshot(bytes, observations_);
    take_snapshot(bytes, masks_);
    if (!bytes.empty() || observations_.size() != count * K || episodes_.size() != count || lengths_.size() != count ||
        totals_.size() != count || masks_.size() != count * info_.mask_size) {
      throw std::runtime_error(
          "Restoring a vector of environments: the snapshot has another shape. It was written by "
          "another build or another configuration.");
    }
    ended_.clear();
  }

 private:
  void begin_episode(int i) {
    random_[i] = Random(options_.seed, options_.stream, options_.first + static_cast<std::uint32_t>(i), episodes_[i]);
    totals_[i] = 0;
    lengths_[i] = 0;
    const auto observation = envs_[i].reset(random_[i]);
    std::copy_n(observation.data(), K, observations_.data() + i * K);
    mask(i);
  }

  void end_episode(int i, bool terminated) {
    auto& end = ended_.emplace_back();
    end.env = options_.first + static_cast<std::uint32_t>(i);
    end.episode = episodes_[i];
    end.length = lengths_[i];
    end.total = totals_[i];
    end.terminated = terminated;
    if constexpr (Reporting<E>) envs_[i].report(end.report);
    ++episodes_[i];
    begin_episode(i);
  }

  void annotate(int i) {
    if constexpr (Annotated<E>) {
      constexpr std::size_t C = E::cost_names.size();
      const Annotation<C> annotation = envs_[i].annotate();
      std::copy_n(annotation.cost.data(), C, costs_.data() + i * C);
      std::copy_n(annotation.group.data(), C, groups_.data() + i * C);
    } else {
      (void)i;
    }
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

  std::vector<E> envs_;
  std::vector<Random> random_;
  std::vector<double> totals_;
  std::vector<std::uint32_t> lengths_;
};

// The factory of an environment: its address is how the environment reaches worker processes.
template <Environment E>
std::unique_ptr<AnyVecEnv> make_vec_env(const std::string& config_yaml, const VecEnvOptions& options) {
  typename E::Config config;
  fields_detail::GroupOf<typename E::Config> group(config);
  read_environment_config(config_yaml, group);
  return std::make_unique<VecEnv<E>>(config, options);
}

}  // namespace mobula::rl
