#include <mobula/random.h>

#include "tune/search/searcher.h"

namespace mobula::tune {
namespace {

/// Independent draws. Each parameter has numbers of its own in each trial, so a condition that does not hold, or a
/// parameter that is added to the end of the space, leaves the others as they are.
class RandomSearch final : public Searcher {
 public:
  RandomSearch(const Space& space, std::uint64_t seed) : space_(space), seed_(seed) {}

  std::optional<Params> propose(std::int64_t trial, std::span<const Trial>) const override {
    const auto turn = grid_turn(space_, trial);
    return space_.make([&](std::size_t i) -> Value {
      const Domain& domain = space_.parameters()[i].domain;
      if (domain.kind == Domain::Kind::grid) return domain.nth(turn[i]);
      Random random(seed_, static_cast<std::uint32_t>(TuneStream::proposal), static_cast<std::uint32_t>(trial),
                    static_cast<std::uint32_t>(i));
      return domain.at(random.uniform());
    });
  }

 private:
  const Space& space_;
  const std::uint64_t seed_;
};

}  // namespace

std::unique_ptr<Searcher> make_random(const Space& space, std::uint64_t seed) {
  return std::make_unique<RandomSearch>(space, seed);
}

}  // namespace mobula::tune
