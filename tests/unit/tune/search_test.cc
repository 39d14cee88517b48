#include "tune/search/searcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace mobula::tune {
namespace {

Space plane() {
  Space space;
  space.add("x", uniform(0, 1)).add("y", uniform(0, 1));
  return space;
}

TEST(Search, AProposalDependsOnSeedAndTrialAlone) {
  const Space space = plane();
  for (const std::string name : {"random", "sobol"}) {
    const auto one = make_searcher(name, space, 7), again = make_searcher(name, space, 7);
    const auto other = make_searcher(name, space, 8);
    const auto last = one->propose(9, {});
    for (int trial = 0; trial < 9; ++trial) {
      EXPECT_EQ(one->propose(trial, {}), again->propose(trial, {})) << name;
      EXPECT_NE(one->propose(trial, {}), other->propose(trial, {})) << name;
    }
    EXPECT_EQ(last, one->propose(9, {})) << name;
  }
}

TEST(Search, SobolPutsOnePointInEachElementaryCell) {
  // The defining property of a (0, m, 2)-net in base 2, which the first two dimensions have: 64 points, one in each of
  // the 64 boxes of any shape 2^-i by 2^-(6 - i). The random shift keeps it.
  const Space space = plane();
  const auto sobol = make_searcher("sobol", space, 3);
  for (int i = 0; i <= 6; ++i) {
    std::set<std::pair<int, int>> boxes;
    for (int trial = 0; trial < 64; ++trial) {
      const Params p = *sobol->propose(trial, {});
      boxes.emplace(static_cast<int>(p.number("x") * (1 << i)), static_cast<int>(p.number("y") * (1 << (6 - i))));
    }
    EXPECT_EQ(boxes.size(), 64u) << "boxes of 2^-" << i;
  }
}

TEST(Search, RandomDrawsAreUniform) {
  const Space space = plane();
  const auto random = make_searcher("random", space, 1);
  std::vector<int> cells(16);
  for (int trial = 0; trial < 16000; ++trial) {
    const Params p = *random->propose(trial, {});
    ++cells[static_cast<std::size_t>(p.number("x") * 4) * 4 + static_cast<std::size_t>(p.number("y") * 4)];
  }
  // Each cell is binomial with mean 1000 and deviation 31.
  for (const int n : cells) EXPECT_NEAR(n, 1000, 155);
}

TEST(Search, GridGoesThroughEveryCombinationOnce) {
  Space space;
  space.add("a", grid({1, 2, 3})).add("b", choice({"x", "y"}));
  const auto search = make_searcher("grid", space, 0);
  std::set<std::string> seen;
  int trial = 0;
  while (auto params = search->propose(trial, {})) {
    seen.insert(to_text(*params->find("a")) + to_text(*params->find("b")));
    ++trial;
  }
  EXPECT_EQ(trial, 6);
  EXPECT_EQ(seen.size(), 6u);
}

TEST(Search, OtherSearchesTakeTheCombinationsOfGridsInTurn) {
  Space space;
  space.add("a", grid({1, 2})).add("x", uniform(0, 1)).add("b", grid({"p", "q"}));
  const auto search = make_searcher("sobol", space, 0);
  std::string turns;
  for (int trial = 0; trial < 5; ++trial) {
    const Params p = *search->propose(trial, {});
    turns += to_text(*p.find("a")) + p.text("b") + " ";
  }
  EXPECT_EQ(turns, "1p 1q 2p 2q 1p ");
}

TEST(Search, AnUnknownNameIsAnsweredWithTheNearest) {
  try {
    make_searcher("sobel", plane(), 0);
    FAIL();
  } catch (const TuneError& error) {
    EXPECT_STREQ(error.what(),
                 "search.name: there is no 'sobel'; expected one of random, sobol, grid; did you mean 'sobol'?");
  }
}

}  // namespace
}  // namespace mobula::tune
