#include "runtime/daemon/serve.h"

#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <spdlog/logger.h>
#include <sys/signalfd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <mobula/result.h>

#include "runtime/daemon/log.h"
#include "runtime/process/fd.h"

namespace mobula::daemon {

ServeResult serve(const NodeLoopOptions& options, const std::function<void(NodeLoop&)>& started) {
  const auto log = make_log(options.log_level);
  sigset_t ends;
  sigemptyset(&ends);
  for (int number : {SIGINT, SIGTERM, SIGHUP}) {
    sigaddset(&ends, number);
    ::signal(number, SIG_DFL);  // an ignored signal would never arrive
  }
  sigaddset(&ends, SIGPIPE);
  sigprocmask(SIG_BLOCK, &ends, nullptr);
  sigdelset(&ends, SIGPIPE);
  const process::Fd signals(signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) {
    throw TaskError(
        {.code = ErrorCode::unavailable, .message = fmt::format("cannot wait for signals: {}", std::strerror(errno))});
  }
  for (;;) {
    NodeLoop loop(options);
    loop.stop_when_readable(signals.get());
    started(loop);
    const NodeLoop::End end = loop.run();
    if (end != NodeLoop::End::expelled) return {end, loop.reason()};
    log->warn("the head gave this node up ({}): all its work is ended, and it joins again", loop.reason());
  }
}

std::uint32_t usable_cpus() {
  cpu_set_t cpus;
  if (sched_getaffinity(0, sizeof(cpus), &cpus) != 0) return 1;
  return static_cast<std::uint32_t>(CPU_COUNT(&cpus));
}

}  // namespace mobula::daemon
