// What the wrappers of a vector of environments have in common.
#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/snapshot.h>

#include <memory>
#include <vector>

namespace mobula::rl {

// Steps the inner vector and passes its tables on, row by row. A wrapper overrides what it changes: it is told of each
// row of the inner vector in the order begin, next, next, ..., end, begin, ...
class WrapperVec : public AnyVecEnv {
 public:
  void reset(std::uint32_t episode) final;
  void step(std::span<const float> actions) final;
  void cut(int i) final;
  void baseline_actions(int k, std::span<float> actions) const override { inner_->baseline_actions(k, actions); }
  std::string render_text(int env) const final { return inner_->render_text(env); }
  std::string render_svg(int env) const final { return inner_->render_svg(env); }
  void save(int i, std::vector<std::byte>& bytes) const final;
  void load(int i, std::span<const std::byte>& bytes) final;

 protected:
  WrapperVec(std::unique_ptr<AnyVecEnv> inner, EnvironmentInfo info);

  // Environment i shows the first observation of an episode: write row i of observations_.
  virtual void begin(int i);
  // It made a step that did not end the episode: write the rows of observations_ and, if it changes, rewards_.
  virtual void next(int i, std::span<const float> action);
  // It made one that did: write those of final_observations_ and rewards_.
  virtual void end(int i, std::span<const float> action);
  // The actions as the inner environments want them.
  virtual std::span<const float> inward(std::span<const float> actions) { return actions; }
  // The episode of environment i was ended from outside after next(): what else is to be done at an end.
  virtual void ended_now(int) {}
  // After the step of all: what else is to be ended, by cut().
  virtual void after() {}
  // State of environment i beyond its row of observations.
  virtual void save_more(int, std::vector<std::byte>&) const {}
  virtual void load_more(int, std::span<const std::byte>&) {}

  const float* inner_row(int i) const { return inner_->observations().data() + i * inner_->info().observation_size; }
  const float* inner_final(int i) const {
    return inner_->final_observations().data() + i * inner_->info().observation_size;
  }
  float* row(int i) { return observations_.data() + i * info_.observation_size; }
  float* final_row(int i) { return final_observations_.data() + i * info_.observation_size; }

  const std::unique_ptr<AnyVecEnv> inner_;

 private:
  void copy_row(int i);
};

// Each by the name of its option, around `inner`. `info` is what wrapped_info() says.
std::unique_ptr<AnyVecEnv> limit_time(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, int limit);
std::unique_ptr<AnyVecEnv> stack_frames(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, int frames);
std::unique_ptr<AnyVecEnv> normalize_observation(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info);
std::unique_ptr<AnyVecEnv> normalize_reward(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info,
                                            double gamma);
std::unique_ptr<AnyVecEnv> clip_observation(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info,
                                            double limit);
std::unique_ptr<AnyVecEnv> clip_reward(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, double limit);
std::unique_ptr<AnyVecEnv> rescale_action(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info);
std::unique_ptr<AnyVecEnv> record(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info,
                                  const std::string& folder);

}  // namespace mobula::rl
