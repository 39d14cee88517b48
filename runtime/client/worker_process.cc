#include "runtime/client/worker_process.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <mobula/detail/registry.h>

#include "runtime/base/memory.h"
#include "runtime/client/arena_object.h"
#include "runtime/client/context.h"
#include "runtime/client/failure.h"
#include "runtime/daemon/worker_setup.h"
#include "runtime/process/crash.h"
#include "runtime/process/modules.h"
#include "runtime/process/output.h"

namespace mobula::client {
namespace {

// How long the second thread stays away from the lanes of a busy worker.
constexpr Duration look_every = std::chrono::milliseconds(5);
// A task keeps an idle worker just long enough for a loop of calls: its siblings wait for the same cpus.
constexpr Duration nested_lease_keep = std::chrono::milliseconds(1);
// Calls of one actor on their way in one thread, unless it says otherwise.
constexpr std::uint32_t coroutines_at_once = 1000;
// Calls that wait here for their concurrency group; further ones wait in their lanes.
constexpr std::size_t most_parked = 256;

}  // namespace

int WorkerProcess::main(const process::WorkerStart& start) {
  try {
    const daemon::WorkerSetup told = daemon::read_worker_setup(start);
    // Both live as long as the process: it ends by _exit, and other threads may still use them then.
    auto* segment = new net::Segment(told.segment);
    process::install_crash_handler(segment->crash_area(start.slot));
    segment->set_pid({start.slot, start.generation}, getpid());
    const ProcessSetup setup{
        .node = told.node,
        .node_name = told.node_name,
        .node_pid = told.node_pid,
        .segment = segment,
        .self = {start.slot, start.generation},
        .arena = std::make_shared<object::Arena>(told.arena, start.slot),
        // Named as its node was asked for it: the file may have come from another machine and lie elsewhere here.
        .program = {std::string(process::program_name()), fmt::format("{:016x}", process::build_id_of_program())},
        .cpus = 0,
        .idle_lease_keep = nested_lease_keep};
    auto* worker = new WorkerProcess(setup);
    register_core(worker);
    worker->serve();
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "mobula worker (pid %d) cannot start: %s\n", getpid(), e.what());
    return 1;
  }
}

WorkerProcess::WorkerProcess(const ProcessSetup& setup)
    : ProcessCore(setup),
      pid_(getpid()),
      worker_(self_, setup.node_name, pid_, *owner_, static_cast<WorkerSink&>(*this)),
      environment_(setup.node_pid) {}

void WorkerProcess::serve() {
  Lock lock(mutex_);
  while (!exit_ || !transport_->idle()) {
    if (destroy_) destroy_instance(lock);
    if (!resumable_.empty()) {
      CallRun* const run = resumable_.front();
      resumable_.pop_front();
      resume(lock, *run);
      continue;
    }
    if (!pumping_) {
      read_lanes();
      // An actor that ended just now goes before the next one is made in its place, which may be asked for already.
      if (destroy_ || !resumable_.empty()) continue;
    }
    if (!parked_.empty()) unpark(lock);
    if (worker_.ready() && !exit_ && parked_.size() < most_parked && !pumping_) {
      if (const auto call = endpoint_->take_call()) {
        take(lock, *call);
        continue;
      }
    }
    if (destroy_ || (exit_ && transport_->idle())) continue;
    const bool wanted = worker_.ready() && parked_.size() < most_parked;
    if (concurrent_) calls_wanted_ = wanted;
    pump(lock, never, wanted ? net::Endpoint::Interest::messages_and_calls : net::Endpoint::Interest::messages);
    calls_wanted_ = false;
  }
}

void WorkerProcess::take(Lock& lock, const net::Call& lane) {
  const Result<wire::CallFrame> frame = wire::parse_call(lane.frame);
  if (!frame) return endpoint_->finish_call(lane);
  if (worker_.room(frame->header)) return start(lock, lane, *frame);
  parked_.push_back(lane);
}

void WorkerProcess::unpark(Lock& lock) {
  for (std::size_t i = 0; i < parked_.size();) {
    const net::Call lane = parked_[i];
    const Result<wire::CallFrame> frame = wire::parse_call(lane.frame);
    if (!worker_.room(frame->header)) {
      ++i;
      continue;
    }
    parked_.erase(parked_.begin() + static_cast<std::ptrdiff_t>(i));
    start(lock, lane, *frame);
    i = 0;  // the lock was given up in between
  }
}

void WorkerProcess::start(Lock& lock, const net::Call& lane, const wire::CallFrame& frame) {
  RunningCall* const call = worker_.accept(frame.header, now_);
  if (call == nullptr) return endpoint_->finish_call(lane);
  if (free_runs_.empty()) {
    CallRun* const made = runs_.emplace_back(std::make_unique<CallRun>(*this)).get();
    made->stop.segment = segment_;
    made->stop.slot = self_.slot;
    free_runs_.push_back(made);
  }
  CallRun& run = *free_runs_.back();
  free_runs_.pop_back();
  run.began = now_;
  segment_->set_running({self_.slot, self_.generation}, ++running_, run.began.time_since_epoch().count());
  call->shell = &run;
  run.call = call;
  run.lane = lane;
  run.in_lane = true;
  run.frame = frame;
  run.stop.flag = false;
  run.stop.key = Transport::stop_key(lane.lane, lane.position);
  run.stop.key_alone = Transport::stop_key(lane.lane, lane.position, false);
  run.outcome.clear();
  run.entry = detail::find_function({frame.header.function.module, frame.header.function.offset});
  const bool plain = run.entry != nullptr && !run.entry->coroutine && frame.header.kind == wire::CallKind::actor_call;
  if (threads_wanted_ == 0 || !plain) {
    execute(lock, run);
    return;
  }
  handed_out_.push_back(&run);
  if (idle_threads_ < handed_out_.size() && pool_.size() < threads_wanted_) {
    pool_.emplace_back([this] { pool_thread(); });
  }
  handed_out_wake_.notify_one();
}

void WorkerProcess::pool_thread() {
  Lock lock(mutex_);
  while (!exit_) {
    if (handed_out_.empty()) {
      ++idle_threads_;
      handed_out_wake_.wait(lock);
      --idle_threads_;
      continue;
    }
    CallRun* const run = handed_out_.front();
    handed_out_.pop_front();
    execute(lock, *run);
    call_room_changed();
  }
}

// A thread of the pool has ended a call: the first thread may have to take another one, to unpark one, or to end.
void WorkerProcess::call_room_changed() {
  round_ended_.notify_all();
  if (pumping_) endpoint_->wake();
}

void WorkerProcess::fail(Outcome& outcome, const Error& error) {
  Bytes bytes = wire::encode_error(error);
  if (bytes.size() > detail::inline_limit) bytes = wire::encode_error(shortened(error));
  outcome.kind = wire::ReplyKind::error;
  outcome.payload.assign(bytes.data(), bytes.data() + bytes.size());
}

void WorkerProcess::execute(Lock& lock, CallRun& run) {
  if (background_.joinable()) note_activity();
  if (prepare(lock, run)) {
    enter(lock, run, false);
  }
  leave_or_wait(lock, run);
}

bool WorkerProcess::prepare(Lock& lock, CallRun& run) {
  const wire::CallHeader& header = run.call->header;
  run.info = {.name = {},
              .metadata = nullptr,
              .node = node_name_,
              .attempt = static_cast<int>(header.attempt),
              .incarnation = header.kind == wire::CallKind::task ? 0 : static_cast<int>(header.incarnation)};
  if (run.entry == nullptr) {
    fail(run.outcome, {.code = ErrorCode::build_mismatch,
                       .message = "the worker's program has no " + to_string(header.function) +
                                  "; caller and worker must be the same build",
                       .node = node_name_,
                       .pid = pid_,
                       .attempt = static_cast<std::int32_t>(header.attempt)});
    return false;
  }
  run.info.name = run.entry->name;
  run.args = run.frame.args;
  if ((header.flags & has_extras) != 0) {
    try {
      const auto prefix = cut_extras(run.args);
      if (!extras_ || !std::ranges::equal(prefix, extras_bytes_)) {
        extras_ = std::make_shared<const CallExtras>(decode_extras(prefix));
        extras_bytes_.assign(prefix.begin(), prefix.end());
      }
    } catch (const TaskError& e) {
      fail(run.outcome, e.error());
      return false;
    }
    run.extras = extras_;
    if (!run.extras->name.empty() && header.kind != wire::CallKind::actor_create) run.info.name = run.extras->name;
    run.info.metadata = &run.extras->metadata;
    if (header.kind != wire::CallKind::actor_call && run.extras->surroundings.any()) {
      if (const Result<void> entered = environment_.enter(run.extras->surroundings); !entered) {
        Error error = entered.error();
        error.task = std::string(run.info.name);
        error.node = node_name_;
        error.pid = pid_;
        error.attempt = run.info.attempt;
        fail(run.outcome, error);
        return false;
      }
    }
  }
  publish_name(*run.entry);
  run.dependency_values.clear();
  for (std::uint32_t i = 0; i < header.deps; ++i) {
    std::optional<wire::ObjectLocation> lost;
    Result<detail::Bytes> bytes = dependency(lock, run.frame.next_dependency(), lost);
    if (!bytes && lost) {
      const Bytes place = wire::encode_location(*lost);
      run.outcome.kind = wire::ReplyKind::argument_lost;
      run.outcome.payload.assign(place.data(), place.data() + place.size());
      run.call->items = i;
      return false;
    }
    if (!bytes) {
      fail(
          run.outcome,
          error_of_dependency(
              {.task = run.info.name, .node = node_name_, .pid = getpid(), .attempt = static_cast<int>(header.attempt)},
              bytes.error()));
      return false;
    }
    run.dependency_values.push_back(*std::move(bytes));
  }
  run.dependencies = run.dependency_values;
  run.instance = instance_;
  run.destroy = nullptr;
  run.finish = &WorkerProcess::take_result;
  run.part = &WorkerProcess::take_part;
  run.item = &WorkerProcess::take_item;
  return true;
}

void WorkerProcess::run_function(CallRun& run) {
  const std::uint8_t flags = run.call->header.flags;
  if ((flags & wire::call_saves) != 0) return run.entry->save(run);
  if ((flags & wire::call_restores) == 0) return run.entry->run(run);
  const detail::Bytes state = run.dependency_values.back();
  run.dependencies = std::span(run.dependency_values).first(run.dependency_values.size() - 1);
  run.entry->run(run);
  try {
    run.entry->load(run, state);
  } catch (...) {
    run.destroy(std::exchange(run.instance, nullptr));
    throw;
  }
}

// Runs code of the user's: the function, or the coroutine from where it waits.
void WorkerProcess::enter(Lock& lock, CallRun& run, bool again) {
  lock.unlock();
  const std::uint64_t memory = environment_.limit_memory();
  try {
    const TaskScope scope({.core = this, .stop = &run.stop, .info = &run.info, .run = &run});
    if (again) {
      std::exchange(run.waiting, nullptr).resume();
      if (run.suspended->done()) run.suspended->finish(run);
    } else {
      run_function(run);
    }
    if (memory != 0) environment_.lift_limit();
  } catch (...) {
    if (memory != 0) environment_.lift_limit();
    const Error error = error_of_current_exception({.task = run.info.name,
                                                    .node = node_name_,
                                                    .pid = getpid(),
                                                    .attempt = run.info.attempt,
                                                    .memory_limit = memory});
    run.outcome.kind = wire::ReplyKind::error;
    run.outcome.flags = retry_flags(run, error);
    fail(run.outcome, error);
  }
  if (forked_) {  // a child forked by the task, and come back from it: its parent answers
    std::fflush(nullptr);
    _exit(0);
  }
  process::flush_output();
  lock.lock();
}

std::uint8_t WorkerProcess::retry_flags(const CallRun& run, const Error& error) const {
  if (!run.extras || run.extras->retry_on == RetryOn::deaths) return 0;
  if (run.extras->retry_on == RetryOn::exceptions) return wire::reply_may_retry;
  const auto* test = detail::find_function({run.extras->retry_module, run.extras->retry_offset});
  if (test == nullptr) return 0;
  try {
    return reinterpret_cast<bool (*)(const Error&)>(test->target)(error) ? wire::reply_may_retry : std::uint8_t{0};
  } catch (...) {
    return 0;  // a test that fails says nothing for another attempt
  }
}

void WorkerProcess::leave_or_wait(Lock& lock, CallRun& run) {
  const bool failed = run.outcome.kind == wire::ReplyKind::error;
  if (run.suspended && !failed && !run.suspended->done()) {
    give_back_lane(run);
    // The caller's memory for its stop flag goes with the lane: from here on only messages tell.
    if (run.stop.raised_with_children() || run.stop.raised_alone()) run.stop.flag = true;
    if (run.waiting) {
      run.blocked = true;
      worker_.block(*run.call);
      if (run.waits_for) worker_.wait_begins(*run.call, run.waits_for, false, steady_now());
      return;
    }
    fail(run.outcome,
         {.code = ErrorCode::invalid,
          .message = "a coroutine stopped at something that is no mobula::Ref and no mobula::Task, so that "
                     "nothing would ever resume it",
          .task = std::string(run.info.name),
          .node = node_name_,
          .pid = pid_,
          .attempt = run.info.attempt});
  }
  if (run.suspended) {
    // Frames of the user's end outside of the mutex.
    lock.unlock();
    {
      const TaskScope scope({.core = this, .stop = &run.stop, .info = &run.info, .run = &run});
      run.suspended.reset();
    }
    lock.lock();
  }
  finish(run);
}

void WorkerProcess::resume(Lock& lock, CallRun& run) {
  worker_.wait_ends(*run.call);
  if (std::exchange(run.blocked, false)) worker_.unblock(*run.call);
  if (!concurrent_) owner_->set_context(run.call->header.depth + 1, run.call->number);
  enter(lock, run, true);
  leave_or_wait(lock, run);
}

bool WorkerProcess::resume_when_ready(detail::Slot ref, std::coroutine_handle<> waiting) {
  const Context& context = TaskScope::now();
  if (context.core != this || context.run == nullptr) return false;
  auto& run = *static_cast<CallRun*>(context.run);
  if (run.entry == nullptr || !run.entry->coroutine) return false;
  const Lock lock(mutex_);
  const RefHandle handle = handle_of(ref);
  if (run.stop.raised() || closed_ || forked_) return false;
  if (owner_->view(handle).state == RefState::pending) {
    owner_->watch(handle);
  } else if (!owner_->localize(handle)) {
    return false;
  }
  run.waiting = waiting;
  run.waits_for = handle;
  awaiting_.emplace(handle, &run);
  note_activity();
  return true;
}

void* WorkerProcess::suspend(std::coroutine_handle<> waiting, detail::Deadline deadline) {
  const Context& context = TaskScope::now();
  if (context.core != this || context.run == nullptr) return nullptr;
  auto& run = *static_cast<CallRun*>(context.run);
  if (run.entry == nullptr || !run.entry->coroutine) return nullptr;
  const Lock lock(mutex_);
  if (run.stop.raised() || closed_ || forked_) return nullptr;
  run.waiting = waiting;
  run.waits_for = {};
  run.sleeps_until = deadline;
  sleeping_.emplace(run.sleeps_until, &run);
  return &run;
}

void WorkerProcess::wake(void* call) {
  const Lock lock(mutex_);
  wake_coroutine(*static_cast<CallRun*>(call));
}

Time WorkerProcess::next_own_timer() const {
  return sleeping_.empty() ? worker_.next_timer() : std::min(worker_.next_timer(), sleeping_.begin()->first);
}

void WorkerProcess::on_own_timer() {
  worker_.on_timer(now_);
  while (!sleeping_.empty() && sleeping_.begin()->first <= now_) wake_coroutine(*sleeping_.begin()->second);
}

void WorkerProcess::ready(RefHandle ref) {
  ProcessCore::ready(ref);
  if (awaiting_.empty()) return;
  const auto [first, last] = awaiting_.equal_range(ref);
  for (auto it = first; it != last; ++it) resumable_.push_back(it->second);
  awaiting_.erase(first, last);
}

void WorkerProcess::raise_stop(RunningCall& call) {
  auto* const run = static_cast<CallRun*>(call.shell);
  if (run == nullptr) return;
  run->stop.flag = true;
  wake_coroutine(*run);  // to find that it was cancelled
}

void WorkerProcess::wake_coroutine(CallRun& run) {
  if (sleeping_.erase({run.sleeps_until, &run}) > 0) {
    resumable_.push_back(&run);
    return;
  }
  const auto found = std::ranges::find_if(awaiting_, [&](const auto& one) { return one.second == &run; });
  if (found == awaiting_.end()) return;
  awaiting_.erase(found);
  resumable_.push_back(&run);
}

void WorkerProcess::give_back_lane(CallRun& run) {
  if (!std::exchange(run.in_lane, false)) return;
  run.dependency_values.clear();
  run.dependencies = {};
  run.args = {};
  endpoint_->finish_call(run.lane);
}

void WorkerProcess::finish(CallRun& run) {
  if (background_.joinable()) note_activity();
  const wire::CallKind kind = run.call->header.kind;
  const bool made = kind == wire::CallKind::actor_create && run.outcome.kind == wire::ReplyKind::value_inline;
  if (kind == wire::CallKind::actor_create) {
    instance_ = run.instance;
    destroy_instance_ = run.destroy;
    if (made) adopt_manners(run);
  }
  if (kind != wire::CallKind::actor_call && !made) environment_.leave();
  // The message that says so may still be on its way.
  if (run.stop.raised_with_children()) {
    worker_.stop(*run.call, true, now_);
  } else if (run.stop.raised_alone()) {
    worker_.stop(*run.call, false, now_);
  }
  if (run.extras && kind == wire::CallKind::task) {
    const CallExtras& extras = *run.extras;
    if ((extras.max_calls != 0 && ++counted_calls_[run.entry] >= extras.max_calls) ||
        (extras.max_worker_memory != 0 && private_memory(pid_) > extras.max_worker_memory)) {
      worker_.recycle(*run.call);
    }
  }
  if (std::exchange(run.deadlock, std::nullopt)) {
    interrupted_ = std::ranges::any_of(runs_, [](const auto& other) { return other->deadlock.has_value(); });
  }
  run.call->shell = nullptr;
  const Time ended = steady_now();
  if (segment_->tracing()) trace(run, ended);
  segment_->set_running({self_.slot, self_.generation}, --running_, ended.time_since_epoch().count());
  worker_.finish(*run.call, run.outcome.kind, run.outcome.payload, run.outcome.contained, ended, run.outcome.flags);
  for (const RefHandle ref : run.outcome.contained) owner_->release(ref, now_);
  run.outcome.contained.clear();
  run.dependency_values.clear();
  if (std::exchange(run.in_lane, false)) endpoint_->finish_call(run.lane);
  run.extras.reset();
  run.call = nullptr;
  free_runs_.push_back(&run);
}

void WorkerProcess::trace(const CallRun& run, Time ended) {
  net::Segment::TraceEvent event;
  event.begin = run.began.time_since_epoch().count();
  event.end = ended.time_since_epoch().count();
  event.pid = pid_;
  event.attempt = run.call->header.attempt;
  const std::string_view name = run.info.name;
  std::memcpy(event.name, name.data(), std::min(name.size(), sizeof(event.name) - 1));
  segment_->trace({self_.slot, self_.generation}, event);
}

void WorkerProcess::adopt_manners(CallRun& run) {
  ActorManners manners{.max_concurrency = coroutines_at_once, .groups = {}, .holds_cpu = true};
  manners.holds_cpu = (run.call->header.flags & lends_nothing) == 0;
  threads_wanted_ = 0;
  if (run.extras) {
    const CallExtras& extras = *run.extras;
    if (extras.max_concurrency != 0) manners.max_concurrency = extras.max_concurrency;
    if (extras.max_concurrency > 1 || !extras.concurrency_groups.empty()) {
      threads_wanted_ = std::max(1u, extras.max_concurrency);
    }
    // Without a number of its own the default group is one thread beside those of the others.
    if (!extras.concurrency_groups.empty() && extras.max_concurrency == 0) manners.max_concurrency = 1;
    for (const auto& [name, at_once] : extras.concurrency_groups) {
      manners.groups[group_number(name)] = at_once;
      threads_wanted_ += at_once;
    }
  }
  if ((run.call->header.flags & wire::call_logged) != 0) manners.max_concurrency = 1;
  worker_.set_manners(manners);
  concurrent_ = true;
}

void WorkerProcess::keep_contained(CallRun& run, const detail::Encoded& value) {
  if (value.contained.empty() && value.contained_actors.empty()) return;
  const Lock lock(mutex_);
  for (const auto slots : {value.contained, value.contained_actors}) {
    for (const detail::Slot slot : slots) {
      owner_->retain(handle_of(slot));
      run.outcome.contained.push_back(handle_of(slot));
    }
  }
}

void WorkerProcess::take_result(detail::Invocation& in, const detail::Encoded& result) {
  auto& self = static_cast<WorkerProcess&>(in.core);
  CallRun& run = static_cast<CallRun&>(in);
  Outcome& outcome = run.outcome;
  if (outcome.kind == wire::ReplyKind::values) return;  // its parts are there
  if (result.object) {
    const wire::ObjectLocation location = on_node(self.self_.node, static_cast<ArenaObject&>(*result.object).give());
    const Bytes bytes = wire::encode_location(location);
    outcome.kind = wire::ReplyKind::value_object;
    outcome.payload.assign(bytes.data(), bytes.data() + bytes.size());
  } else {
    outcome.payload.assign(result.bytes.begin(), result.bytes.end());
  }
  self.keep_contained(run, result);
}

void WorkerProcess::take_part(detail::Invocation& in, const detail::Encoded& value) {
  auto& self = static_cast<WorkerProcess&>(in.core);
  CallRun& run = static_cast<CallRun&>(in);
  run.outcome.kind = wire::ReplyKind::values;
  const auto contained = static_cast<std::uint32_t>(value.contained.size() + value.contained_actors.size());
  std::shared_ptr<detail::Object> object = value.object;
  if (!object && run.outcome.payload.size() + value.bytes.size() > detail::inline_limit) {
    // Small ones that are large together do not fit one message.
    object = self.allocate(value.bytes.size());
    std::ranges::copy(value.bytes, object->data());
  }
  if (object) {
    const Bytes place = wire::encode_location(on_node(self.self_.node, static_cast<ArenaObject&>(*object).give()));
    wire::append_part(run.outcome.payload, {true, contained, place});
  } else {
    wire::append_part(run.outcome.payload, {false, contained, value.bytes});
  }
  self.keep_contained(run, value);
}

bool WorkerProcess::take_item(detail::Invocation& in, const detail::Encoded& value) {
  auto& self = static_cast<WorkerProcess&>(in.core);
  CallRun& run = static_cast<CallRun&>(in);
  const std::uint32_t window = run.extras ? run.extras->window : CallExtras::default_window;
  Bytes place;
  if (value.object) {
    place = wire::encode_location(on_node(self.self_.node, static_cast<ArenaObject&>(*value.object).give()));
  }
  Lock lock(self.mutex_);
  RunningCall& call = *run.call;
  self.wait_until(lock, never, {}, [&] { return run.stop.raised() || call.items < call.consumed + window; });
  if (run.stop.raised()) {
    if (value.object) self.arena_->free(in_arena(*wire::decode_location(place)));
    return false;
  }
  std::vector<RefHandle> contained;
  for (const auto slots : {value.contained, value.contained_actors}) {
    for (const detail::Slot slot : slots) contained.push_back(handle_of(slot));
  }
  if (value.object) {
    self.worker_.item(call, wire::ReplyKind::item_object, place, contained);
  } else {
    self.worker_.item(call, wire::ReplyKind::item_inline, value.bytes, contained);
  }
  return true;
}

void WorkerProcess::exit_actor() {
  const Lock lock(mutex_);
  worker_.exit_actor(*static_cast<CallRun*>(TaskScope::now().run)->call);
}

void WorkerProcess::enter_context() {
  const Context& context = TaskScope::now();
  if (context.core == this && context.run != nullptr) {
    const RunningCall& call = *static_cast<CallRun*>(context.run)->call;
    owner_->set_context(call.header.depth + 1, call.number);
  } else {
    owner_->set_context(1, 0);
  }
}

Result<detail::Bytes> WorkerProcess::dependency(Lock& lock, const wire::Dependency& dep,
                                                std::optional<wire::ObjectLocation>& lost) {
  if (dep.kind == wire::DependencyKind::inline_value) return detail::Bytes{.span = dep.bytes, .keep = nullptr};
  if (dep.kind == wire::DependencyKind::error) return wire::decode_error(dep.bytes);
  Result<wire::ObjectLocation> location = wire::decode_location(dep.bytes);
  if (!location) return location.error();
  if (location->node != self_.node) {
    const Result<wire::ObjectLocation> here = pull(lock, dep.ref, *location, never);
    if (!here.ok()) {
      if (here.error().code == ErrorCode::object_lost) lost = *location;
      return here.error();
    }
    location = *here;
  }
  Result<detail::Bytes> bytes = read_object(lock, dep.ref, *location, never);
  if (!bytes && bytes.error().code == ErrorCode::object_lost) lost = *wire::decode_location(dep.bytes);
  return bytes;
}

void WorkerProcess::destroy_instance(Lock& lock) {
  destroy_ = false;
  concurrent_ = false;
  threads_wanted_ = 0;
  if (instance_ == nullptr) return environment_.leave();
  void* const instance = std::exchange(instance_, nullptr);
  lock.unlock();
  {
    const TaskScope scope({.core = this, .stop = nullptr, .info = nullptr, .run = nullptr});
    destroy_instance_(instance);
    environment_.leave();
  }
  lock.lock();
}

std::shared_ptr<detail::Object> WorkerProcess::allocate(std::size_t bytes) {
  environment_.allow_shared(bytes);
  return ProcessCore::allocate(bytes);
}

void WorkerProcess::publish_name(const detail::FunctionEntry& entry) {
  if (named_ == &entry) return;
  named_ = &entry;
  process::set_output_name(entry.name);
  segment_->set_task_name({self_.slot, self_.generation}, entry.name);
}

// Blocking inside a task gives its cpu to others. (Another thread of the user's code that waits changes nothing.)
void WorkerProcess::begin_blocking(Lock&, std::span<const RefHandle> on, std::size_t needed) {
  const Context& context = TaskScope::now();
  if (context.core != this || context.run == nullptr) return;
  RunningCall& call = *static_cast<CallRun*>(context.run)->call;
  worker_.block(call);
  if (!on.empty()) worker_.wait_begins(call, on, needed, threads_wanted_ == 0, steady_now());
}
void WorkerProcess::end_blocking(Lock&) {
  const Context& context = TaskScope::now();
  if (context.core != this || context.run == nullptr) return;
  RunningCall& call = *static_cast<CallRun*>(context.run)->call;
  worker_.wait_ends(call);
  worker_.unblock(call);
}

std::optional<Error> WorkerProcess::interruption() {
  const Context& context = TaskScope::now();
  if (context.core != this || context.run == nullptr) return std::nullopt;
  std::optional<Error> why = std::exchange(static_cast<CallRun*>(context.run)->deadlock, std::nullopt);
  if (why) {
    interrupted_ = std::ranges::any_of(runs_, [](const auto& run) { return run->deadlock.has_value(); });
  }
  return why;
}

void WorkerProcess::deadlock(RunningCall& call, Error&& why) {
  auto* const run = static_cast<CallRun*>(call.shell);
  if (run == nullptr) return;
  why.task = std::string(run->info.name);
  run->deadlock = std::move(why);
  interrupted_ = true;
  wake_coroutine(*run);
}

std::string WorkerProcess::name_of_call(const RunningCall& call) {
  const auto* const run = static_cast<const CallRun*>(call.shell);
  return run != nullptr ? std::string(run->info.name) : function_name(call.header.function);
}

void WorkerProcess::on_other_message(const ProcessId& from, const wire::Message& message) {
  worker_.on_message(from, message, now_);
}
void WorkerProcess::on_process_gone(const ProcessId& process) {
  worker_.on_process_died(process, now_);
}
void WorkerProcess::on_node_gone(NodeId node) {
  worker_.on_node_died(node, now_);
}
void WorkerProcess::after_input() {
  worker_.after_owner_step(now_);
}

void WorkerProcess::reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                          std::span<const RefId> contained) {
  if (wire::reply_size(header) <= transport_->largest_frame()) {
    transport_->send_reply(to, header, payload, contained);
    return;
  }
  // An answer that cannot be sent must not leave the caller waiting.
  const Bytes error = wire::encode_error(
      {.code = ErrorCode::invalid,
       .message = fmt::format("the result holds {} references, more than fit into one message; return them in several "
                              "results, or hold them in an actor",
                              contained.size()),
       .node = node_name_,
       .pid = pid_});
  wire::ReplyHeader refusal = header;
  refusal.kind = wire::ReplyKind::error;
  refusal.contained_refs = 0;
  refusal.bytes = static_cast<std::uint32_t>(error.size());
  transport_->send_reply(to, refusal, error, {});
}

void WorkerProcess::rouse_background() {
  if (background_.joinable()) {
    background_sleeps_ = false;
    background_wake_.notify_one();
  } else if (owner_->counts().owned > 0) {
    background_sleeps_ = false;
    background_ = std::thread([this] { look_after_lanes(); });
  }
}

void WorkerProcess::look_after_lanes() {
  Lock lock(mutex_);
  std::uint64_t seen = activity_;
  while (!exit_) {
    background_wake_.wait_for(lock, look_every);
    const bool quiet = activity_ == std::exchange(seen, activity_);
    if (pumping_ && quiet) {  // the process waits for calls, and reads its lanes itself
      background_sleeps_ = true;
      background_wake_.wait(lock, [this] { return !background_sleeps_; });
      continue;
    }
    if (pumping_ || !quiet) continue;
    // It computes: until it does something again, this thread reads.
    while (activity_ == seen && !pumping_ && !exit_) {
      background_pumping_ = true;
      pump(lock, never);
      background_pumping_ = false;
    }
  }
}

}  // namespace mobula::client
