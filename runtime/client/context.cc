#include "runtime/client/context.h"

#include <pthread.h>

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <mobula/runtime.h>

namespace mobula {
namespace client {
namespace {

thread_local Context current;

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

TaskScope::TaskScope(const Context& context) : previous_(std::exchange(current, context)) {}
TaskScope::~TaskScope() {
  current = previous_;
}
const Context& TaskScope::now() {
  return current;
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

bool detail::stop_requested_here() {
  const StopFlag* const stop = client::TaskScope::now().stop;
  return stop != nullptr && stop->raised();
}

StopToken stop_token() {
  return StopToken(client::TaskScope::now().stop);
}

TaskInfo this_task() {
  const detail::CallInfo* const info = client::TaskScope::now().info;
  if (info == nullptr) return {};
  return {.name = std::string(info->name),
          .metadata = info->metadata != nullptr ? *info->metadata : std::map<std::string, std::string>(),
          .node = std::string(info->node),
          .attempt = info->attempt,
          .incarnation = info->incarnation};
}

void exit_actor() {
  const client::Context& context = client::TaskScope::now();
  if (context.core == nullptr || context.info == nullptr || context.info->incarnation == 0) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = "exit_actor() ends the actor whose method calls it; this thread runs no method of one. "
                                "From outside an actor is ended by rt.kill(actor), or with its last handle"});
  }
  context.core->exit_actor();
}

}  // namespace mobula
