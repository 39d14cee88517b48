#pragma once

#include <mobula/random.h>
#include <mobula/rl/report.h>
#include <mobula/rl/space.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mobula::rl {

// Groups that can be compared with each other: streets, approaches, kinds of vehicles.
struct GroupSet {
  std::string name;
  std::vector<std::string> groups;
  std::vector<int> of_cost;  // which group each cost belongs to; empty: the annotation says it, step by step
};

// What can be known of an environment without stepping it.
struct EnvironmentInfo {
  int observation_size = 0;
  ActionSpace action;
  int mask_size = 0;                     // 0: all actions are always allowed
  std::vector<std::string> cost_names;   // empty: no annotate()
  std::vector<std::string> group_names;  // what group indices mean
  std::vector<GroupSet> group_sets;      // never empty where group_names is not
  std::vector<std::string> baseline_names;
  bool reports = false;  // has report()
  bool renders_text = false;
  bool renders_svg = false;
};

// An episode that ended.
struct EpisodeEnd {
  std::uint32_t env = 0;      // index of the environment over all workers
  std::uint32_t episode = 0;  // 0 for the environment's first
  std::uint32_t length = 0;   // steps
  double total = 0;           // the undiscounted return
  bool terminated = false;
  bool crashed = false;       // the environment broke and was made anew: length, total and report say little
  std::uint32_t crashes = 0;  // failed attempts to begin this episode, and one more where it ended by a crash
  EpisodeReport report;       // empty where the environment has none, or crashed
  bool operator==(const EpisodeEnd&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(env, episode, length, total, terminated, crashed, crashes, report);
  }
};

// Which environments a VecEnv holds and whose random numbers they see. Environment i of the vector has the index
// first + i and draws from Random(seed, stream, first + i, episode), so that n environments behave the same in one
// vector or split over several.
struct VecEnvOptions {
  int count = 1;
  std::uint32_t first = 0;
  std::uint64_t seed = 0;
  Stream stream = Stream::environment;
};

// Several environments of one kind, stepped together; the kind is hidden behind one virtual call a step of all.
//
// All tables are contiguous, one row an environment, owned by the vector and overwritten by the next step; they can be
// viewed as row-major matrices (Eigen::Map). An environment whose episode ends is reset in the same step: its
// observation is then the first of the next episode, and the last one of the old is in final_observations.
//
// An environment that throws is made anew and starts its next episode; the step that broke it ends the old one as
// truncated, with reward 0 and the last observation there was, and its EpisodeEnd says `crashed`. One that crashes ten
// times without a step in between, or a hundred times without a whole episode, is taken to be broken for good:
// std::runtime_error.
// Not synchronised.
class AnyVecEnv {
 public:
  virtual ~AnyVecEnv() = default;
  AnyVecEnv(const AnyVecEnv&) = delete;
  AnyVecEnv& operator=(const AnyVecEnv&) = delete;

  const EnvironmentInfo& info() const { return info_; }
  const VecEnvOptions& options() const { return options_; }
  int size() const { return options_.count; }

  // Starts the given episode everywhere. Called before the first step.
  virtual void reset(std::uint32_t episode = 0) = 0;
  // One step of every environment; actions is [size][action.dimensions] as in ActionCodec.
  virtual void step(std::span<const float> actions) = 0;

  // Ends the episode of environment i as truncated, after a step and as though that step had done it. Does nothing
  // where the step did end it. What limits from outside are made of.
  virtual void cut(int i) = 0;

  // Actions of the k-th baseline in the present states, written as rows to `actions`.
  virtual void baseline_actions(int k, std::span<float> actions) const = 0;
  // Empty where the environment cannot draw itself.
  virtual std::string render_text(int env) const = 0;
  virtual std::string render_svg(int env) const = 0;

  // The whole dynamic state of environment i: its own, random numbers, counters, present observation. An environment of
  // the same configuration, seed and index that loads it, in whatever vector, continues with the same bytes. save()
  // appends; load() takes what it needs from the front and throws std::runtime_error if the bytes do not fit; the
  // vector must then be reset.
  virtual void save(int i, std::vector<std::byte>& bytes) const = 0;
  virtual void load(int i, std::span<const std::byte>& bytes) = 0;

  // All of them, one after another or apart. Restoring takes as many as there are environments.
  std::vector<std::byte> snapshot() const;
  void restore(std::span<const std::byte> bytes);
  std::vector<std::vector<std::byte>> snapshot_each() const;
  void restore_each(std::span<const std::vector<std::byte>> snapshots);

  std::span<const float> observations() const { return observations_; }              // [size][observation_size]
  std::span<const float> final_observations() const { return final_observations_; }  // rows valid where ended
  std::span<const double> rewards() const { return rewards_; }
  std::span<const std::uint8_t> terminated() const { return terminated_; }
  std::span<const std::uint8_t> truncated() const { return truncated_; }
  std::span<const float> costs() const { return costs_; }                // [size][costs]
  std::span<const std::int32_t> groups() const { return groups_; }       // [size][costs]
  std::span<const std::uint8_t> masks() const { return masks_; }         // [size][mask_size], 1: allowed
  std::span<const EpisodeEnd> ended() const { return ended_; }           // by this step, in order of env
  std::span<const std::uint32_t> episodes() const { return episodes_; }  // number of the present one

 protected:
  AnyVecEnv(EnvironmentInfo info, const VecEnvOptions& options) : info_(std::move(info)), options_(options) {
    const std::size_t n = static_cast<std::size_t>(options.count);
    observations_.resize(n * info_.observation_size);
    final_observations_.resize(n * info_.observation_size);
    rewards_.resize(n);
    terminated_.resize(n);
    truncated_.resize(n);
    costs_.resize(n * info_.cost_names.size());
    groups_.resize(n * info_.cost_names.size());
    masks_.assign(n * info_.mask_size, 1);
    episodes_.resize(n);
  }

  // Puts an end that was not there after the step into its place.
  void add_end(EpisodeEnd end) {
    const auto later = [](std::uint32_t env, const EpisodeEnd& other) { return env < other.env; };
    ended_.insert(std::upper_bound(ended_.begin(), ended_.end(), end.env, later), std::move(end));
  }

  const EnvironmentInfo info_;
  const VecEnvOptions options_;
  std::vector<float> observations_, final_observations_, costs_;
  std::vector<double> rewards_;
  std::vector<std::uint8_t> terminated_, truncated_, masks_;
  std::vector<std::int32_t> groups_;
  std::vector<std::uint32_t> episodes_;
  std::vector<EpisodeEnd> ended_;
};

// Makes a vector of environments from the YAML text of their configuration (empty: all defaults; a key `name` is
// ignored). Throws config::ConfigError, a std::runtime_error, on a wrong configuration. Environments travel to worker
// processes as such a pointer, never by name: `&make_vec_env<MyEnv>`.
using VecEnvFactory = std::unique_ptr<AnyVecEnv> (*)(const std::string& config_yaml, const VecEnvOptions& options);

}  // namespace mobula::rl
