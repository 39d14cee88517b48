#include <mobula/random.h>

#include <Random123/philox.h>

#include <bit>
#include <cmath>
#include <type_traits>

namespace mobula {
namespace {

static_assert(std::is_trivially_copyable_v<Random>);
static_assert(sizeof(Random) == 23 * sizeof(std::uint32_t), "padding would make snapshots depend on stale bytes");

// exp and log in plain arithmetic: the C library chooses among variants by the CPU it finds, and their last bits
// differ.

/// exp(-x) for 0 <= x <= 16: the Taylor series on x / 32, then squared five times.
double exp_minus(double x) {
  const double y = -x * (1.0 / 32.0);
  double sum = 1.0;
  for (int k = 18; k >= 1; --k) sum = 1.0 + sum * y / k;
  for (int k = 0; k < 5; ++k) sum *= sum;
  return sum;
}

/// The natural logarithm of a positive normal number: x = m 2^e with m in [sqrt(1/2), sqrt(2)), log m by the series of
/// atanh((m - 1) / (m + 1)).
double log_of(double x) {
  const auto bits = std::bit_cast<std::uint64_t>(x);
  int exponent = static_cast<int>(bits >> 52) - 1023;
  double m = std::bit_cast<double>((bits & 0x000f'ffff'ffff'ffffu) | 0x3ff0'0000'0000'0000u);
  if (m > 1.4142135623730951) {
    m *= 0.5;
    ++exponent;
  }
  const double z = (m - 1.0) / (m + 1.0);
  const double z2 = z * z;
  double sum = 0.0;
  for (int k = 23; k >= 1; k -= 2) sum = 1.0 / k + sum * z2;
  return 2.0 * z * sum + exponent * 0.69314718055994530942;
}

/// c[0] + c[1] x + ... + c[7] x^7.
double polynomial(const double (&c)[8], double x) {
  double sum = c[7];
  for (int k = 6; k >= 0; --k) sum = sum * x + c[k];
  return sum;
}

constexpr double kCentreNumerator[8] = {3.3871328727963666080e0,  1.3314166789178437745e+2, 1.9715909503065514427e+3,
                                        1.3731693765509461125e+4, 4.5921953931549871457e+4, 6.7265770927008700853e+4,
                                        3.3430575583588128105e+4, 2.5090809287301226727e+3};
constexpr double kCentreDenominator[8] = {1.0,
                                          4.2313330701600911252e+1,
                                          6.8718700749205790830e+2,
                                          5.3941960214247511077e+3,
                                          2.1213794301586595867e+4,
                                          3.9307895800092710610e+4,
                                          2.8729085735721942674e+4,
                                          5.2264952788528545610e+3};
constexpr double kMiddleNumerator[8] = {1.42343711074968357734e0,  4.63033784615654529590e0, 5.76949722146069140550e0,
                                        3.64784832476320460504e0,  1.27045825245236838258e0, 2.41780725177450611770e-1,
                                        2.27238449892691845833e-2, 7.74545014278341407640e-4};
constexpr double kMiddleDenominator[8] = {1.0,
                                          2.05319162663775882187e0,
                                          1.67638483018380384940e0,
                                          6.89767334985100004550e-1,
                                          1.48103976427480074590e-1,
                                          1.51986665636164571966e-2,
                                          5.47593808499534494600e-4,
                                          1.05075007164441684324e-9};
constexpr double kTailNumerator[8] = {6.65790464350110377720e0,  5.46378491116411436990e0,  1.78482653991729133580e0,
                                      2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
                                      2.71155556874348757815e-5, 2.01033439929228813265e-7};
constexpr double kTailDenominator[8] = {1.0,
                                        5.99832206555887937690e-1,
                                        1.36929880922735805310e-1,
                                        1.48753612908506148525e-2,
                                        7.86869131145613259100e-4,
                                        1.84631831751005468180e-5,
                                        1.42151175831644588870e-7,
                                        2.04426310338993978564e-15};

}  // namespace

double normal_quantile(double p) {
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) {
    const double r = 0.180625 - q * q;
    return q * polynomial(kCentreNumerator, r) / polynomial(kCentreDenominator, r);
  }
  const double r = std::sqrt(-log_of(q < 0 ? p : 1.0 - p));
  const double size = r <= 5.0 ? polynomial(kMiddleNumerator, r - 1.6) / polynomial(kMiddleDenominator, r - 1.6)
                               : polynomial(kTailNumerator, r - 5.0) / polynomial(kTailDenominator, r - 5.0);
  return q < 0 ? -size : size;
}

double Random::normal() {
  return normal_quantile((static_cast<double>(bits64() >> 12) + 0.5) * 0x1p-52);
}

int Random::poisson(double mean) {
  // A Poisson number is the sum of independent ones of smaller means; each piece is drawn by walking the distribution
  // function up to a uniform number.
  int total = 0;
  while (mean > 0.0) {
    const double piece = mean > 16.0 ? 16.0 : mean;
    mean -= piece;
    double probability = exp_minus(piece);
    double rest = uniform() - probability;
    int k = 0;
    // Past 16 + 20 standard deviations the probabilities vanish in rounding; the bound ends the walk there.
    while (rest >= 0.0 && k < 100) {
      ++k;
      probability *= piece / k;
      rest -= probability;
    }
    total += k;
  }
  return total;
}

void Random::refill() {
  for (std::uint32_t word = 0; word < buffer_.size(); word += 4) {
    const auto block =
        r123::Philox4x32{}({{block_++, stream_, index_, episode_}}, r123::Philox4x32::key_type{{key_[0], key_[1]}});
    for (std::uint32_t k = 0; k < 4; ++k) buffer_[word + k] = block.v[k];
  }
  position_ = 0;
}

}  // namespace mobula
