#include "runtime/client/worker_process.h"

#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <utility>

#include <fmt/format.h>

#include <mobula/detail/registry.h>

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
        .segment = segment,
        .self = {start.slot, start.generation},
        .arena = std::make_shared<object::Arena>(told.arena, start.slot),
        .program = {process::program_path(), fmt::format("{:016x}", process::build_id_of_program())},
        .cpus = 0};
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
      worker_(self_, setup.node_name, pid_, *owner_, static_cast<WorkerSink&>(*this)) {
  stop_.segment = segment_;
  stop_.slot = self_.slot;
}

void WorkerProcess::serve() {
  Lock lock(mutex_);
  while (!exit_ || !transport_->idle()) {
    if (destroy_) destroy_instance(lock);
    if (!pumping_) {
      read_lanes();
      if (worker_.ready() && !exit_) {
        if (const auto call = endpoint_->take_call()) {
          run(lock, *call);
          continue;
        }
      }
    }
    if (destroy_ || (exit_ && transport_->idle())) continue;
    pump(lock, never,
         worker_.ready() ? net::Endpoint::Interest::messages_and_calls : net::Endpoint::Interest::messages);
  }
}

void WorkerProcess::run(Lock& lock, const net::Call& call) {
  Result<wire::CallFrame> frame = wire::parse_call(call.frame);
  if (frame && worker_.accept(frame->header, now_)) {
    stop_.flag = false;
    stop_.key = Transport::stop_key(call.lane, call.position);
    if (background_.joinable()) note_activity();
    Outcome outcome;
    execute(lock, *frame, outcome);
    if (background_.joinable()) note_activity();
    if (stop_.raised()) worker_.stop(now_);  // the message that says so may still be on its way
    worker_.finish(outcome.kind, outcome.payload, outcome.contained, steady_now());
    for (const RefHandle ref : outcome.contained) owner_->release(ref, now_);
  }
  endpoint_->finish_call(call);
}

void WorkerProcess::fail(Outcome& outcome, const Error& error) {
  Bytes bytes = wire::encode_error(error);
  if (bytes.size() > detail::inline_limit) bytes = wire::encode_error(shortened(error));
  outcome.kind = wire::ReplyKind::error;
  outcome.payload.assign(bytes.data(), bytes.data() + bytes.size());
}

void WorkerProcess::execute(Lock& lock, wire::CallFrame& frame, Outcome& outcome) {
  const wire::CallHeader& header = frame.header;
  const auto* entry = detail::find_function({header.function.module, header.function.offset});
  if (entry == nullptr) {
    return fail(outcome, {.code = ErrorCode::build_mismatch,
                          .message = "the worker's program has no " + to_string(header.function) +
                                     "; caller and worker must be the same build",
                          .node = node_name_,
                          .pid = pid_,
                          .attempt = static_cast<std::int32_t>(header.attempt)});
  }
  const Where where{
      .task = entry->name, .node = node_name_, .pid = getpid(), .attempt = static_cast<int>(header.attempt)};
  publish_name(*entry);
  dependencies_.clear();
  for (std::uint32_t i = 0; i < header.deps; ++i) {
    Result<detail::Bytes> bytes = dependency(lock, frame.next_dependency());
    if (!bytes) return fail(outcome, error_of_dependency(where, bytes.error()));
    dependencies_.push_back(*std::move(bytes));
  }
  detail::Invocation in{.core = *this,
                        .args = frame.args,
                        .dependencies = dependencies_,
                        .instance = instance_,
                        .destroy = nullptr,
                        .finish = &WorkerProcess::take_result};
  outcome_ = &outcome;
  lock.unlock();
  try {
    const TaskScope scope(this, &stop_);
    entry->run(in);
  } catch (...) {
    outcome.contained.clear();
    fail(outcome, error_of_current_exception(where));
  }
  if (forked_) {  // a child forked by the task, and come back from it: its parent answers
    std::fflush(nullptr);
    _exit(0);
  }
  process::flush_output();
  lock.lock();
  outcome_ = nullptr;
  dependencies_.clear();
  if (header.kind == wire::CallKind::actor_create) {
    instance_ = in.instance;
    destroy_instance_ = in.destroy;
  }
}

void WorkerProcess::take_result(detail::Invocation& in, const detail::Encoded& result) {
  auto& self = static_cast<WorkerProcess&>(in.core);
  Outcome& outcome = *self.outcome_;
  if (result.object) {
    const wire::ObjectLocation location = on_node(self.self_.node, static_cast<ArenaObject&>(*result.object).give());
    const Bytes bytes = wire::encode_location(location);
    outcome.kind = wire::ReplyKind::value_object;
    outcome.payload.assign(bytes.data(), bytes.data() + bytes.size());
  } else {
    outcome.payload.assign(result.bytes.begin(), result.bytes.end());
  }
  if (result.contained.empty() && result.contained_actors.empty()) return;
  const Lock lock(self.mutex_);
  for (const auto slots : {result.contained, result.contained_actors}) {
    for (const detail::Slot slot : slots) {
      self.owner_->retain(handle_of(slot));
      outcome.contained.push_back(handle_of(slot));
    }
  }
}

Result<detail::Bytes> WorkerProcess::dependency(Lock& lock, const wire::Dependency& dep) {
  if (dep.kind == wire::DependencyKind::inline_value) return detail::Bytes{.span = dep.bytes, .keep = nullptr};
  if (dep.kind == wire::DependencyKind::error) return wire::decode_error(dep.bytes);
  Result<wire::ObjectLocation> location = wire::decode_location(dep.bytes);
  if (!location) return location.error();
  if (location->node != self_.node) {
    ProcessCore::send(node_process(self_.node), wire::PullObject{dep.ref, *location});
    const auto here = [&] { return arrived_.contains(*location); };
    while (!here()) pump(lock, never);
    const wire::ObjectHere arrived = std::move(arrived_.extract(*location).mapped());
    if (arrived.error.code != ErrorCode::none) return arrived.error;
    *location = arrived.local;
  }
  return pin_object(arena_, in_arena(*location));
}

void WorkerProcess::destroy_instance(Lock& lock) {
  destroy_ = false;
  if (instance_ == nullptr) return;
  void* const instance = std::exchange(instance_, nullptr);
  lock.unlock();
  {
    const TaskScope scope(this, nullptr);
    destroy_instance_(instance);
  }
  lock.lock();
}

void WorkerProcess::publish_name(const detail::FunctionEntry& entry) {
  if (named_ == &entry) return;
  named_ = &entry;
  process::set_output_name(entry.name);
  segment_->set_task_name({self_.slot, self_.generation}, entry.name);
}

// Blocking inside a task gives its cpu to others. (Another thread of the user's code that waits changes nothing.)
void WorkerProcess::begin_blocking(Lock&) {
  if (TaskScope::core() == this && worker_.running()) worker_.block();
}
void WorkerProcess::end_blocking(Lock&) {
  if (TaskScope::core() == this && worker_.running()) worker_.unblock();
}

void WorkerProcess::on_other_message(const ProcessId& from, const wire::Message& message) {
  if (const auto* here = std::get_if<wire::ObjectHere>(&message)) {
    arrived_[here->location] = *here;
    return;
  }
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
