#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/environment_spec.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace mobula::rl {

/// Environments first .. first + count - 1 of a run as one vector whose state is kept apart for each of them. So a
/// worker can be given any range of the environments, and a run may go on with another number of workers.
class CompositeVecEnv final : public AnyVecEnv {
 public:
  CompositeVecEnv(const VecEnvFunction& factory, const std::string& config, const VecEnvOptions& options);

  void reset(std::uint32_t episode) override;
  void step(std::span<const float> actions) override;
  void baseline_actions(int k, std::span<float> actions) const override;
  std::string render_text(int env) const override { return envs_[env]->render_text(0); }
  std::string render_svg(int env) const override { return envs_[env]->render_svg(0); }

  /// One after another, each with its length before it.
  std::vector<std::byte> snapshot() const override;
  void restore(std::span<const std::byte> bytes) override;

  /// The same, apart. restore_each() takes as many as there are environments.
  std::vector<std::vector<std::byte>> snapshot_each() const;
  void restore_each(std::span<const std::vector<std::byte>> snapshots);

 private:
  /// Copies the tables of environment i, as they are between two steps.
  void take_over(int i);
  std::vector<std::unique_ptr<AnyVecEnv>> envs_;
};

}  // namespace mobula::rl
