#include <mobula/runtime.h>

#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "runtime/client/in_process.h"
#include "runtime/process/worker_start.h"

namespace mobula {
namespace {

[[noreturn]] void refuse(std::string message) {
  throw TaskError({.code = ErrorCode::invalid, .message = "Runtime::start: " + std::move(message)});
}

int serve_worker(const process::WorkerStart&) {
  return 1;
}

}  // namespace

void init(int argc, char** argv) {
  process::init_zygote_if_marked(argc, argv, &serve_worker);
}

Runtime Runtime::start(const StartOptions& options) {
  if (!process::initialised()) {
    refuse(
        "mobula::init(argc, argv) was not called; make it the first line of main (worker processes are this program "
        "executed again, and init is where they begin)");
  }
  if (options.workers && *options.workers < 0) {
    refuse(fmt::format("workers = {}; give the number of worker slots, or 0 to run everything in this process",
                       *options.workers));
  }
  if (options.workers.value_or(1) == 0 && options.address.empty()) {
    return Runtime(*client::InProcessCore::start(), true);
  }
  refuse("worker processes are not linked into this program");
}

}  // namespace mobula
