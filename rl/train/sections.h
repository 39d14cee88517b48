#pragma once

#include <mobula/rl/stage_seconds.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "rl/nn/actor.h"

namespace mobula::rl {

/// What the sections of a checkpoint hold. The policy and the counters are written as JSON (the policy's parameters as
/// little-endian floats behind it), so that they can be read without this program; the learner and the environments are
/// snapshots for the build that wrote them.

struct Counters {
  std::int64_t episodes = 0;
  std::int64_t env_restarts = 0;
  double wall_seconds = 0;
  double cpu_seconds = 0;
  StageSeconds stages;
  WorkSeconds work;
  std::vector<double> returns;  ///< of the last training episodes, oldest first
};
std::string to_json(const Counters& counters);
Counters counters_from_json(const std::string& text);  // throws CheckpointError

struct StoredPolicy {
  nn::PolicySpec spec;
  nn::AlignedVector<float> parameters;
};
std::string policy_section(const nn::PolicySpec& spec, std::span<const float> parameters);
StoredPolicy policy_from_section(const std::string& bytes);  // throws CheckpointError

/// An evaluation of the policy as it was at an iteration, which was under way when the checkpoint was written.
struct StoredEvaluation {
  std::int64_t iteration = 0, env_steps = 0, episodes = 0;
  double wall_seconds = 0;
  std::vector<float> parameters;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(iteration, env_steps, episodes, wall_seconds, parameters);
  }
};

inline std::string as_text(std::span<const std::byte> bytes) {
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}
inline std::span<const std::byte> as_bytes(const std::string& text) {
  return std::as_bytes(std::span(text));
}

}  // namespace mobula::rl
