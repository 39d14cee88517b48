#include "rl/buffers/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "tests/unit/rl/in_process.h"

namespace mobula::rl {
namespace {

using test::OwnedFragment;
using testing::ElementsAre;

TEST(SumTree, FindsTheItemInWhoseShareANumberFalls) {
  SumTree tree(5);
  EXPECT_EQ(tree.total(), 0);
  const double weights[] = {1, 0, 2.5, 0.5, 4};
  for (std::size_t k = 0; k < 5; ++k) tree.set(k, weights[k]);
  EXPECT_EQ(tree.total(), 8);
  EXPECT_EQ(tree.find(0), 0u);
  EXPECT_EQ(tree.find(0.999), 0u);
  EXPECT_EQ(tree.find(1), 2u);
  EXPECT_EQ(tree.find(3.499), 2u);
  EXPECT_EQ(tree.find(3.5), 3u);
  EXPECT_EQ(tree.find(4), 4u);
  EXPECT_EQ(tree.find(7.999), 4u);
  tree.set(4, 0);
  EXPECT_EQ(tree.find(std::nextafter(4.0, 0.0)), 3u);
  EXPECT_EQ(tree.find(4.0), 3u) << "a sum that was rounded up";
}

// Fragments of environments whose observation is the number of the step and whose reward is 10 times that, with chosen
// ends. The observation after an end starts a new hundred.
FragmentLayout layout_of(int steps, int envs) {
  EnvironmentInfo info;
  info.observation_size = 1;
  info.action = {ActionSpace::Kind::discrete, {2}, 1, 0, 0};
  return {info, steps, envs};
}

struct Script {
  explicit Script(int envs) : next(static_cast<std::size_t>(envs)) {
    for (int e = 0; e < envs; ++e) next[e] = 1000.0f * static_cast<float>(e);
  }
  // ends: a letter a step of all environments: '.', 't' terminated, 'c' cut (truncated).
  void play(ReplayBuffer& buffer, const std::string& ends) {
    OwnedFragment fragment(layout_of(static_cast<int>(ends.size()), static_cast<int>(next.size())));
    for (std::size_t t = 0; t < ends.size(); ++t) {
      for (std::size_t e = 0; e < next.size(); ++e) {
        const std::size_t row = t * next.size() + e;
        fragment.view.observations[row] = next[e];
        fragment.view.actions[row] = static_cast<float>(t % 2);
        fragment.view.rewards[row] = 10 * next[e];
        fragment.view.terminated[row] = ends[t] == 't';
        fragment.view.truncated[row] = ends[t] == 'c';
        next[e] += 1;
        if (ends[t] != '.') {
          fragment.view.final_observations[row] = next[e];
          next[e] = 100 * (std::floor(next[e] / 100) + 1);
        }
        fragment.view.last_observations[e] = next[e];
      }
    }
    buffer.add(fragment.read());
  }
  std::vector<float> next;
};

// Everything that can be drawn, by observation.
struct Row {
  float reward, discount, next;
};
std::map<float, Row> all_rows(const ReplayBuffer& buffer) {
  std::map<float, Row> rows;
  Random random(1, Stream::user);
  ReplayBatch batch;
  for (int k = 0; k < 50; ++k) {
    buffer.sample(64, 1, random, batch);
    for (std::size_t r = 0; r < 64; ++r) {
      rows[batch.observations[r]] = {batch.rewards[r], batch.discounts[r], batch.next_observations[r]};
    }
  }
  return rows;
}

TEST(Replay, SumsOfRewardsEndWhereEpisodesDoWithTheTrueNumberOfSteps) {
  ReplayBuffer buffer(layout_of(1, 1), {.capacity = 100, .n_steps = 3, .gamma = 0.5});
  Script script(1);
  script.play(buffer, "....t");  // 0 1 2 3 4
  script.play(buffer, "..c..");  // 100 101 102 200 201
  const auto rows = all_rows(buffer);
  ASSERT_EQ(rows.size(), 10u);
  const auto expect = [&](float at, double reward, double discount, float next) {
    EXPECT_FLOAT_EQ(rows.at(at).reward, static_cast<float>(reward)) << at;
    EXPECT_FLOAT_EQ(rows.at(at).discount, static_cast<float>(discount)) << at;
    EXPECT_EQ(rows.at(at).next, next) << at;
  };
  expect(0, 0 + 5 + 5, 0.125, 3);
  expect(1, 10 + 10 + 7.5, 0.125, 4);
  expect(2, 20 + 15 + 10, 0, 5);  // to the termination: nothing is bootstrapped
  expect(4, 40, 0, 5);
  expect(100, 1000 + 505 + 255, 0.125, 103);  // to the truncation, in three steps
  expect(101, 1010 + 510, 0.25, 103);         // in two
  expect(102, 1020, 0.5, 103);
  expect(200, 2000 + 1005, 0.25, 202);  // to the newest
  expect(201, 2010, 0.5, 202);
}

TEST(Replay, OverwritesTheOldestAndLooksAheadAcrossTheSeamOfTheRing) {
  ReplayBuffer buffer(layout_of(1, 2), {.capacity = 9, .n_steps = 2, .gamma = 1});
  EXPECT_EQ(buffer.capacity(), 8u) << "whole slots";
  Script script(2);
  script.play(buffer, "..");
  EXPECT_EQ(buffer.size(), 4u);
  script.play(buffer, "....");  // 0 .. 5, of which 2 .. 5 are left
  EXPECT_EQ(buffer.size(), 8u);
  const auto rows = all_rows(buffer);
  std::vector<float> kept;
  for (const auto& [at, row] : rows) kept.push_back(at);
  EXPECT_THAT(kept, ElementsAre(2, 3, 4, 5, 1002, 1003, 1004, 1005));
  EXPECT_EQ(rows.at(3).next, 5);  // slot 3, then slot 0
  EXPECT_EQ(rows.at(3).reward, 70);
  EXPECT_EQ(rows.at(5).next, 6);  // the newest
  EXPECT_EQ(rows.at(1003).next, 1005);
}

// Chi-square with as many degrees of freedom as cells less one: 99.9 % lie below about k + 3.3 sqrt(2 k).
TEST(Replay, DrawsByPriorityWithTheRightFrequenciesAndWeights) {
  constexpr int n = 200;
  ReplayBuffer buffer(layout_of(1, 1), {.capacity = n, .prioritized = true, .alpha = 0.7});
  Script script(1);
  script.play(buffer, std::string(n, '.'));
  Random random(3, Stream::user);
  // Errors are set through batches: draw until each cell has had its own.
  std::vector<double> error(n);
  ReplayBatch batch;
  for (int seen = 0; seen < n;) {
    buffer.sample(50, 1, random, batch);
    std::vector<float> errors;
    for (const auto cell : batch.cells) {
      if (error[cell] == 0) {
        ++seen;
        error[cell] = 0.05 + 0.95 * random.uniform();
      }
      errors.push_back(static_cast<float>(seen % 2 ? error[cell] : -error[cell]));
    }
    buffer.set_errors(batch, errors);
  }
  double total = 0;
  for (const double e : error) total += std::pow(e + 1e-6, 0.7);
  std::vector<int> count(n);
  constexpr int batches = 8000, rows = 25;
  for (int k = 0; k < batches; ++k) {
    buffer.sample(rows, 0.5, random, batch);
    double largest = 0;
    for (int r = 0; r < rows; ++r) {
      ++count[batch.cells[r]];
      largest = std::max<double>(largest, batch.weights[r]);
      const double ratio = std::pow(error[batch.cells[0]] + 1e-6, 0.35) / std::pow(error[batch.cells[r]] + 1e-6, 0.35);
      ASSERT_NEAR(batch.weights[r], batch.weights[0] * ratio, 1e-5);
    }
    ASSERT_FLOAT_EQ(static_cast<float>(largest), 1.0f);
  }
  double chi_square = 0;
  for (int c = 0; c < n; ++c) {
    const double expected = batches * rows * std::pow(error[c] + 1e-6, 0.7) / total;
    chi_square += (count[c] - expected) * (count[c] - expected) / expected;
  }
  // Drawing from equal parts of the sum makes counts less variable than independent draws, so only the upper end tells.
  EXPECT_LT(chi_square, (n - 1) + 3.3 * std::sqrt(2.0 * (n - 1)));
}

TEST(Replay, DrawsUniformlyWithoutPriorities) {
  constexpr int n = 100;
  ReplayBuffer buffer(layout_of(1, 1), {.capacity = n});
  Script script(1);
  script.play(buffer, std::string(n, '.'));
  Random random(4, Stream::user);
  std::vector<int> count(n);
  ReplayBatch batch;
  for (int k = 0; k < 2000; ++k) {
    buffer.sample(50, 1, random, batch);
    for (const auto cell : batch.cells) ++count[cell];
  }
  double chi_square = 0;
  for (const int c : count) chi_square += (c - 1000.0) * (c - 1000.0) / 1000.0;
  EXPECT_LT(chi_square, 99 + 3.3 * std::sqrt(198.0));
  EXPECT_GT(chi_square, 99 - 3.3 * std::sqrt(198.0));
}

TEST(Replay, NewTransitionsAreAsUrgentAsTheWorstSoFar) {
  ReplayBuffer buffer(layout_of(1, 1), {.capacity = 1000, .prioritized = true, .alpha = 1});
  Script script(1);
  script.play(buffer, std::string(10, '.'));
  Random random(5, Stream::user);
  ReplayBatch batch;
  buffer.sample(100, 1, random, batch);
  buffer.set_errors(batch, std::vector<float>(100, 9.0f));
  script.play(buffer, std::string(10, '.'));
  buffer.sample(4000, 1, random, batch);
  int fresh = 0;
  for (const auto cell : batch.cells) fresh += cell >= 10;
  EXPECT_NEAR(fresh, 2000, 5 * std::sqrt(1000.0));
}

TEST(Replay, GoesOnFromASavedStateAndRefusesAnother) {
  const ReplayOptions options{.capacity = 40, .n_steps = 2, .prioritized = true};
  ReplayBuffer buffer(layout_of(1, 2), options), other(layout_of(1, 2), options);
  Script script(2);
  script.play(buffer, "....t.....c......");
  script.play(buffer, "..t..c..........");
  Random random(6, Stream::user);
  ReplayBatch batch;
  buffer.sample(20, 0.4, random, batch);
  std::vector<float> errors(20);
  for (float& e : errors) e = static_cast<float>(random.normal());
  buffer.set_errors(batch, errors);
  std::vector<std::byte> bytes;
  buffer.save(bytes);
  std::span<const std::byte> rest(bytes);
  other.load(rest);
  EXPECT_TRUE(rest.empty());
  std::vector<std::byte> again;
  other.save(again);
  EXPECT_EQ(bytes, again);

  Script twin = script;
  script.play(buffer, "..t...");
  twin.play(other, "..t...");
  ReplayBatch a, b;
  Random one(7, Stream::user), two(7, Stream::user);
  buffer.sample(30, 0.4, one, a);
  other.sample(30, 0.4, two, b);
  EXPECT_EQ(a.cells, b.cells);
  EXPECT_EQ(a.rewards, b.rewards);
  EXPECT_EQ(a.weights, b.weights);

  ReplayBuffer larger(layout_of(1, 2), {.capacity = 50, .prioritized = true});
  rest = bytes;
  EXPECT_THROW(larger.load(rest), std::runtime_error);
  rest = std::span(bytes).first(bytes.size() - 9);
  EXPECT_THROW(other.load(rest), std::runtime_error);
}

}  // namespace
}  // namespace mobula::rl
