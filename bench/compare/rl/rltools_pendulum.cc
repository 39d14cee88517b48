// RLtools' PPO on Pendulum, 300,000 steps, as its own benchmark has it: 4 environments x 1,024 steps, 2 epochs, batches
// of 256, 64x64. peers.py compiles it against the headers of the PyPI wheel, with OpenBLAS's dense layers where that is
// installed, and reads the processor seconds from it.
// Each header wants those before it.
// clang-format off
#include <rl_tools/operations/cpu_mux.h>
#include <rl_tools/rl/environments/pendulum/operations_cpu.h>
#include <rl_tools/nn/optimizers/adam/instance/operations_generic.h>
#include <rl_tools/nn/operations_cpu_mux.h>
#include <rl_tools/nn/layers/standardize/operations_generic.h>
#include <rl_tools/nn_models/mlp_unconditional_stddev/operations_generic.h>
#include <rl_tools/nn_models/mlp/operations_generic.h>
#include <rl_tools/nn_models/sequential/operations_generic.h>
#include <rl_tools/nn/optimizers/adam/operations_generic.h>
#include <rl_tools/rl/algorithms/ppo/loop/core/config.h>
#include <rl_tools/rl/algorithms/ppo/loop/core/operations_generic.h>
#include <rl_tools/rl/components/on_policy_runner/operations_cpu.h>
// clang-format on
#include <ctime>
#include <iostream>

#if defined(RL_TOOLS_BACKEND_ENABLE_OPENBLAS)
extern "C" void openblas_set_num_threads(int);
#endif

namespace rlt = rl_tools;

using Device = rlt::devices::DEVICE_FACTORY<>;
using T = float;
using TI = Device::index_t;
using Policy = rlt::numeric_types::Policy<T>;
using Random = Device::SPEC::RANDOM::ENGINE<>;
using Parameters = rlt::rl::environments::pendulum::DefaultParameters<T>;
using Environment = rlt::rl::environments::Pendulum<rlt::rl::environments::pendulum::Specification<T, TI, Parameters>>;

struct Loop : rlt::rl::algorithms::ppo::loop::core::DefaultParameters<Policy, TI, Environment> {
  static constexpr TI STEP_LIMIT = 74;
  static constexpr auto ACTOR_ACTIVATION_FUNCTION = rlt::nn::activation_functions::ActivationFunction::FAST_TANH;
  static constexpr auto CRITIC_ACTIVATION_FUNCTION = rlt::nn::activation_functions::ActivationFunction::FAST_TANH;
  static constexpr TI EPISODE_STEP_LIMIT = 200;
  static constexpr TI N_ENVIRONMENTS = 4;
  static constexpr TI ON_POLICY_RUNNER_STEPS_PER_ENV = 1024;
  static constexpr TI DATASET_SIZE = ON_POLICY_RUNNER_STEPS_PER_ENV * N_ENVIRONMENTS;
  static constexpr TI BATCH_SIZE = 256;
  static constexpr bool NORMALIZE_OBSERVATIONS = true;
  struct PPO_PARAMETERS : rlt::rl::algorithms::ppo::DefaultParameters<Policy, TI, BATCH_SIZE> {
    static constexpr T ACTION_ENTROPY_COEFFICIENT = 0;
    static constexpr TI N_EPOCHS = 2;
    static constexpr T GAMMA = 0.9;
    static constexpr T INITIAL_ACTION_STD = 2;
  };
};
using Config = rlt::rl::algorithms::ppo::loop::core::Config<Policy, TI, Random, Environment, Loop>;

int main() {
#if defined(RL_TOOLS_BACKEND_ENABLE_OPENBLAS)
  openblas_set_num_threads(1);
#endif
  Device device;
  static Config::State<Config> state;
  rlt::malloc(device, state);
  rlt::init(device, state, 1);
  while (!rlt::step(device, state)) {
  }
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  std::cout << "SECONDS " << static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec) << "\n";
  return 0;
}
