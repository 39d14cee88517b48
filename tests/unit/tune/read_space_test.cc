#include "tune/space/read_space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/config/config.h"

namespace mobula::tune {
namespace {

using testing::ElementsAre;

Space read(const std::string& text) {
  return read_space(config::Document::parse(text, "sweep.yaml"), "tune");
}
std::string error_of(const std::string& text) {
  try {
    read(text);
  } catch (const config::ConfigError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(ReadSpace, FindsSpacesWhereLiteralsMayStand) {
  const Space space = read(
      "env: {name: cartpole}\n"
      "algorithm:\n"
      "  lr: {loguniform: [1.0e-5, 1e-2]}\n"
      "  gamma: 0.99\n"
      "  n_epochs: {int: [2, 20], step: 2}\n"
      "network: {hidden: {choice: [[32], [64, 64]]}}\n"
      "seed: {grid: [1, 2, 3]}\n"
      "tune: {num_trials: 3, search: {grid: [not, a, space]}}\n");
  EXPECT_EQ(space.describe(),
            "algorithm.lr: loguniform [1e-05, 0.01, 0.0]; algorithm.n_epochs: int [2.0, 20.0, 2.0]; "
            "network.hidden: choice [[32], [64, 64]]; seed: grid [1, 2, 3]");
}

TEST(ReadSpace, ConditionsNameSiblingsOrWholeKeysAndMayStandFirst) {
  const Space space = read(
      "a:\n"
      "  momentum: {uniform: [0, 1], when: {optimizer: sgd}}\n"
      "  optimizer: {choice: [adam, sgd, rmsprop]}\n"
      "b: {x: {uniform: [0, 1], when: {a.optimizer: [adam, sgd]}}}\n");
  EXPECT_EQ(space.describe(),
            "a.optimizer: choice [adam, sgd, rmsprop]; b.x: uniform [0.0, 1.0, 0.0] when a.optimizer in [adam, sgd]; "
            "a.momentum: uniform [0.0, 1.0, 0.0] when a.optimizer in [sgd]");
}

TEST(ReadSpace, AMappingWithAnOrdinaryKeyOfThatNameIsNoSpace) {
  EXPECT_TRUE(read("env: {name: x, choice: fast}\n").empty());
}

TEST(ReadSpace, MistakesAreShownWhereTheyAre) {
  EXPECT_EQ(error_of("lr: {uniform: [1, 0]}\n"),
            "sweep.yaml:1:15: lr: uniform: the lower bound 1.0 is not below the upper bound 0.0");
  EXPECT_EQ(error_of("a:\n  lr: {loguniform: [0, 1]}\n"),
            "sweep.yaml:2:20: a.lr: loguniform: the lower bound 0.0 is not above 0; a logarithm needs that");
  EXPECT_EQ(error_of("lr: {uniform: [0, high]}\n"), "sweep.yaml:1:19: lr: found 'high'; expected a number");
  EXPECT_EQ(error_of("lr: {uniform: [0, .nan]}\n"), "sweep.yaml:1:19: lr: found '.nan'; expected a number");
  EXPECT_EQ(error_of("n: {int: [0, 1.5]}\n"), "sweep.yaml:1:14: n: found '1.5'; expected an integer");
  EXPECT_EQ(error_of("lr: {uniform: [0, 1, 2]}\n"),
            "sweep.yaml:1:15: lr: found a list of 3; expected uniform: [low, high]");
  EXPECT_EQ(error_of("lr: {uniform: [0, 1], stepp: 0.1}\n"),
            "sweep.yaml:1:23: lr: unknown key 'stepp' in a space; expected one of uniform, loguniform, int, choice, "
            "grid, step, when; did you mean 'step'?");
  EXPECT_EQ(error_of("lr: {choice: [a], step: 1}\n"),
            "sweep.yaml:1:25: lr: choice takes no step; use uniform or int, or list the values");
  EXPECT_EQ(error_of("lr: {choice: [a], grid: [b]}\n"),
            "sweep.yaml:1:19: lr: a space is one of choice and grid, not both");
  EXPECT_EQ(error_of("lr: {choice: []}\n"), "sweep.yaml:1:14: lr: choice: the list is empty; give at least one value");
  EXPECT_EQ(error_of("o: {choice: [adam, sgd]}\nm: {uniform: [0, 1], when: {o: sdg}}\n"),
            "sweep.yaml:2:32: m.when: 'o' never is 'sdg'; expected one of adam, sgd; did you mean 'sgd'?");
  EXPECT_EQ(error_of("opt: {choice: [adam, sgd]}\nm: {uniform: [0, 1], when: {otp: sgd}}\n"),
            "sweep.yaml:2:29: m.when: 'otp' is no parameter of the space; expected 'opt'; did you mean 'opt'?");
  EXPECT_EQ(error_of("a: {choice: [x], when: {b: x}}\nb: {choice: [x], when: {a: x}}\n"),
            "sweep.yaml:1:4: a: its condition depends, in the end, on itself");
}

}  // namespace
}  // namespace mobula::tune
