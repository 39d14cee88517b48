#pragma once

#include <mobula/rl/wrapper_options.h>

#include <chrono>
#include <memory>
#include <vector>

namespace mobula::rl {

// Steps environments in a thread of its own and gives up on one whose step takes longer than `limit`: the thread is
// left behind with it, for C++ has no way to stop it, and the environment is made anew and starts its next episode, as
// after a crash. A process collects one sleeping thread for each stall. Which steps stall is a matter of time, so runs
// with stalls do not repeat; runs without do.
class StallGuard final : public AnyVecEnv {
 public:
  StallGuard(const VecEnvMaker& make, const VecEnvOptions& options, std::chrono::duration<double> limit);
  ~StallGuard() override;

  void reset(std::uint32_t episode) override;
  void step(std::span<const float> actions) override;
  void cut(int i) override;
  void baseline_actions(int k, std::span<float> actions) const override;
  std::string render_text(int env) const override { return envs_[env]->render_text(0); }
  std::string render_svg(int env) const override { return envs_[env]->render_svg(0); }
  void save(int i, std::vector<std::byte>& bytes) const override;
  void load(int i, std::span<const std::byte>& bytes) override;

 private:
  struct Crew;
  using Job = std::function<void(AnyVecEnv&, int i)>;
  // Does the job for each of the environments in [first, end), skipping those that stall; returns which did.
  std::vector<int> run(int first, int end, const Job& job);
  void replace(int i);
  void copy_row(int i);

  const VecEnvMaker make_;
  const std::chrono::duration<double> limit_;
  std::vector<std::shared_ptr<AnyVecEnv>> envs_;  // one environment each
  std::shared_ptr<Crew> crew_;
};

}  // namespace mobula::rl
