// The algorithms by name and by options: the one place that knows all of them.
//
// Each alternative O of AlgorithmOptions has `static constexpr std::string_view name`, describe(Fields&), and in the
// header of its folder
//   std::unique_ptr<Learner> make_learner(const EnvironmentInfo&, const O&, std::uint64_t seed, std::int64_t steps);
//   std::string problem_with(const O&, const EnvironmentInfo&);   // "key: sentence" or empty, beyond what fields say
//   bool supports_constraints(const O&);                          // set_reward() does what it says
#pragma once

#include <mobula/rl/algorithm_options.h>
#include <mobula/rl/any_vec_env.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rl/algos/learner.h"

namespace mobula::rl {

// "ppo", ...: what `algorithm.name` may be.
std::vector<std::string> algorithm_names();
std::string_view name_of(const AlgorithmOptions& options);
// Its options with their defaults; the name is one of algorithm_names().
AlgorithmOptions algorithm_named(std::string_view name);

// Why this algorithm cannot learn in such an environment, as "algorithm.key: sentence"; empty if it can.
std::string problem_with(const AlgorithmOptions& options, const EnvironmentInfo& info);
// Whether rewards can be mixed with costs while it learns.
bool supports_constraints(const AlgorithmOptions& options);

// `total_steps` is where schedules end. The options have no problem.
std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const AlgorithmOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps);

}  // namespace mobula::rl
