#include <mobula/random.h>

#include <boost/random/sobol.hpp>

#include "tune/search/searcher.h"

namespace mobula::tune {
namespace {

/// Sobol's sequence with the direction numbers of Joe and Kuo (2008, "new-joe-kuo-6", as in Boost), each dimension
/// shifted by random bits from the study's seed (Cranley and Patterson's rotation in base 2), which keeps the
/// sequence's evenness and makes another seed another search.
class SobolSearch final : public Searcher {
 public:
  SobolSearch(const Space& space, std::uint64_t seed) : space_(space) {
    if (space.parameters().size() > kDimensions) {
      throw TuneError("search: sobol has " + std::to_string(kDimensions) + " dimensions, and the space has " +
                      std::to_string(space.parameters().size()) + "; use random search");
    }
    for (std::size_t i = 0; i < space.parameters().size(); ++i) {
      Random random(seed, static_cast<std::uint32_t>(TuneStream::shift), static_cast<std::uint32_t>(i));
      shift_.push_back(random.bits64());
    }
  }

  std::optional<Params> propose(std::int64_t trial, std::span<const Trial>) const override {
    const std::size_t dimensions = space_.parameters().size();
    std::vector<double> point(dimensions);
    if (dimensions > 0) {
      boost::random::sobol engine(dimensions);
      // Boost leaves out the origin, with which the sequence begins; without it the first 2^m points are no net.
      if (trial > 0) engine.seed(static_cast<std::uint64_t>(trial - 1));
      for (std::size_t i = 0; i < dimensions; ++i) {
        const std::uint64_t bits = trial > 0 ? engine() : 0;
        point[i] = static_cast<double>((bits ^ shift_[i]) >> 11) * 0x1p-53;
      }
    }
    const auto turn = grid_turn(space_, trial);
    return space_.make([&](std::size_t i) {
      const Domain& domain = space_.parameters()[i].domain;
      return domain.kind == Domain::Kind::grid ? domain.nth(turn[i]) : domain.at(point[i]);
    });
  }

 private:
  static constexpr std::size_t kDimensions = 3667;
  const Space& space_;
  std::vector<std::uint64_t> shift_;
};

}  // namespace

std::unique_ptr<Searcher> make_sobol(const Space& space, std::uint64_t seed) {
  return std::make_unique<SobolSearch>(space, seed);
}

}  // namespace mobula::tune
