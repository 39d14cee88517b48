#pragma once

#include <mobula/tune.h>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "cli/interrupt.h"
#include "cli/live_block.h"
#include "cli/output.h"

namespace mobula::cli {

/// What is told of a study as of now, in lines of at most so many columns: one that counts, the running trials, the
/// best.
std::vector<std::string> study_lines(const tune::Study& study, double seconds, int columns);

/// A trial as a line for people, and as a JSON object (`trial`, `status`, `iterations`, `reached`, `value`, `ci95`,
/// `n`, `seconds`, `error`, `params`, each as YAML reads it; what is not known is null).
std::string trial_line(const tune::Study& study, const tune::Trial& trial);
nlohmann::ordered_json trial_json(const tune::Study& study, const tune::Trial& trial);

/// Shows a study while it goes on: a table drawn anew in place on a terminal, else a line for each trial that has
/// ended; with --json an object for each. Messages go to standard error, JSON lines to standard output.
class TuneView {
 public:
  TuneView(const OutputOptions& options, const Interrupt& interrupt);

  /// A line that stays; nothing with --quiet and --json.
  void note(const std::string& text);
  /// An object on standard output, with --json only. Once the reader has gone, nothing.
  void json(const nlohmann::ordered_json& object);
  /// May be called as often as something changes.
  void show(const tune::Study& study);
  /// Takes the table away, and tells the end of trials that were paused for good.
  void finish(const tune::Study& study);

 private:
  using Clock = std::chrono::steady_clock;
  enum class Mode { quiet, lines, block, json };
  void tell_ended(const tune::Study& study, bool all);

  const Mode mode_;
  const Interrupt& interrupt_;
  const Clock::time_point began_ = Clock::now();
  Clock::time_point shown_{};
  std::set<std::int64_t> said_;  // trials whose end was told
  LiveBlock block_;
};

}  // namespace mobula::cli
