#include <mobula/runtime.h>

#include <cstdlib>
#include <string>

#include <fmt/format.h>

#include "runtime/client/core_base.h"
#include "runtime/client/in_process.h"
#include "runtime/process/worker_start.h"

namespace mobula {
namespace client {

Error CoreBase::closed(const char* tried) const {
  if (forked_) {
    return {.code = ErrorCode::unavailable,
            .message = fmt::format("{}: this process was forked from one that has a runtime, which stays the parent's "
                                   "own; do this in the parent, or start a runtime here",
                                   tried)};
  }
  return {.code = ErrorCode::unavailable,
          .message =
              fmt::format("{}: the runtime it belongs to has been shut down; keep the Runtime object alive as long as "
                          "its Refs and Actors are used",
                          tried)};
}
void CoreBase::throw_closed(const char* tried) const {
  throw TaskError(closed(tried));
}

}  // namespace client

Runtime::~Runtime() {
  if (core_ != nullptr && owns_) core_->shutdown();
}

}  // namespace mobula
