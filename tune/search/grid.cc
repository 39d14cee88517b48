#include "tune/search/searcher.h"

namespace mobula::tune {
namespace {

/// Every combination once, in order; conditional parameters only where they count.
class GridSearch final : public Searcher {
 public:
  explicit GridSearch(const Space& space) : points_(space.all()) {}

  std::optional<Params> propose(std::int64_t trial, std::span<const Trial>) const override {
    if (trial >= static_cast<std::int64_t>(points_.size())) return std::nullopt;
    return points_[static_cast<std::size_t>(trial)];
  }

 private:
  const std::vector<Params> points_;
};

}  // namespace

std::unique_ptr<Searcher> make_grid(const Space& space) {
  return std::make_unique<GridSearch>(space);
}

}  // namespace mobula::tune
