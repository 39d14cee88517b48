#pragma once

#include "cli/command.h"

namespace mobula::cli {

/// Commands that ask a running cluster, or give it something; each in a file of its name.
Command add_stack(CLI::App& program);
Command add_logs(CLI::App& program);
Command add_timeline(CLI::App& program);
Command add_submit(CLI::App& program);
Command add_jobs(CLI::App& program);  // with submit

}  // namespace mobula::cli
