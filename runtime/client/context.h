// Which runtime a thread belongs to: what Runtime::current() and stop_token() look at.
#pragma once

#include <mobula/detail/core.h>

#include "runtime/client/core_base.h"

namespace mobula::client {

// What a thread runs.
struct Context {
  detail::Core* core = nullptr;  // whose task or call it is; null: none
  const detail::StopFlag* stop = nullptr;
  const detail::CallInfo* info = nullptr;
  void* run = nullptr;  // the core's own
};

// Set while a thread runs a task or an actor call; the previous context comes back at the end.
class TaskScope {
 public:
  explicit TaskScope(const Context& context);
  ~TaskScope();
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;

  static const Context& now();
  // The core whose task this thread runs, or null.
  static detail::Core* core() { return now().core; }

 private:
  const Context previous_;
};

// The runtimes that this process has started and not yet ended, told of its forks. Any thread.
void register_core(CoreBase* core);
void unregister_core(CoreBase* core);

}  // namespace mobula::client
