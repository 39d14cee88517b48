#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rl/train/cpu_meter.h"

namespace mobula::rl {

/// Notices that an actor answers from another process than before: the earlier one died, and the runtime has started
/// the actor anew and repeated its call.
class WorkerWatch {
 public:
  struct Replaced {
    std::string actor;
    ProcessTime before, now;
  };
  void report(const std::string& actor, const ProcessTime& process) {
    const auto [entry, is_new] = seen_.emplace(actor, process);
    ProcessTime& known = entry->second;
    if (!is_new && (known.pid != process.pid || known.host != process.host))
      replaced_.push_back({actor, known, process});
    known = process;
  }
  /// Since the last call.
  std::vector<Replaced> take() { return std::exchange(replaced_, {}); }

 private:
  std::map<std::string, ProcessTime> seen_;
  std::vector<Replaced> replaced_;
};

}  // namespace mobula::rl
