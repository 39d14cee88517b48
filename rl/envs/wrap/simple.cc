// The wrappers that look at one row at a time.
#include <mobula/rl/moments.h>

#include <algorithm>

#include "rl/envs/wrap/wrapper.h"

namespace mobula::rl {
namespace {

class TimeLimitVec final : public WrapperVec {
 public:
  TimeLimitVec(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, int limit)
      : WrapperVec(std::move(inner), info), limit_(limit), steps_(size()) {}

 private:
  void begin(int i) override {
    WrapperVec::begin(i);
    steps_[i] = 0;
  }
  void next(int i, std::span<const float> action) override {
    WrapperVec::next(i, action);
    ++steps_[i];
  }
  void after() override {
    for (int i = 0; i < size(); ++i) {
      if (steps_[i] >= limit_) cut(i);
    }
  }
  void save_more(int i, std::vector<std::byte>& bytes) const override { append_snapshot(bytes, steps_[i]); }
  void load_more(int i, std::span<const std::byte>& bytes) override { take_snapshot(bytes, steps_[i]); }

  const int limit_;
  std::vector<int> steps_;
};

class FrameStackVec final : public WrapperVec {
 public:
  FrameStackVec(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, int frames)
      : WrapperVec(std::move(inner), info), frames_(frames), width_(inner_->info().observation_size) {}

 private:
  void begin(int i) override {
    for (int k = 0; k < frames_; ++k) std::copy_n(inner_row(i), width_, row(i) + k * width_);
  }
  void next(int i, std::span<const float>) override { push(inner_row(i), row(i), row(i)); }
  void end(int i, std::span<const float>) override { push(inner_final(i), row(i), final_row(i)); }
  void push(const float* newest, const float* old, float* stacked) const {
    std::copy(old + width_, old + frames_ * width_, stacked);
    std::copy_n(newest, width_, stacked + (frames_ - 1) * width_);
  }

  const int frames_, width_;
};

class NormalizeObservationVec final : public WrapperVec {
 public:
  NormalizeObservationVec(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info)
      : WrapperVec(std::move(inner), info), moments_(size()) {
    for (auto& m : moments_) m.mean.resize(info.observation_size), m.squares.resize(info.observation_size);
  }

 private:
  void begin(int i) override { write(i, inner_row(i), row(i)); }
  void next(int i, std::span<const float>) override { write(i, inner_row(i), row(i)); }
  void end(int i, std::span<const float>) override { write(i, inner_final(i), final_row(i)); }
  void write(int i, const float* from, float* to) {
    moments_[i].add(from);
    moments_[i].normalize(from, to);
  }
  void save_more(int i, std::vector<std::byte>& bytes) const override { append_snapshot(bytes, moments_[i]); }
  void load_more(int i, std::span<const std::byte>& bytes) override {
    take_snapshot(bytes, moments_[i]);
    moments_[i].mean.resize(info_.observation_size), moments_[i].squares.resize(info_.observation_size);
  }

  std::vector<Moments<std::vector<double>>> moments_;
};

class NormalizeRewardVec final : public WrapperVec {
 public:
  NormalizeRewardVec(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, double gamma)
      : WrapperVec(std::move(inner), info), scales_(size()) {
    for (auto& scale : scales_) scale.gamma = gamma;
  }

 private:
  void next(int i, std::span<const float> action) override {
    WrapperVec::next(i, action);
    rewards_[i] = scales_[i].scale(rewards_[i], false);
  }
  void end(int i, std::span<const float> action) override {
    WrapperVec::end(i, action);
    rewards_[i] = scales_[i].scale(rewards_[i], true);
  }
  void ended_now(int i) override { scales_[i].discounted = 0; }
  void save_more(int i, std::vector<std::byte>& bytes) const override { append_snapshot(bytes, scales_[i]); }
  void load_more(int i, std::span<const std::byte>& bytes) override { take_snapshot(bytes, scales_[i]); }

  std::vector<RewardScale> scales_;
};

class ClipObservationVec final : public WrapperVec {
 public:
  ClipObservationVec(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, double limit)
      : WrapperVec(std::move(inner), info), limit_(static_cast<float>(limit)) {}

 private:
  void begin(int i) override { write(inner_row(i), row(i)); }
  void next(int i, std::span<const float>) override { write(inner_row(i), row(i)); }
  void end(int i, std::span<const float>) override { write(inner_final(i), final_row(i)); }
  void write(const float* from, float* to) const {
    for (int k = 0; k < info_.observation_size; ++k) to[k] = std::clamp(from[k], -limit_, limit_);
  }

  const float limit_;
};

class ClipRewardVec final : public WrapperVec {
 public:
  ClipRewardVec(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, double limit)
      : WrapperVec(std::move(inner), info), limit_(limit) {}

 private:
  void next(int i, std::span<const float> action) override {
    WrapperVec::next(i, action);
    rewards_[i] = std::clamp(rewards_[i], -limit_, limit_);
  }
  void end(int i, std::span<const float> action) override {
    WrapperVec::end(i, action);
    rewards_[i] = std::clamp(rewards_[i], -limit_, limit_);
  }

  const double limit_;
};

class RescaleActionVec final : public WrapperVec {
 public:
  RescaleActionVec(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info)
      : WrapperVec(std::move(inner), info), low_(inner_->info().action.low), high_(inner_->info().action.high) {}

  void baseline_actions(int k, std::span<float> actions) const override {
    inner_->baseline_actions(k, actions);
    for (float& x : actions) x = (x - low_) / (high_ - low_) * 2 - 1;
  }

 private:
  std::span<const float> inward(std::span<const float> actions) override {
    scaled_.resize(actions.size());
    for (std::size_t k = 0; k < actions.size(); ++k) {
      scaled_[k] = low_ + (std::clamp(actions[k], -1.0f, 1.0f) + 1) * 0.5f * (high_ - low_);
    }
    return scaled_;
  }

  const float low_, high_;
  std::vector<float> scaled_;
};

}  // namespace

std::unique_ptr<AnyVecEnv> limit_time(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, int limit) {
  return std::make_unique<TimeLimitVec>(std::move(inner), info, limit);
}
std::unique_ptr<AnyVecEnv> stack_frames(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, int frames) {
  return std::make_unique<FrameStackVec>(std::move(inner), info, frames);
}
std::unique_ptr<AnyVecEnv> normalize_observation(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info) {
  return std::make_unique<NormalizeObservationVec>(std::move(inner), info);
}
std::unique_ptr<AnyVecEnv> normalize_reward(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info,
                                            double gamma) {
  return std::make_unique<NormalizeRewardVec>(std::move(inner), info, gamma);
}
std::unique_ptr<AnyVecEnv> clip_observation(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info,
                                            double limit) {
  return std::make_unique<ClipObservationVec>(std::move(inner), info, limit);
}
std::unique_ptr<AnyVecEnv> clip_reward(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info, double limit) {
  return std::make_unique<ClipRewardVec>(std::move(inner), info, limit);
}
std::unique_ptr<AnyVecEnv> rescale_action(std::unique_ptr<AnyVecEnv> inner, const EnvironmentInfo& info) {
  return std::make_unique<RescaleActionVec>(std::move(inner), info);
}

}  // namespace mobula::rl
