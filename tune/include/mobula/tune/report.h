#pragma once

#include <mobula/tune/study.h>

#include <string>

namespace mobula::tune {

/// One line a trial under `trial,status,iterations,metric,seconds`, a column a hyper-parameter (empty where it does not
/// apply), and `metric_low,metric_high,metric_n`: the 95 % interval of the metric and its n, empty where nobody said.
/// Everything but `seconds` is the same each time in deterministic mode.
std::string trials_csv(const Study& study);

/// A page of text: how many trials ended how, the best ones with their parameters, and the best value by trial.
std::string report_text(const Study& study);

/// A picture for a browser: the best value so far by trial, and the parameters of all trials as parallel coordinates.
std::string report_svg(const Study& study);

/// "497.3 [492, 499.8] n=20": a trial's value with its 95 % interval and n, as far as they are known; "-" without one.
std::string value_text(const Trial& trial);

/// "stopped" for a paused trial of a finished study, which nobody will go on with; else the status' name.
std::string status_text(const Study& study, const Trial& trial);

}  // namespace mobula::tune
