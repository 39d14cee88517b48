// Which task ends so that the others do not, when a machine runs out of memory before its kernel picks one.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/ids.h"

namespace mobula {

/// How full the memory is that a node lives in.
struct MemoryReading {
  std::uint64_t used = 0;
  std::uint64_t limit = 0;  // 0: not known
  std::string where;        // "this machine", "the cgroup /job"
};

/// A worker that runs something.
struct PressureCandidate {
  ProcessId process;
  ProcessId owner;          // who submitted what it runs: one group
  std::uint64_t since = 0;  // larger is later
  std::uint64_t bytes = 0;  // of its own
  bool retriable = false;
  bool actor = false;
};

struct PressureVictim {
  ProcessId process;
  std::string why;  // "it is the newest ..., which ...", for the error
};

/// The newest retriable task of the group whose retriable tasks take most; where nothing is retriable, the newest task
/// or actor. One that takes less than `worth` bytes is left alone: its end would gain nothing. None: nobody is worth
/// it.
std::optional<PressureVictim> choose_victim(const std::vector<PressureCandidate>& candidates, std::uint64_t worth);

/// "15.3 of 16.0 GB of this machine are in use (96 %, the threshold is 95 %)".
std::string describe(const MemoryReading& reading, double threshold);

}  // namespace mobula
