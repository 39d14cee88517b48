#pragma once

#include <string>

#include "cli/ask.h"

namespace mobula::cli {

/// Prints what the job prints until it ends, and returns its exit status; 130 if it was cancelled by Ctrl-C, which this
/// does (`cancels`) or not: then an interrupt only ends the watching. Throws std::runtime_error for a job that could
/// not be started, or that the head does not know.
int watch_job(Asker& asker, const std::string& id, Duration patience, bool cancels);

}  // namespace mobula::cli
