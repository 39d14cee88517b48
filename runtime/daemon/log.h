#pragma once

#include <spdlog/fwd.h>

#include <memory>
#include <string>

namespace mobula::daemon {

// A logger of its own that writes to stderr. `level` is debug, info, warning, error or off; throws TaskError for
// another.
std::shared_ptr<spdlog::logger> make_log(const std::string& level);

}  // namespace mobula::daemon
