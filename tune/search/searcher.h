#pragma once

#include <mobula/tune/study.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mobula::tune {

/// Proposes the parameters of a trial as a function of the study's seed, the trial's number and the trials so far, and
/// of nothing else: there is no generator whose state would have to be saved.
class Searcher {
 public:
  virtual ~Searcher() = default;
  /// Nothing: there is no more to try.
  virtual std::optional<Params> propose(std::int64_t trial, std::span<const Trial> before) const = 0;
};

/// One a file; the space must outlive them.
std::unique_ptr<Searcher> make_random(const Space& space, std::uint64_t seed);
std::unique_ptr<Searcher> make_sobol(const Space& space, std::uint64_t seed);
std::unique_ptr<Searcher> make_grid(const Space& space);

std::vector<std::string> searcher_names();
/// Throws TuneError for a name that is none of these.
std::unique_ptr<Searcher> make_searcher(const std::string& name, const Space& space, std::uint64_t seed);

/// What random numbers are used for here; no other part of the library uses these streams.
enum class TuneStream : std::uint32_t { proposal = 0x74750001, shift, trial_seed };

/// The values of the `grid` parameters in this trial: all combinations in turn, the last parameter varying fastest.
/// Indexed by parameter; only those of grids are meaningful.
std::vector<std::int64_t> grid_turn(const Space& space, std::int64_t trial);

}  // namespace mobula::tune
