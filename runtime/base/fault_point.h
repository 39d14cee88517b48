#pragma once

namespace mobula {

/// Where a test kills the process. Shared memory must stay sound when its writer dies between any two instructions,
/// which no simulator can show: the tests set this hook in a forked child, and the child kills itself at the point it
/// is told. Null outside tests; a point then costs one load and a branch that is never taken.
inline void (*fault_hook)(const char* point) = nullptr;

inline void fault_point(const char* point) {
  if (fault_hook != nullptr) [[unlikely]]
    fault_hook(point);
}

}  // namespace mobula
