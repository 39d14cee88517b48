// What is said where the torch learner cannot be had as asked for. Needs no LibTorch.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/vec_env.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "rl/algos/algorithms.h"
#include "rl/algos/torch_module.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/pendulum.h"
#include "rl/nn/torch_library.h"

namespace mobula::rl {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class TorchOptions : public testing::Test {
 protected:
  void SetUp() override { ::setenv("MOBULA_TORCH_MODULE", "/nowhere/libmobula_torch.so", 1); }
  void TearDown() override { ::unsetenv("MOBULA_TORCH_MODULE"); }
  // Any file will do where only its existence is asked.
  static void module_exists() { ::setenv("MOBULA_TORCH_MODULE", "/proc/self/exe", 1); }
};

template <class Options>
std::string problem(Options options, const EnvironmentInfo& info = environment_info<CartPole>()) {
  return problem_with(AlgorithmOptions(options), info);
}

TEST_F(TorchOptions, EveryAlgorithmWithNetworksSaysWhereItLookedForTheLibrary) {
  const auto box = environment_info<Pendulum>();
  for (const std::string& found :
       {problem(PpoOptions{.learner = "torch"}), problem(A2cOptions{.learner = "torch"}),
        problem(ImpalaOptions{.learner = "torch"}), problem(AppoOptions{.learner = "torch"}),
        problem(DqnOptions{.learner = "torch"}), problem(SacOptions{.learner = "torch"}, box),
        problem(Td3Options{.learner = "torch"}, box)}) {
    EXPECT_THAT(found, AllOf(StartsWith("algorithm.learner: torch: there is no libmobula_torch.so"),
                             HasSubstr("looked for /nowhere/libmobula_torch.so"), HasSubstr("install libtorch-dev"),
                             HasSubstr("MOBULA_TORCH_ROOT")));
  }
  module_exists();
  EXPECT_EQ(problem(PpoOptions{.learner = "torch"}), "");
}

TEST_F(TorchOptions, DevicesAreCheckedByNameAndByLearner) {
  EXPECT_THAT(problem(PpoOptions{.device = "cuda"}), HasSubstr("algorithm.device: 'cuda' needs learner: torch"));
  module_exists();
  for (const char* name : {"gpu", "cuda:", "cuda:x", "", "CUDA"}) {
    EXPECT_THAT(problem(PpoOptions{.learner = "torch", .device = name}), HasSubstr("there are cpu, cuda and cuda:<n>"));
  }
  EXPECT_EQ(problem(DqnOptions{.learner = "torch", .device = "cuda:3"}), "");
}

TEST_F(TorchOptions, NetworksOfOnesOwnNeedTheTorchLearnerNoMemoryAndAFile) {
  EXPECT_THAT(problem(PpoOptions{.network = "/proc/self/exe"}), HasSubstr("algorithm.network: "));
  module_exists();
  EXPECT_THAT(problem(PpoOptions{.learner = "torch", .network = "missing.so"}),
              HasSubstr(std::filesystem::absolute("missing.so").string()));
  EXPECT_THAT(problem(A2cOptions{.memory = "lstm", .learner = "torch", .network = "/proc/self/exe"}),
              StartsWith("algorithm.memory: "));
  EXPECT_EQ(problem(AppoOptions{.learner = "torch", .network = "/proc/self/exe"}), "");
}

TEST_F(TorchOptions, AFileThatIsNoLibraryIsSaidToBeWrong) {
  ::setenv("MOBULA_TORCH_MODULE", "/proc/self/maps", 1);
  try {
    nn::torch_function(kTorchFactory);
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("/proc/self/maps cannot be loaded"), HasSubstr("libtorch-dev")));
  }
}

TEST_F(TorchOptions, TheLibraryIsLookedForBesideTheProgramAndWhereItIsInstalled) {
  ::unsetenv("MOBULA_TORCH_MODULE");
  const auto places = nn::torch_library_places();
  ASSERT_GE(places.size(), 3u);
  EXPECT_EQ(places.front().parent_path(), std::filesystem::read_symlink("/proc/self/exe").parent_path());
  for (const auto& place : places) EXPECT_EQ(place.filename(), "libmobula_torch.so") << place;
}

}  // namespace
}  // namespace mobula::rl
