#include "runtime/client/context.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include <mobula/runtime.h>

namespace mobula {
namespace client {
namespace {

thread_local detail::Core* current = nullptr;
thread_local const detail::StopFlag* current_stop = nullptr;

struct Cores {
  std::mutex mutex;
  std::vector<CoreBase*> running;  // guarded by mutex
};
Cores& cores() {
  static Cores* const all = new Cores;  // handles may be dropped by destructors of globals
  return *all;
}

// A fork takes every lock along, so that the child finds none that was held by a thread it does not have.
void before_fork() {
  cores().mutex.lock();
  for (CoreBase* core : cores().running) core->before_fork();
}
void after_fork_in_parent() {
  for (CoreBase* core : cores().running) core->after_fork_in_parent();
  cores().mutex.unlock();
}
void after_fork_in_child() {
  for (CoreBase* core : cores().running) core->after_fork_in_child();
  std::erase_if(cores().running, [](const CoreBase* core) { return core->forked(); });
  cores().mutex.unlock();
}

}  // namespace

TaskScope::TaskScope(detail::Core* core, const detail::StopFlag* stop)
    : previous_core_(current), previous_stop_(current_stop) {
  current = core;
  current_stop = stop;
}
TaskScope::~TaskScope() {
  current = previous_core_;
  current_stop = previous_stop_;
}
detail::Core* TaskScope::core() {
  return current;
}
const detail::StopFlag* TaskScope::stop() {
  return current_stop;
}

void register_core(CoreBase* core) {
  [[maybe_unused]] static const int hooked = pthread_atfork(&before_fork, &after_fork_in_parent, &after_fork_in_child);
  std::lock_guard lock(cores().mutex);
  cores().running.push_back(core);
}
void unregister_core(CoreBase* core) {
  std::lock_guard lock(cores().mutex);
  std::erase(cores().running, core);
}

}  // namespace client

namespace detail {

Core* current_core_or_null() {
  if (Core* core = client::TaskScope::core()) return core;
  std::lock_guard lock(client::cores().mutex);
  return client::cores().running.size() == 1 ? client::cores().running.front() : nullptr;
}

Core& current_core() {
  if (Core* core = current_core_or_null()) return *core;
  throw TaskError({.code = ErrorCode::invalid,
                   .message =
                       "Runtime::current() outside of a task needs exactly one runtime in this process; start one "
                       "with Runtime::start(), or pass the Runtime that is meant"});
}

}  // namespace detail

StopToken stop_token() {
  return StopToken(client::TaskScope::stop());
}

}  // namespace mobula
