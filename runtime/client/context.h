// Which runtime a thread belongs to: what Runtime::current() and stop_token() look at.
#pragma once

#include <mobula/detail/core.h>

#include "runtime/client/core_base.h"

namespace mobula::client {

// Set while a thread runs a task or an actor call; the previous context comes back at the end.
class TaskScope {
 public:
  TaskScope(detail::Core* core, const detail::StopFlag* stop);
  ~TaskScope();
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  // The core whose task this thread runs, or null.
  static detail::Core* core();
  static const detail::StopFlag* stop();

 private:
  detail::Core* previous_core_;
  const detail::StopFlag* previous_stop_;
};

// The runtimes that this process has started and not yet ended, told of its forks. Any thread.
void register_core(CoreBase* core);
void unregister_core(CoreBase* core);

}  // namespace mobula::client
