#include "rl/buffers/replay.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "rl/buffers/raw_bytes.h"

namespace mobula::rl {
namespace {

constexpr double kSmallestError = 1e-6;
constexpr std::uint8_t kTerminated = 1, kTruncated = 2;

}  // namespace

ReplayBuffer::ReplayBuffer(const FragmentLayout& layout, const ReplayOptions& options)
    : options_(options),
      envs_(static_cast<std::size_t>(layout.envs)),
      slots_(std::max<std::size_t>(1, options.capacity / envs_)),
      width_(static_cast<std::size_t>(layout.observation_size)),
      action_width_(static_cast<std::size_t>(layout.action_size)),
      mask_width_(static_cast<std::size_t>(layout.mask_size)),
      cost_width_(options.keep_costs ? static_cast<std::size_t>(layout.costs) : 0),
      priorities_(options.prioritized ? slots_ * envs_ : 0) {
  // Addresses only: pages are taken as they are written.
  observations_.reserve(capacity() * width_);
  next_observations_.reserve(capacity() * width_);
  actions_.reserve(capacity() * action_width_);
  rewards_.reserve(capacity());
  next_masks_.reserve(capacity() * mask_width_);
  ends_.reserve(capacity());
  costs_.reserve(capacity() * cost_width_);
  groups_.reserve(capacity() * cost_width_);
}

std::size_t ReplayBuffer::bytes_a_transition() const {
  return sizeof(float) * (2 * width_ + action_width_ + 1 + 2 * cost_width_) + mask_width_ + 1 +
         (options_.prioritized ? 2 * sizeof(double) : 0);
}

void ReplayBuffer::add(const ConstFragment& fragment) {
  for (int t = 0; t < fragment.layout.steps; ++t) {
    if (filled_ < slots_) {
      ++filled_;
      observations_.resize(size() * width_);
      next_observations_.resize(size() * width_);
      actions_.resize(size() * action_width_);
      rewards_.resize(size());
      next_masks_.resize(size() * mask_width_);
      ends_.resize(size());
      costs_.resize(size() * cost_width_);
      groups_.resize(size() * cost_width_);
    }
    for (std::size_t e = 0; e < envs_; ++e) {
      const std::size_t cell = position_ * envs_ + e;
      write(cell, fragment, static_cast<std::size_t>(t) * envs_ + e);
      if (options_.prioritized) priorities_.set(cell, std::pow(largest_, options_.alpha));
    }
    position_ = (position_ + 1) % slots_;
  }
}

void ReplayBuffer::write(std::size_t cell, const ConstFragment& f, std::size_t row) {
  const auto copy = [&](const auto& from, std::size_t from_row, std::size_t width, auto& to) {
    std::copy_n(from.data() + from_row * width, width, to.data() + cell * width);
  };
  copy(f.observations, row, width_, observations_);
  copy(f.actions, row, action_width_, actions_);
  copy(f.costs, row, cost_width_, costs_);
  copy(f.groups, row, cost_width_, groups_);
  rewards_[cell] = f.rewards[row];
  ends_[cell] = f.terminated[row] ? kTerminated : f.truncated[row] ? kTruncated : std::uint8_t{0};

  const std::size_t next = row + envs_;
  const bool last = next >= f.terminated.size();
  if (ends_[cell]) {
    copy(f.final_observations, row, width_, next_observations_);
    // What is allowed in a state that nobody acted in is not known; it matters after truncations only.
    std::fill_n(next_masks_.begin() + static_cast<std::ptrdiff_t>(cell * mask_width_), mask_width_, std::uint8_t{1});
  } else {
    copy(last ? f.last_observations : f.observations, last ? row % envs_ : next, width_, next_observations_);
    copy(last ? f.last_masks : f.masks, last ? row % envs_ : next, mask_width_, next_masks_);
  }
}

void ReplayBuffer::sample(int rows, double beta, Random& random, ReplayBatch& batch) const {
  const auto n = static_cast<std::size_t>(rows);
  batch.cells.resize(n);
  batch.observations.resize(n * width_);
  batch.next_observations.resize(n * width_);
  batch.actions.resize(n * action_width_);
  batch.rewards.resize(n);
  batch.discounts.resize(n);
  batch.weights.assign(n, 1.0f);
  batch.next_masks.resize(n * mask_width_);
  batch.costs.resize(n * cost_width_);
  batch.groups.resize(n * cost_width_);
  for (int r = 0; r < rows; ++r) {
    if (options_.prioritized) {
      const double sum = (r + random.uniform()) / rows * priorities_.total();
      batch.cells[r] = static_cast<std::uint32_t>(priorities_.find(sum));
    } else {
      batch.cells[r] = random.below(static_cast<std::uint32_t>(size()));
    }
    gather(batch.cells[r], r, batch);
  }
  if (!options_.prioritized) return;
  double smallest = priorities_.at(batch.cells[0]);
  for (const auto cell : batch.cells) smallest = std::min(smallest, priorities_.at(cell));
  // (N p)^-beta over its largest value: N and the total cancel.
  for (std::size_t r = 0; r < n; ++r) {
    batch.weights[r] = static_cast<float>(std::pow(smallest / priorities_.at(batch.cells[r]), beta));
  }
}

void ReplayBuffer::gather(std::size_t cell, int row, ReplayBatch& batch) const {
  const auto copy = [&](const auto& from, std::size_t at, std::size_t width, auto& to) {
    std::copy_n(from.data() + at * width, width, to.data() + static_cast<std::size_t>(row) * width);
  };
  copy(observations_, cell, width_, batch.observations);
  copy(actions_, cell, action_width_, batch.actions);
  copy(costs_, cell, cost_width_, batch.costs);
  copy(groups_, cell, cost_width_, batch.groups);
  const std::size_t env = cell % envs_;
  std::size_t slot = cell / envs_;
  const std::size_t newest = (position_ + slots_ - 1) % slots_;
  double reward = 0, discount = 1;
  std::size_t at = cell;
  for (int k = 0; k < options_.n_steps; ++k) {
    at = slot * envs_ + env;
    reward += discount * rewards_[at];
    discount *= options_.gamma;
    if (ends_[at] || slot == newest) break;
    slot = (slot + 1) % slots_;
  }
  batch.rewards[row] = static_cast<float>(reward);
  batch.discounts[row] = ends_[at] == kTerminated ? 0.0f : static_cast<float>(discount);
  copy(next_observations_, at, width_, batch.next_observations);
  copy(next_masks_, at, mask_width_, batch.next_masks);
}

void ReplayBuffer::set_errors(const ReplayBatch& batch, std::span<const float> errors) {
  if (!options_.prioritized) return;
  for (std::size_t r = 0; r < errors.size(); ++r) {
    const double error = std::abs(static_cast<double>(errors[r])) + kSmallestError;
    largest_ = std::max(largest_, error);
    priorities_.set(batch.cells[r], std::pow(error, options_.alpha));
  }
}

void ReplayBuffer::save(std::vector<std::byte>& bytes) const {
  const std::uint64_t head[] = {slots_,    envs_,  width_, action_width_, mask_width_, options_.prioritized,
                                position_, filled_};
  append_raw(bytes, std::span<const std::uint64_t>(head));
  append_raw(bytes, std::span<const float>(observations_));
  append_raw(bytes, std::span<const float>(next_observations_));
  append_raw(bytes, std::span<const float>(actions_));
  append_raw(bytes, std::span<const float>(rewards_));
  append_raw(bytes, std::span<const float>(costs_));
  append_raw(bytes, std::span<const std::int32_t>(groups_));
  append_raw(bytes, std::span<const std::uint8_t>(next_masks_));
  append_raw(bytes, std::span<const std::uint8_t>(ends_));
  std::vector<double> priorities{largest_};
  if (options_.prioritized) {
    for (std::size_t cell = 0; cell < size(); ++cell) priorities.push_back(priorities_.at(cell));
  }
  append_raw(bytes, std::span<const double>(priorities));
}

void ReplayBuffer::load(std::span<const std::byte>& bytes) {
  struct {
    std::vector<float> observations_, next_observations_, actions_, rewards_, costs_;
    std::vector<std::int32_t> groups_;
    std::vector<std::uint8_t> next_masks_, ends_;
  } other;
  std::vector<std::uint64_t> head;
  std::vector<double> priorities;
  take_raw(bytes, head);
  const std::vector<std::uint64_t> mine{slots_, envs_, width_, action_width_, mask_width_, options_.prioritized};
  if (head.size() != 8 || !std::equal(mine.begin(), mine.end(), head.begin()) || head[6] >= slots_ ||
      head[7] > slots_) {
    throw std::runtime_error("Loading a replay buffer: the state is of another one, with " +
                             std::to_string(head.size() == 8 ? head[0] * head[1] : 0) +
                             " transitions at most; this one has " + std::to_string(capacity()) +
                             ". Resume with the options that it was trained with.");
  }
  take_raw(bytes, other.observations_);
  take_raw(bytes, other.next_observations_);
  take_raw(bytes, other.actions_);
  take_raw(bytes, other.rewards_);
  take_raw(bytes, other.costs_);
  take_raw(bytes, other.groups_);
  take_raw(bytes, other.next_masks_);
  take_raw(bytes, other.ends_);
  take_raw(bytes, priorities);
  const std::size_t cells = head[7] * envs_;
  if (other.observations_.size() != cells * width_ || other.next_observations_.size() != cells * width_ ||
      other.actions_.size() != cells * action_width_ || other.rewards_.size() != cells ||
      other.costs_.size() != cells * cost_width_ || other.groups_.size() != cells * cost_width_ ||
      other.next_masks_.size() != cells * mask_width_ || other.ends_.size() != cells ||
      priorities.size() != (options_.prioritized ? cells + 1 : 1)) {
    throw std::runtime_error("Loading a replay buffer: its tables do not fit together.");
  }
  position_ = head[6];
  filled_ = head[7];
  const auto take = [](auto& to, const auto& from) { to.assign(from.begin(), from.end()); };  // keeps what is reserved
  take(observations_, other.observations_);
  take(next_observations_, other.next_observations_);
  take(actions_, other.actions_);
  take(rewards_, other.rewards_);
  take(costs_, other.costs_);
  take(groups_, other.groups_);
  take(next_masks_, other.next_masks_);
  take(ends_, other.ends_);
  largest_ = priorities[0];
  for (std::size_t cell = 0; options_.prioritized && cell < cells; ++cell) priorities_.set(cell, priorities[cell + 1]);
}

}  // namespace mobula::rl
