// The classic control problems beside the golden traces: their contract, limits, batches and hand-written controllers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/rl/check.h>
#include <mobula/rl/vec_env.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "rl/envs/acrobot.h"
#include "rl/envs/cartpole.h"
#include "rl/envs/lanes.h"
#include "rl/envs/mountain_car.h"
#include "rl/envs/pendulum.h"

namespace mobula::rl {
namespace {

using testing::IsEmpty;

template <class E>
class ClassicControl : public testing::Test {};
using Environments = testing::Types<CartPole, Pendulum, Acrobot, MountainCar, MountainCarContinuous>;
TYPED_TEST_SUITE(ClassicControl, Environments);

TYPED_TEST(ClassicControl, KeepsTheContract) {
  EXPECT_THAT(check_environment<TypeParam>(), IsEmpty());
  EXPECT_FALSE(TypeParam({}).render_text().empty());
}

template <class E>
std::vector<float> random_actions(int count, Random& random) {
  using Codec = ActionCodec<typename E::Action>;
  const int width = Codec::space().dimensions;
  std::vector<float> rows(count * width);
  for (float& x : rows) {
    // Boxes also beyond their bounds: a policy may propose that.
    x = Codec::space().kind == ActionSpace::Kind::box ? 6 * random.uniform_float() - 3
                                                      : static_cast<float>(random.below(Codec::space().sizes[0]));
  }
  return rows;
}

TYPED_TEST(ClassicControl, AStepHasTheSameBitsAloneAndInABatchOfAnySize) {
  using E = TypeParam;
  for (const int count : {1, 2, 7, 8, 9, 16, 37}) {
    VecEnv<E> together({}, {.count = count, .seed = 3});
    together.reset();
    std::vector<E> alone(count, E({}));
    std::vector<Random> random;
    for (int i = 0; i < count; ++i) {
      random.emplace_back(3, Stream::environment, i, 0);
      alone[i].reset(random[i]);
    }
    Random actions(count, Stream::user);
    for (int t = 0; t < 1200; ++t) {
      const auto rows = random_actions<E>(count, actions);
      together.step(rows);
      for (int i = 0; i < count; ++i) {
        const auto step = alone[i].step(ActionCodec<typename E::Action>::decode(&rows[i]), random[i]);
        const auto* seen = together.terminated()[i] || together.truncated()[i] ? together.final_observations().data()
                                                                               : together.observations().data();
        constexpr int K = observation_size<E>;
        ASSERT_EQ(std::memcmp(seen + i * K, step.observation.data(), K * sizeof(float)), 0) << count << ' ' << t;
        ASSERT_EQ(together.rewards()[i], step.reward);
        ASSERT_EQ(together.terminated()[i], step.terminated);
        ASSERT_EQ(together.truncated()[i], step.truncated);
        if (step.terminated || step.truncated) {
          random[i] = Random(3, Stream::environment, i, together.episodes()[i]);
          alone[i].reset(random[i]);
        }
      }
    }
  }
}

TEST(Lanes, SineAndCosineAreRightToTheLastBitOrTwo) {
  double worst = 0;
  Random random(1, Stream::user);
  for (int k = 0; k < 400000; ++k) {
    const double range = k % 4 == 0 ? 1e6 : k % 4 == 1 ? 100 : k % 4 == 2 ? 4 : 1e-3;
    const double x = random.uniform(-range, range);
    double sine, cosine;
    lanes::sincos(x, sine, cosine);
    worst = std::max({worst, static_cast<double>(std::abs(sine - std::sin(static_cast<long double>(x)))),
                      static_cast<double>(std::abs(cosine - std::cos(static_cast<long double>(x))))});
  }
  EXPECT_LT(worst, 2.3e-16);
  double sine, cosine;
  lanes::sincos(0.0, sine, cosine);
  EXPECT_EQ(sine, 0.0);
  EXPECT_EQ(cosine, 1.0);
}

// Mean return of the only baseline over some episodes.
template <class E>
double baseline_return(int episodes) {
  double total = 0;
  for (int k = 0; k < episodes; ++k) {
    E env({});
    Random random(1, Stream::environment, 0, k);
    env.reset(random);
    for (bool end = false; !end;) {
      const auto step = env.step(E::baselines()[0].act(env), random);
      total += step.reward;
      end = step.terminated || step.truncated;
    }
  }
  return total / episodes;
}

TEST(ClassicControlBaselines, SolveOrNearlySolveTheirTask) {
  const double cartpole = baseline_return<CartPole>(50), pendulum = baseline_return<Pendulum>(50),
               acrobot = baseline_return<Acrobot>(50), car = baseline_return<MountainCar>(50),
               continuous = baseline_return<MountainCarContinuous>(50);
  std::cout << "cartpole " << cartpole << " pendulum " << pendulum << " acrobot " << acrobot << " mountain_car " << car
            << " mountain_car_continuous " << continuous << '\n';
  EXPECT_GT(cartpole, 100);
  EXPECT_GT(pendulum, -250);
  EXPECT_GT(acrobot, -150);
  EXPECT_GT(car, -140);
  EXPECT_GT(continuous, 85);
}

}  // namespace
}  // namespace mobula::rl
