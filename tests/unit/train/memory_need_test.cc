#include "rl/train/memory_need.h"

#include <gmock/gmock.h>

#include <limits>

#include "rl/envs/cartpole.h"
#include "rl/envs/pendulum.h"

namespace mobula::rl {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr std::uint64_t kGiB = 1 << 30;

TrainOptions cartpole(AlgorithmOptions algorithm) {
  TrainOptions options;
  options.env = environment<CartPole>("cartpole");
  options.algorithm = std::move(algorithm);
  return options;
}
TrainOptions pendulum(AlgorithmOptions algorithm) {
  TrainOptions options = cartpole(std::move(algorithm));
  options.env = environment<Pendulum>("pendulum");
  return options;
}

TEST(MemoryNeed, DefaultsFitIntoASmallMachine) {
  for (const AlgorithmOptions& algorithm :
       std::initializer_list<AlgorithmOptions>{PpoOptions{}, A2cOptions{}, DqnOptions{}, ImpalaOptions{}, AppoOptions{},
                                               ArsOptions{}, EsOptions{}, SacOptions{}}) {
    EXPECT_EQ(problem_with_memory(cartpole(algorithm), kGiB), "");
  }
  EXPECT_EQ(problem_with_memory(pendulum(Td3Options{}), kGiB), "");
}

// Each setting that sizes something, far too large by itself.
TEST(MemoryNeed, NamesTheSettingThatTakesMost) {
  const auto names = [](const TrainOptions& options, const std::string& key) {
    const std::string problem = problem_with_memory(options, 16 * kGiB);
    EXPECT_THAT(problem, StartsWith(key + ": "));
    EXPECT_THAT(problem, HasSubstr("expected at most 16 GiB"));
  };
  names(cartpole(PpoOptions{.n_envs = 1'000'000}), "algorithm.n_envs");
  names(cartpole(PpoOptions{.n_envs = 64, .n_steps = 10'000'000}), "algorithm.n_steps");
  names(cartpole(PpoOptions{.hidden = {65536, 65536}}), "algorithm.hidden");
  names(cartpole(PpoOptions{.memory = "lstm", .memory_units = 65536}), "algorithm.memory_units");
  names(cartpole(A2cOptions{.n_envs = 1'000'000, .n_steps = 1000}), "algorithm.n_envs");
  names(cartpole(ImpalaOptions{.n_envs = 64, .n_steps = 10'000'000}), "algorithm.n_steps");
  names(cartpole(DqnOptions{.buffer_size = 4'000'000'000}), "algorithm.buffer_size");
  names(cartpole(DqnOptions{.n_envs = 100, .train_freq = 10'000'000}), "algorithm.train_freq");
  names(cartpole(DqnOptions{.value_head = "quantile", .atoms = 10'000, .hidden = {65536}}), "algorithm.atoms");
  names(pendulum(SacOptions{.batch_size = 10'000'000}), "algorithm.batch_size");
  names(pendulum(Td3Options{.buffer_size = 4'000'000'000}), "algorithm.buffer_size");
  names(cartpole(EsOptions{.hidden = {65536, 65536}}), "algorithm.hidden");
  TrainOptions many = cartpole(PpoOptions{});
  many.evaluate.episodes = 10'000'000;
  names(many, "evaluate.episodes");
}

TEST(MemoryNeed, StepsBetweenTwoUpdatesCanBeCounted) {
  EXPECT_THAT(problem_with_memory(cartpole(PpoOptions{.n_envs = 100'000, .n_steps = 100'000}),
                                  std::numeric_limits<std::uint64_t>::max()),
              StartsWith("algorithm.n_envs: 100000 environments x 100000 steps are 1e+10 steps between two updates"));
}

}  // namespace
}  // namespace mobula::rl
