// Rows of environments, in steps a second of processor time, beside their bare physics in vector registers.
#include <fmt/format.h>

#include <functional>
#include <utility>

#include "bench/micro/environment_steps.h"
#include "bench/micro/sgemm.h"
#include "cli/benchmark_learning.h"
#include "rl/envs/acrobot.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/pendulum.h"

namespace mobula::cli {
namespace {

using bench::Case;

Case steps(std::string name, std::string group, std::string about, std::string floor, double count,
           std::function<std::function<void()>()> make) {
  Case out;
  out.name = std::move(name);
  out.group = std::move(group);
  out.about = std::move(about);
  out.floor = std::move(floor);
  out.measure = bench::Measure::rate;
  out.operations = count;
  out.once = [make = std::move(make), loop = std::function<void()>()]() mutable {
    if (!loop) loop = make();
    return bench::cpu_timed(loop);
  };
  return out;
}

template <class E>
void add(const LearningBed& bed, const std::string& name, std::function<void()> (*bare)(int),
         std::vector<Case>& cases) {
  constexpr int envs = 64;
  const int count = bed.quick ? 20 : 2000, bare_count = bed.quick ? 2 : 200;
  cases.push_back(steps("vecenv_" + name, "rl",
                        fmt::format("a step of {} through VecEnv, {} side by side, random actions", name, envs),
                        "physics_" + name, static_cast<double>(envs) * count,
                        [count] { return bench::through_vec_env<E>(envs, count); }));
  cases.push_back(steps("physics_" + name, "floors", fmt::format("the equations of {} alone, one core", name), "",
                        static_cast<double>(bench::bare_envs) * bare_count,
                        [bare, bare_count] { return bare(bare_count); }));
}

}  // namespace

void add_environment_cases(const LearningBed& bed, std::vector<Case>& cases) {
  add<rl::CartPole>(bed, "cartpole", bench::bare_cartpole, cases);
  add<rl::Pendulum>(bed, "pendulum", bench::bare_pendulum, cases);
  add<rl::Acrobot>(bed, "acrobot", bench::bare_acrobot, cases);
}

}  // namespace mobula::cli
