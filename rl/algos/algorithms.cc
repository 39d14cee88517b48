#include "rl/algos/algorithms.h"

#include <stdexcept>
#include <utility>
#include <variant>

#include "rl/algos/dqn/dqn.h"
#include "rl/algos/ppo/ppo.h"
#include "rl/algos/sac/sac.h"
#include "rl/algos/td3/td3.h"

namespace mobula::rl {
namespace {

template <std::size_t... I>
AlgorithmOptions find(std::string_view name, std::index_sequence<I...>) {
  AlgorithmOptions found;
  const auto is = [&]<class O>(O options) { return name == O::name && (found = std::move(options), true); };
  if (!(is(std::variant_alternative_t<I, AlgorithmOptions>{}) || ...)) {
    throw std::invalid_argument("There is no algorithm '" + std::string(name) + "'.");
  }
  return found;
}

template <std::size_t... I>
std::vector<std::string> names(std::index_sequence<I...>) {
  return {std::string(std::variant_alternative_t<I, AlgorithmOptions>::name)...};
}

using All = std::make_index_sequence<std::variant_size_v<AlgorithmOptions>>;

}  // namespace

std::vector<std::string> algorithm_names() {
  return names(All{});
}

std::string_view name_of(const AlgorithmOptions& options) {
  return std::visit([]<class O>(const O&) { return O::name; }, options);
}

AlgorithmOptions algorithm_named(std::string_view name) {
  return find(name, All{});
}

std::string problem_with(const AlgorithmOptions& options, const EnvironmentInfo& info) {
  const std::string problem = std::visit([&](const auto& o) { return problem_with(o, info); }, options);
  return problem.empty() ? problem : "algorithm." + problem;
}

bool supports_constraints(const AlgorithmOptions& options) {
  return std::visit([](const auto& o) { return supports_constraints(o); }, options);
}

std::unique_ptr<Learner> make_learner(const EnvironmentInfo& info, const AlgorithmOptions& options, std::uint64_t seed,
                                      std::int64_t total_steps) {
  return std::visit([&](const auto& o) { return make_learner(info, o, seed, total_steps); }, options);
}

}  // namespace mobula::rl
