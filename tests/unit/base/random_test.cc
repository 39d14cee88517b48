#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/random.h>

#include <array>
#include <cmath>
#include <cstring>
#include <vector>

namespace mobula {
namespace {

// Random123's known answers for philox4x32-10 (kat_vectors): counter, key -> block.
TEST(Random, GivesTheKnownAnswersOfPhilox) {
  Random zero(0, 0u, 0, 0);
  EXPECT_EQ(zero.bits(), 0x6627e8d5u);
  EXPECT_EQ(zero.bits(), 0xe169c58du);
  EXPECT_EQ(zero.bits(), 0xbc57ac4cu);
  EXPECT_EQ(zero.bits(), 0x9b00dbd8u);
}

TEST(Random, DependsOnEachPartOfItsKey) {
  std::vector<std::uint32_t> first;
  for (const Random& key : {Random(1, Stream::user), Random(2, Stream::user), Random(1ull << 32 | 1, Stream::user),
                            Random(1, Stream::action), Random(1, Stream::user, 1), Random(1, Stream::user, 0, 1)}) {
    Random random = key;
    first.push_back(random.bits());
  }
  for (std::size_t a = 0; a < first.size(); ++a) {
    for (std::size_t b = a + 1; b < first.size(); ++b) EXPECT_NE(first[a], first[b]) << a << " and " << b;
  }
}

TEST(Random, ACopyOfItsBytesContinuesIdentically) {
  Random random(7, Stream::environment, 3, 5);
  for (int k = 0; k < 37; ++k) random.bits();
  std::array<unsigned char, sizeof(Random)> bytes;
  std::memcpy(bytes.data(), &random, sizeof random);
  Random copy;
  std::memcpy(static_cast<void*>(&copy), bytes.data(), sizeof copy);
  for (int k = 0; k < 1000; ++k) ASSERT_EQ(copy.bits(), random.bits());
}

TEST(Random, UniformNumbersFillTheUnitInterval) {
  Random random(1, Stream::user);
  double sum = 0, squares = 0, low = 1, high = 0;
  constexpr int n = 1'000'000;
  for (int k = 0; k < n; ++k) {
    const double u = random.uniform();
    const float f = random.uniform_float();
    ASSERT_TRUE(u >= 0 && u < 1 && f >= 0 && f < 1);
    sum += u;
    squares += u * u;
    low = std::min(low, u);
    high = std::max(high, u);
  }
  EXPECT_NEAR(sum / n, 0.5, 5 * std::sqrt(1.0 / 12 / n));
  EXPECT_NEAR(squares / n, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / n));
  EXPECT_LT(low, 1e-5);
  EXPECT_GT(high, 1 - 1e-5);
}

TEST(Random, BelowIsUniformAlsoForAwkwardSizes) {
  Random random(2, Stream::user);
  for (const std::uint32_t n : {1u, 2u, 3u, 7u, 10u}) {
    std::vector<int> count(n);
    constexpr int draws = 200'000;
    for (int k = 0; k < draws; ++k) ++count.at(random.below(n));
    double chi_square = 0;
    for (const int c : count) chi_square += (c - draws / double(n)) * (c - draws / double(n)) / (draws / double(n));
    EXPECT_LT(chi_square, n - 1 + 5 * std::sqrt(2.0 * n)) << n;
  }
  // Plain multiplication or modulo would take numbers of the upper half only half as often here.
  constexpr std::uint32_t n = 3u << 30;
  int upper = 0;
  constexpr int draws = 100'000;
  for (int k = 0; k < draws; ++k) upper += random.below(n) >= n / 2;
  EXPECT_NEAR(upper / double(draws), 0.5, 5 * 0.5 / std::sqrt(draws));
}

TEST(Random, NormalQuantileEqualsReferenceValues) {
  // From a table with 16 digits (Python's statistics.NormalDist, itself AS 241, and mpmath agree).
  EXPECT_DOUBLE_EQ(normal_quantile(0.5), 0.0);
  EXPECT_NEAR(normal_quantile(0.975), 1.959963984540054, 1e-14);
  EXPECT_NEAR(normal_quantile(0.025), -1.959963984540054, 1e-14);
  EXPECT_NEAR(normal_quantile(0.8413447460685429), 1.0, 1e-14);
  EXPECT_NEAR(normal_quantile(1e-10), -6.361340902404056, 1e-13);
  EXPECT_NEAR(normal_quantile(1e-15), -7.941345326170998, 1e-13);
}

// Inverting the quantile with the C library's erfc must give the probability back, on the whole range.
TEST(Random, NormalQuantileInvertsTheDistributionFunction) {
  for (double p = 1e-14; p < 0.5; p *= 1.37) {
    const double back = 0.5 * std::erfc(-normal_quantile(p) / std::sqrt(2.0));
    ASSERT_NEAR(back / p, 1.0, 1e-12) << p;
    if (p > 1e-3) {
      ASSERT_NEAR(normal_quantile(1 - p), -normal_quantile(p), 1e-12) << p;
    }
  }
}

TEST(Random, NormalNumbersHaveTheRightMoments) {
  Random random(3, Stream::user);
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
  constexpr int n = 1'000'000;
  for (int k = 0; k < n; ++k) {
    const double x = random.normal();
    m1 += x;
    m2 += x * x;
    m3 += x * x * x;
    m4 += x * x * x * x;
  }
  EXPECT_NEAR(m1 / n, 0, 5 / std::sqrt(n));
  EXPECT_NEAR(m2 / n, 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(m3 / n, 0, 5 * std::sqrt(15.0 / n));
  EXPECT_NEAR(m4 / n, 3, 5 * std::sqrt(96.0 / n));
}

TEST(Random, PoissonNumbersHaveTheRightProbabilities) {
  Random random(4, Stream::user);
  EXPECT_EQ(random.poisson(0), 0);
  for (const double mean : {0.05, 1.0, 7.5, 16.0, 100.0}) {
    double sum = 0, squares = 0, zeros = 0;
    constexpr int n = 100'000;
    for (int k = 0; k < n; ++k) {
      const int x = random.poisson(mean);
      ASSERT_GE(x, 0);
      sum += x;
      squares += (x - mean) * (x - mean);
      zeros += x == 0;
    }
    EXPECT_NEAR(sum / n, mean, 5 * std::sqrt(mean / n)) << mean;
    EXPECT_NEAR(squares / n, mean, 5 * std::sqrt((mean + 2 * mean * mean) / n)) << mean;
    EXPECT_NEAR(zeros / n, std::exp(-mean), 5 * std::sqrt(std::exp(-mean) / n) + 1e-9) << mean;
  }
}

}  // namespace
}  // namespace mobula
