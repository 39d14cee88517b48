#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "bench/micro/case.h"

namespace mobula::cli {

/// What another library reaches at the same as one of our rows, counted in the same way.
struct PeerFigure {
  std::string peer, row;
  std::optional<double> per_second, p50_us;
  std::string missing;  ///< why there is nothing: it is not installed
};

/// Runs bench/compare/rl/peers.py, which lies in the source tree of this program, with the Python that
/// $MOBULA_PEERS_PYTHON names. Throws UsageError without either; a peer that is not installed is only told.
std::vector<PeerFigure> measure_peers(const std::vector<bench::Figures>& rows, bool quick,
                                      const std::function<void(const std::string&)>& tell);
/// The figures that the script printed, a JSON object a line. Throws std::runtime_error for what is none.
std::vector<PeerFigure> read_peers(const std::string& lines);

/// How many times as fast our row is.
std::optional<double> times_as_fast(const bench::Figures& ours, const PeerFigure& theirs);

}  // namespace mobula::cli
