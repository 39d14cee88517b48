#pragma once

#include <mobula/rl/estimate.h>

#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

/// Whether a metric could be told at all.
enum class Evidence {
  value,         ///< there is a value with its interval
  insufficient,  ///< there is a value, but too few independent episodes for an interval
  undefined      ///< there is no value: a group had no sample. Never counted as 0, never passed.
};

enum class Verdict { passed, failed, not_enough_evidence };

/// "passed", "failed", "not enough evidence": the words of result.json.
std::string_view to_string(Verdict verdict);
std::string_view to_string(Evidence evidence);

/// What the held-out episodes say of one constraint.
///
/// passed: the whole interval of the metric keeps the limit. failed: none of it does, or training gave up (`reason`).
/// Anything between, and what cannot be told, is not enough evidence.
struct ConstraintResult {
  std::string metric;
  std::vector<std::string> groups;  ///< what is compared
  bool upper = true;                ///< the limit is an upper one (at_most), else a lower one (at_least)
  double limit = std::numeric_limits<double>::quiet_NaN();
  double confidence = 0.95;
  Evidence evidence = Evidence::undefined;
  Estimate estimate;         ///< 95 % interval
  double low = 0, high = 0;  ///< interval at `confidence`, two-sided: what the verdict rests on
  Verdict verdict = Verdict::not_enough_evidence;
  std::string reason;  ///< a sentence
};

/// What held-out episodes say of one policy: "trained", or the name of a baseline.
struct PolicyMetrics {
  std::string policy;
  Metrics metrics;
  std::vector<ConstraintResult> constraints;  ///< in the order of the options
};

/// passed if all are; failed if any is; else not enough evidence.
Verdict overall(const std::vector<ConstraintResult>& constraints);

}  // namespace mobula::rl
