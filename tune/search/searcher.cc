#include "tune/search/searcher.h"

#include "runtime/config/nearest.h"

namespace mobula::tune {

std::vector<std::string> searcher_names() {
  return {"random", "sobol", "grid"};
}

std::unique_ptr<Searcher> make_searcher(const std::string& name, const Space& space, std::uint64_t seed) {
  if (name == "random") return make_random(space, seed);
  if (name == "sobol") return make_sobol(space, seed);
  if (name == "grid") return make_grid(space);
  throw TuneError("search.name: there is no '" + name + "'" + config::expected_one_of(name, searcher_names()));
}

std::vector<std::int64_t> grid_turn(const Space& space, std::int64_t trial) {
  const auto& parameters = space.parameters();
  std::vector<std::int64_t> turn(parameters.size(), 0);
  std::int64_t rest = trial % space.grid_size();
  for (std::size_t i = parameters.size(); i-- > 0;) {
    if (parameters[i].domain.kind != Domain::Kind::grid) continue;
    turn[i] = rest % parameters[i].domain.size();
    rest /= parameters[i].domain.size();
  }
  return turn;
}

}  // namespace mobula::tune
