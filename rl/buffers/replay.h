// Experience that is learned from more than once: the last transitions of all environments, drawn at random.
#pragma once

#include <mobula/random.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "rl/buffers/fragment.h"
#include "rl/buffers/sum_tree.h"

namespace mobula::rl {

struct ReplayOptions {
  std::size_t capacity = 1'000'000;  // transitions; the oldest are overwritten
  int n_steps = 1;                   // rewards that are summed before the bootstrap
  double gamma = 0.99;
  // In proportion to (|error| + 1e-6)^alpha (Schaul et al. 2016); new ones with the largest error so far.
  bool prioritized = false;
  double alpha = 0.6;
  // Keep costs and groups, for rewards that are mixed with them when they are learned from. n_steps must be 1.
  bool keep_costs = false;
};

// Rows that were drawn; memory that is used again.
struct ReplayBatch {
  std::vector<std::uint32_t> cells;  // what set_errors() wants back
  std::vector<float> observations, next_observations, actions;
  std::vector<float> rewards;            // sum of gamma^i r_i over the k steps that were summed
  std::vector<float> discounts;          // gamma^k; 0 where the episode terminated
  std::vector<float> weights;            // of importance: (size * probability)^-beta, over the largest of the batch
  std::vector<std::uint8_t> next_masks;  // empty without masks
  std::vector<float> costs;              // [rows][costs], if they are kept
  std::vector<std::int32_t> groups;
};

// A ring of slots, one transition of each environment in a slot: cell = slot * envs + env. What is in it, and what is
// drawn, depends on the fragments and the random numbers alone. Not synchronised.
//
// Sums of n rewards end where an episode does, with the true number of steps k: after a termination nothing is
// bootstrapped, after a truncation the value of the final observation is. They also end at the newest transition.
class ReplayBuffer {
 public:
  // For fragments of this layout (its number of steps does not matter).
  ReplayBuffer(const FragmentLayout& layout, const ReplayOptions& options);

  std::size_t size() const { return filled_ * envs_; }     // transitions
  std::size_t capacity() const { return slots_ * envs_; }  // at most what the options say, whole slots
  std::size_t bytes_a_transition() const;                  // of memory

  void add(const ConstFragment& fragment);
  // `rows` transitions, each uniformly or, if prioritised, one from each of `rows` equal parts of the sum of weights.
  // `beta` corrects for that.
  void sample(int rows, double beta, Random& random, ReplayBatch& batch) const;
  // Prioritised: what was found for the rows of a batch; sign does not matter.
  void set_errors(const ReplayBatch& batch, std::span<const float> errors);

  void save(std::vector<std::byte>& bytes) const;
  // Takes its part from the front. Throws std::runtime_error if the bytes are of another buffer.
  void load(std::span<const std::byte>& bytes);

 private:
  void write(std::size_t cell, const ConstFragment& fragment, std::size_t row);
  void gather(std::size_t cell, int row, ReplayBatch& batch) const;

  // Constant after construction.
  ReplayOptions options_;
  std::size_t envs_, slots_, width_, action_width_, mask_width_, cost_width_;
  // The state.
  std::size_t position_ = 0;  // the slot that is written next
  std::size_t filled_ = 0;    // slots
  std::vector<float> observations_, next_observations_, actions_, rewards_, costs_;
  std::vector<std::int32_t> groups_;
  std::vector<std::uint8_t> next_masks_, ends_;  // ends: 1 terminated, 2 truncated only
  SumTree priorities_;
  double largest_ = 1;  // |error| + 1e-6, of all that were set
};

}  // namespace mobula::rl
