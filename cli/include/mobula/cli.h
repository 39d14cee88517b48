#pragma once

#include <mobula/rl/environment_spec.h>

namespace mobula {

/// The whole program `mobula`, for programs that bring environments of their own:
///
///   int main(int argc, char** argv) {
///     mobula::rl::register_environment<MyEnv>("my_env");
///     return mobula::command_line(argc, argv);
///   }
///
/// Calls mobula::init itself (in a worker process it does not return), so registrations come first. Returns the exit
/// status: 0 done, 1 failed, 2 wrong usage or configuration (nothing was written), 130 interrupted.
int command_line(int argc, char** argv);

}  // namespace mobula
