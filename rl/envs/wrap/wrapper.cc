#include "rl/envs/wrap/wrapper.h"

#include <algorithm>

namespace mobula::rl {

WrapperVec::WrapperVec(std::unique_ptr<AnyVecEnv> inner, EnvironmentInfo info)
    : AnyVecEnv(std::move(info), inner->options()), inner_(std::move(inner)) {}

void WrapperVec::begin(int i) {
  std::copy_n(inner_row(i), info_.observation_size, row(i));
}
void WrapperVec::next(int i, std::span<const float>) {
  std::copy_n(inner_row(i), info_.observation_size, row(i));
}
void WrapperVec::end(int i, std::span<const float>) {
  std::copy_n(inner_final(i), info_.observation_size, final_row(i));
}

void WrapperVec::copy_row(int i) {
  const auto copy = [i](const auto& from, auto& to, int width) {
    std::copy_n(from.data() + static_cast<std::size_t>(i) * width, width,
                to.data() + static_cast<std::size_t>(i) * width);
  };
  const int costs = static_cast<int>(info_.cost_names.size());
  copy(inner_->rewards(), rewards_, 1);
  copy(inner_->terminated(), terminated_, 1);
  copy(inner_->truncated(), truncated_, 1);
  copy(inner_->episodes(), episodes_, 1);
  copy(inner_->costs(), costs_, costs);
  copy(inner_->groups(), groups_, costs);
  copy(inner_->masks(), masks_, info_.mask_size);
}

void WrapperVec::reset(std::uint32_t episode) {
  inner_->reset(episode);
  ended_.assign(inner_->ended().begin(), inner_->ended().end());
  for (int i = 0; i < size(); ++i) {
    copy_row(i);
    begin(i);
  }
}

void WrapperVec::step(std::span<const float> actions) {
  inner_->step(inward(actions));
  ended_.assign(inner_->ended().begin(), inner_->ended().end());
  const std::size_t width = static_cast<std::size_t>(info_.action.dimensions);
  for (int i = 0; i < size(); ++i) {
    copy_row(i);
    const auto action = actions.subspan(i * width, width);
    if (terminated_[i] || truncated_[i]) {
      end(i, action);
      begin(i);
    } else {
      next(i, action);
    }
  }
  after();
}

void WrapperVec::cut(int i) {
  if (terminated_[i] || truncated_[i]) return;
  inner_->cut(i);
  terminated_[i] = inner_->terminated()[i];
  truncated_[i] = inner_->truncated()[i];
  episodes_[i] = inner_->episodes()[i];
  std::copy_n(inner_->masks().data() + i * info_.mask_size, info_.mask_size, masks_.data() + i * info_.mask_size);
  // The row was written by next() as that of a step that goes on; it is the final one now.
  std::copy_n(row(i), info_.observation_size, final_row(i));
  const std::uint32_t env = options_.first + static_cast<std::uint32_t>(i);
  const auto inner = inner_->ended();
  add_end(*std::find_if(inner.begin(), inner.end(), [env](const EpisodeEnd& end) { return end.env == env; }));
  ended_now(i);
  begin(i);
}

void WrapperVec::save(int i, std::vector<std::byte>& bytes) const {
  inner_->save(i, bytes);
  append_row(bytes, observations_, i, info_.observation_size);
  save_more(i, bytes);
}

void WrapperVec::load(int i, std::span<const std::byte>& bytes) {
  inner_->load(i, bytes);
  copy_row(i);
  take_row(bytes, observations_, i, info_.observation_size);
  load_more(i, bytes);
}

}  // namespace mobula::rl
