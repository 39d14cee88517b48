#include <mobula/actor_pool.h>

namespace mobula::detail {

void pool_is_empty(bool work_waits) {
  throw TaskError({.code = work_waits ? ErrorCode::actor_died : ErrorCode::invalid,
                   .message = "the pool has no actors left: all have died, or were taken out; push() some"});
}

void pool_has_nothing() {
  throw TaskError({.code = ErrorCode::invalid,
                   .message = "get_next() of a pool to which nothing was submitted, or of which all was fetched: ask "
                              "has_next() first"});
}

}  // namespace mobula::detail
