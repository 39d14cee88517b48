#include "runtime/daemon/log.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <mobula/result.h>

namespace mobula::daemon {

std::shared_ptr<spdlog::logger> make_log(const std::string& level) {
  const spdlog::level::level_enum value = spdlog::level::from_str(level);
  // from_str answers "off" for everything that it does not know.
  if (value == spdlog::level::off && level != "off") {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = fmt::format("log_level is \"{}\"; use debug, info, warning, error or off", level)});
  }
  auto log = std::make_shared<spdlog::logger>("mobula", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
  log->set_level(value);
  log->set_pattern("%Y-%m-%d %H:%M:%S.%e mobula %^%l%$: %v");
  log->flush_on(spdlog::level::debug);
  return log;
}

}  // namespace mobula::daemon
