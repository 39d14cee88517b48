#include "runtime/client/process_core.h"

#include <algorithm>
#include <bit>
#include <utility>

#include <fmt/format.h>

#include <mobula/detail/registry.h>

#include "runtime/client/arena_object.h"
#include "runtime/client/call_extras.h"
#include "runtime/client/request.h"
#include "runtime/daemon/frame.h"
#include "runtime/wire/codec.h"

namespace mobula::client {
namespace {

// Lanes are read every so many submissions, so that a program that only submits does not drown in answers.
constexpr Duration told_within = std::chrono::seconds(2);         // of a death, by the node
constexpr Duration looked_again = std::chrono::milliseconds(50);  // at what was built on a process known to be dead
constexpr std::uint32_t read_every = 32;
// Frames read with the mutex in one go.
constexpr std::size_t frames_a_round = 512;
// Options in use at one time, of which a program has few.
constexpr std::size_t most_known = 8;

// How long a value may wait for room in all, in steps in which the node makes some and others take it.
constexpr Duration room_patience = std::chrono::seconds(60);
// How often an object may be said to be where it was not found.
constexpr int most_unmoved = 3;

Error late() {
  return {.code = ErrorCode::timed_out, .message = "the value was not there within the time given; the task goes on"};
}

}  // namespace

ProcessCore::ProcessCore(const ProcessSetup& setup)
    : self_{setup.node, setup.self.slot, setup.self.generation},
      node_name_(setup.node_name),
      cpus_(setup.cpus),
      arena_(setup.arena),
      segment_(setup.segment) {
  endpoint_ = std::make_unique<net::Endpoint>(*segment_, setup.self);
  transport_ = std::make_unique<Transport>(setup.node, *endpoint_, *segment_);
  owner_ = std::make_unique<Owner>(self_,
                                   OwnerOptions{.program = setup.program,
                                                .node_name = setup.node_name,
                                                .job = setup.job,
                                                .idle_lease_keep = setup.idle_lease_keep,
                                                .lineage_bytes = setup.lineage_bytes},
                                   static_cast<OwnerSink&>(*this));
}

ProcessCore::~ProcessCore() = default;

void ProcessCore::after_fork_in_child() {
  forked_ = true;
  closed_ = true;
  mutex_.unlock();
}

// Submitting.

std::vector<RefHandle> ProcessCore::contained_of(std::span<const detail::Slot> refs,
                                                 std::span<const detail::Slot> actors) {
  std::vector<RefHandle> out;
  out.reserve(refs.size() + actors.size());
  for (const detail::Slot slot : refs) out.push_back(handle_of(slot));
  for (const detail::Slot slot : actors) out.push_back(handle_of(slot));
  return out;
}

namespace {
wire::Placement placement_of(const Placement& from) {
  wire::Placement to;
  to.spread = from.spread;
  to.node = from.node;
  to.soft = from.soft;
  to.labels = from.labels;
  to.group = group_id(from.group);
  to.bundle = from.bundle;
  return to;
}
FunctionId code_id(const detail::FunctionEntry& entry) {
  const detail::FunctionId id = detail::id_of(entry);
  return {id.module, id.offset};
}
}  // namespace

const ProcessCore::KnownOptions& ProcessCore::know(const Options& options) {
  const auto found =
      std::find_if(known_.begin(), known_.end(), [&](const auto& one) { return one.options == options; });
  if (found != known_.end()) return *found;
  TaskOptions wanted = task_options(options);
  wanted.placement = placement_of(options.placement);
  wanted.priority = options.priority;
  wanted.preemptible = options.preemptible;
  KnownOptions& made = known_.size() < most_known ? known_.emplace_back() : known_[next_known_++ % most_known];
  made = {.options = options,
          .task_class = owner_->task_class(wanted),
          .extras = extras_of(options),
          .group = group_number(options.group)};
  return made;
}

TaskSpec ProcessCore::make_spec(const detail::Submission& s) {
  if (concurrent_) enter_context();
  TaskSpec spec;
  spec.function = code_id(*s.function);
  const KnownOptions* known = nullptr;
  if (s.options != nullptr) {
    known = &know(*s.options);
    spec.task_class = known->task_class;
    spec.group = known->group;
  }
  if (known != nullptr && !known->extras.empty()) {
    spec.flags = has_extras;
    std::byte* to = spec.args.resize_for_overwrite(known->extras.size() + s.args.size());
    std::ranges::copy(s.args, std::ranges::copy(known->extras, to).out);
  } else {
    spec.args.assign(s.args);
  }
  if (!s.dependencies.empty()) {
    spec.deps.reserve(s.dependencies.size());
    for (const detail::Slot slot : s.dependencies) spec.deps.push_back(handle_of(slot));
  }
  if (!s.contained.empty() || !s.contained_actors.empty())
    spec.contained = contained_of(s.contained, s.contained_actors);
  return spec;
}

detail::Slot ProcessCore::with_result(RefHandle handle) {
  hold();
  return slot_of(handle);
}

void ProcessCore::note_activity() {
  ++activity_;
  if (background_sleeps_ && !closed_) rouse_background();
}

void ProcessCore::opportunistic_read() {
  note_activity();
  if (++submissions_ % read_every == 0 && !pumping_) read_lanes();
}

detail::Slot ProcessCore::submit(const detail::Submission& s) {
  const Lock lock(mutex_);
  if (closed_) throw_closed("submitting a task");
  const RefHandle result = owner_->submit(make_spec(s), steady_now());
  opportunistic_read();
  return with_result(result);
}

detail::Slot ProcessCore::create_actor(const detail::Submission& s) {
  Lock lock(mutex_);
  if (closed_) throw_closed("spawning an actor");
  static const Options defaults;
  const Options& options = s.options != nullptr ? *s.options : defaults;
  TaskSpec call = make_spec({.function = s.function,
                             .args = s.args,
                             .dependencies = s.dependencies,
                             .contained = s.contained,
                             .contained_actors = s.contained_actors,
                             .options = nullptr});
  ActorSpec spec{.constructor = call.function,
                 .flags = 0,
                 .args = std::move(call.args),
                 .deps = std::move(call.deps),
                 .contained = std::move(call.contained),
                 .options = actor_options(options)};
  if (s.function->save != nullptr) keep_state(spec, options);
  if (spec.options.resources.amount("cpu") == 0) spec.flags |= lends_nothing;
  if (const auto extras = extras_of_actor(options); !extras.empty()) {
    spec.flags |= has_extras;
    std::byte* to = spec.args.resize_for_overwrite(extras.size() + s.args.size());
    std::ranges::copy(s.args, std::ranges::copy(extras, to).out);
  }
  spec.options.placement = placement_of(options.placement);
  spec.options.priority = options.priority;
  spec.options.registered = {options.name_space, options.name};
  spec.options.type = std::string(s.function->name);
  if (!options.title.empty()) spec.options.name = options.title;
  if (options.detached) return create_detached(lock, std::move(spec), options);
  if (!options.name.empty()) return create_named(lock, std::move(spec), options);
  const RefHandle actor = owner_->create_actor(std::move(spec), steady_now());
  opportunistic_read();
  return with_result(actor);
}

RefHandle ProcessCore::submit_spec(detail::Slot actor, TaskSpec&& spec, std::vector<RefHandle>* more) {
  const Time now = steady_now();
  if (!actor) return owner_->submit(std::move(spec), now, more);
  if (!owner_->has_room_for_call(handle_of(actor))) {
    throw TaskError(
        {.code = ErrorCode::too_many_calls, .message = too_many_calls(owner_->max_pending_calls(handle_of(actor)))});
  }
  return owner_->call(handle_of(actor), std::move(spec), now, more);
}

detail::Slot ProcessCore::call(detail::Slot actor, const detail::Submission& s) {
  const Lock lock(mutex_);
  if (closed_) throw_closed("calling an actor");
  const RefHandle result = submit_spec(actor, make_spec(s), nullptr);
  opportunistic_read();
  return with_result(result);
}

void ProcessCore::submit_many(detail::Slot actor, const detail::Submission& s, std::span<detail::Slot> results) {
  const Lock lock(mutex_);
  if (closed_) throw_closed("submitting a call");
  TaskSpec spec = make_spec(s);
  spec.results = static_cast<std::uint32_t>(results.size());
  std::vector<RefHandle> more;
  results[0] = with_result(submit_spec(actor, std::move(spec), &more));
  for (std::size_t i = 0; i < more.size(); ++i) results[i + 1] = with_result(more[i]);
  opportunistic_read();
}

detail::Slot ProcessCore::open_stream(detail::Slot actor, const detail::Submission& s) {
  const Lock lock(mutex_);
  if (closed_) throw_closed("opening a stream");
  TaskSpec spec = make_spec(s);
  spec.stream = true;
  spec.window = window_of(s.options);
  const RefHandle result = submit_spec(actor, std::move(spec), nullptr);
  opportunistic_read();
  return with_result(result);
}

Result<detail::Slot> ProcessCore::stream_next(detail::Slot stream, detail::Deadline deadline) {
  Lock lock(mutex_);
  if (forked_) return closed("reading a stream");
  const RefHandle handle = handle_of(stream);
  RefHandle item = owner_->next(handle);
  while (!item && owner_->view(handle).state == RefState::pending) {
    if (!closed_) owner_->watch(handle);
    const bool there = wait_until(lock, deadline, deadline == never ? handle : RefHandle{}, [&] {
      item = owner_->next(handle);
      if (item || owner_->view(handle).state != RefState::pending) return true;
      owner_->watch(handle);
      return false;
    });
    if (there) break;
    std::optional<Error> why = closed_ ? closed("reading a stream") : interruption();
    if (!why && deadline != never && steady_now() >= deadline) why = late();
    if (why) {
      owner_->unwatch(handle);
      return *std::move(why);
    }
    if (interrupted_) pump(lock, std::min(deadline, steady_now() + std::chrono::milliseconds(1)));  // another call's
  }
  if (item) {
    note_activity();
    return with_result(item);
  }
  const RefView end = owner_->view(handle);
  if (end.state == RefState::error) return *end.error;
  return detail::Slot{};
}

void ProcessCore::exit_actor() {
  throw TaskError({.code = ErrorCode::invalid, .message = "exit_actor(): this process is not the home of an actor"});
}

detail::Slot ProcessCore::put(const detail::Encoded& value) {
  return store(value, 1);
}

detail::Slot ProcessCore::store(const detail::Encoded& value, std::uint32_t copies) {
  const Lock lock(mutex_);
  if (closed_) throw_closed("storing a value");
  wire::Value stored = take_over(value);
  if (value.object) arena_->adopt(in_arena(stored.location));
  if (concurrent_) enter_context();
  // Refs inside: put() counts them itself.
  const RefHandle ref = owner_->put(std::move(stored), contained_of(value.contained, value.contained_actors), copies);
  opportunistic_read();
  return with_result(ref);
}

std::shared_ptr<detail::Object> ProcessCore::allocate(std::size_t bytes) {
  if (forked_) throw_closed("storing a value");
  const Time begin = steady_now();
  for (;;) {
    bool full = false;
    const Result<object::Draft> draft = arena_->create(bytes, &full);
    if (draft.ok()) return std::make_shared<ArenaObject>(arena_, *draft);
    if (!full || steady_now() > begin + room_patience) throw TaskError(draft.error());
    // Others have to leave for the disk first: the node sees to it, or says why not.
    Lock lock(mutex_);
    if (closed_) throw_closed("storing a value");
    const std::uint64_t tag = ++last_room_;
    std::optional<Error>& answer = rooms_[tag];
    send(node_process(self_.node), wire::NeedRoom{tag, bytes});
    // (Not as a wait that lends the cpu: tasks that begin meanwhile would need room as well.)
    while (!answer && !closed_) pump(lock, never);
    const std::optional<Error> error = std::move(answer);
    rooms_.erase(tag);
    if (!error) throw_closed("storing a value");
    if (error->code != ErrorCode::none) throw TaskError(*error);
  }
}

Result<wire::ObjectLocation> ProcessCore::pull(Lock& lock, const RefId& ref, const wire::ObjectLocation& location,
                                               Time deadline) {
  Pull& mine = pulls_[location];
  if (mine.waiting++ == 0) send(node_process(self_.node), wire::PullObject{ref, location});
  const bool there = wait_until(lock, deadline, {}, [&] { return mine.arrived.has_value(); });
  Result<wire::ObjectLocation> result = closed_ ? closed("fetching an object") : late();
  if (there) {
    const wire::ObjectHere& here = *mine.arrived;
    if (here.error.code == ErrorCode::none) {
      result = here.local;
    } else {
      result = here.error;
    }
  }
  if (--mine.waiting == 0) pulls_.erase(location);
  return result;
}

Result<detail::Bytes> ProcessCore::read_object(Lock& lock, const RefId& ref, const wire::ObjectLocation& location,
                                               Time deadline) {
  wire::ObjectLocation at = location;
  for (int unmoved = 0;;) {
    lock.unlock();
    Result<detail::Bytes> bytes = pin_object(arena_, in_arena(at));
    lock.lock();
    if (bytes.ok() || bytes.error().code != ErrorCode::object_lost || closed_) return bytes;
    // Perhaps it left for the disk; or it was about to, and stayed.
    if (at == location && ++unmoved > most_unmoved) return bytes;
    const Result<wire::ObjectLocation> back = pull(lock, ref, location, deadline);
    if (!back.ok()) return back.error();
    at = *back;
  }
}

detail::SharedMemory ProcessCore::shared_memory(detail::Slot ref) {
  Lock lock(mutex_);
  const RefHandle handle = handle_of(ref);
  RefView view = owner_->view(handle);
  if (view.state == RefState::pending && !closed_) {
    owner_->watch(handle);
    wait_until(lock, never, {}, [&] {
      view = owner_->view(handle);
      return view.state != RefState::pending;
    });
  }
  if (view.state == RefState::pending) throw_closed("sharing memory");
  if (view.state == RefState::error) throw TaskError(*view.error);
  if (view.state != RefState::object || view.location.node != self_.node) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = fmt::format("memory is shared by processes of one node, and this one is on node {}; "
                                            "place all of them on one (Options::placement)",
                                            node_name_),
                     .node = node_name_});
  }
  const object::Location location = in_arena(view.location);
  lock.unlock();
  const Result<detail::Bytes> bytes = pin_object(arena_, location);
  if (!bytes) throw TaskError(bytes.error());
  return {arena_->writable(location), bytes->span.size(), bytes->keep};
}

void ProcessCore::look() {
  const Lock lock(mutex_);
  if (!closed_ && !pumping_) read_lanes();
}

// Waiting.

Result<detail::Bytes> ProcessCore::get(detail::Slot ref, detail::Deadline deadline) {
  Lock lock(mutex_);
  if (forked_) return closed("reading a value");
  const RefHandle handle = handle_of(ref);
  RefView view = owner_->view(handle);
  for (;;) {
    while (view.state == RefState::pending) {
      if (!closed_) owner_->watch(handle);
      const bool there = wait_until(lock, deadline, deadline == never ? handle : RefHandle{}, [&] {
        view = owner_->view(handle);
        return view.state != RefState::pending;
      });
      if (there) break;
      if (closed_) return closed("waiting for a value");
      if (auto why = interruption()) return *std::move(why);
      if (deadline != never && steady_now() >= deadline) return late();
      if (interrupted_) pump(lock, std::min(deadline, steady_now() + std::chrono::milliseconds(1)));  // another call's
    }
    if (view.state != RefState::object || closed_ || !owner_->localize(handle)) break;
    const bool there = wait_until(lock, deadline, {}, [&] {
      view = owner_->view(handle);
      return view.state != RefState::object || view.location.node == self_.node || view.error != nullptr;
    });
    if (there && view.state == RefState::object && view.location.node != self_.node) return *view.error;
    if (!there) return closed_ ? closed("fetching an object") : late();
    // Lost on its way here, it may be made again: then it is pending.
  }
  switch (view.state) {
    case RefState::inline_value:
      return detail::Bytes{.span = view.bytes, .keep = nullptr, .cover = ref};
    case RefState::error:
      return *view.error;
    default:
      break;
  }
  Result<detail::Bytes> bytes = read_object(lock, owner_->id(handle), view.location, deadline);
  if (bytes) bytes->cover = ref;
  return bytes;
}

void ProcessCore::expect(std::span<const detail::Slot> refs) {
  const Lock lock(mutex_);
  if (closed_) return;
  endpoint_->cork();
  for (const detail::Slot ref : refs) {
    const RefHandle handle = handle_of(ref);
    if (!handle) continue;
    const RefState state = owner_->view(handle).state;
    if (state == RefState::pending && !owner_->owned(handle)) owner_->watch(handle);
    if (state == RefState::object) owner_->localize(handle);
  }
  endpoint_->flush();
}

void ProcessCore::wait(std::span<const detail::Slot> refs, std::size_t count, detail::Deadline deadline,
                       std::vector<bool>& ready) {
  Lock lock(mutex_);
  count = std::min(count, refs.size());
  const auto look = [&] {
    std::size_t n = 0;
    for (std::size_t i = 0; i < refs.size(); ++i) {
      ready[i] = owner_->view(handle_of(refs[i])).state != RefState::pending;
      n += ready[i];
    }
    return n;
  };
  std::size_t there = look();
  if (there >= count || closed_) return;
  for (std::size_t i = 0; i < refs.size(); ++i) {
    if (!ready[i]) owner_->watch(handle_of(refs[i]));
  }
  // Each event makes at most one ref ready, so looking at all of them again can wait for as many events as are missing.
  std::uint64_t looked_at = ready_events_;
  std::vector<RefHandle> on;
  if (deadline == never) {
    on.reserve(refs.size());
    for (const detail::Slot slot : refs) on.push_back(handle_of(slot));
  }
  for (;;) {
    const bool done = wait_until(lock, deadline, on, count, [&] {
      if (ready_events_ - looked_at < count - there) return false;
      looked_at = ready_events_;
      there = look();
      return there >= count;
    });
    if (done || closed_ || (deadline != never && steady_now() >= deadline)) break;
    if (auto why = interruption()) throw TaskError(*std::move(why));
    if (interrupted_) pump(lock, std::min(deadline, steady_now() + std::chrono::milliseconds(1)));  // another call's
  }
  look();
}

void ProcessCore::pump(Lock& lock, Time deadline, net::Endpoint::Interest interest) {
  if (pumping_) {
    if (background_pumping_) {
      ++activity_;
      endpoint_->wake();
    }
    ++waiting_;
    if (deadline == never) {
      round_ended_.wait(lock);
    } else {
      round_ended_.wait_until(lock, deadline);
    }
    --waiting_;
    if (closed_) round_ended_.notify_all();
    return;
  }
  pumping_ = true;
  look_at_suspects();
  const Time until = std::min({deadline, next_timer(), next_own_timer()});
  net::Endpoint& endpoint = *endpoint_;
  const auto until_call = calls_wanted_ ? net::Endpoint::Interest::messages_and_calls : interest;
  lock.unlock();
  endpoint.wait(until, until_call);
  lock.lock();
  if (!closed_) read_lanes();
  pumping_ = false;
  if (waiting_ > 0) round_ended_.notify_all();
}

std::size_t ProcessCore::read_lanes() {
  now_ = steady_now();
  endpoint_->cork();
  const std::size_t frames = endpoint_->poll(
      [this](net::Peer from, std::span<const std::byte> bytes) { on_frame(from, bytes); }, frames_a_round);
  for (const ProcessId& worker : transport_->retry()) owner_->on_room(worker, now_);
  if (owner_->next_timer() <= now_) owner_->on_timer(now_);
  if (next_own_timer() <= now_) on_own_timer();
  look_at_suspects();
  if (frames > 0) after_input();
  endpoint_->flush();
  return frames;
}

void ProcessCore::look_at_suspects() {
  for (const ProcessId& process : transport_->take_undelivered()) {
    const Time due = steady_now() + (owner_->is_dead(process) ? looked_again : told_within);
    suspects_.try_emplace(process, due);
    suspect_due_ = std::min(suspect_due_, due);
  }
  if (suspect_due_ == never || suspect_due_ > now_) return;
  suspect_due_ = never;
  for (auto at = suspects_.begin(); at != suspects_.end();) {
    if (at->second > now_) {
      suspect_due_ = std::min(suspect_due_, at->second);
      ++at;
      continue;
    }
    const ProcessId gone = at->first;
    at = suspects_.erase(at);
    wire::ProcessDeath death;
    death.description = "had ended before this process began";
    owner_->on_process_died(gone, death, now_);
    on_process_gone(gone);
    transport_->forget(gone);
  }
}

void ProcessCore::close(Lock& lock) {
  closed_ = true;
  ++waiting_;  // told of each round, as the others are
  while (pumping_ || waiting_ > 1) {
    endpoint_->wake();
    round_ended_.notify_all();
    round_ended_.wait(lock);
  }
  --waiting_;
  // What is known of the references stays readable; nothing is sent or received any more.
  transport_.reset();
  endpoint_.reset();
}

// What arrives.

void ProcessCore::on_frame(net::Peer from, std::span<const std::byte> bytes) {
  const auto frame = daemon::parse_lane_frame(bytes);
  if (!frame) return;
  const ProcessId sender = frame->relay ? frame->relay->from : ProcessId{self_.node, from.slot, from.generation};
  switch (frame->header.kind) {
    case daemon::FrameKind::reply:
      on_reply(sender, frame->payload);
      break;
    case daemon::FrameKind::message:
      if (const auto message = wire::decode(frame->payload)) on_message(sender, *message);
      break;
    case daemon::FrameKind::call:
    case daemon::FrameKind::output:
    case daemon::FrameKind::offer:
    case daemon::FrameKind::ask:
    case daemon::FrameKind::answer:
      break;  // these go from node to node
  }
}

void ProcessCore::on_reply(const ProcessId& from, std::span<const std::byte> bytes) {
  const auto frame = wire::parse_reply(bytes);
  if (!frame) return;
  // The objects were the worker's until now. One that died first took them along: its death is told next.
  const auto adopted = [this](std::span<const std::byte> place) {
    const auto location = wire::decode_location(place);
    return location && (location->node != self_.node || arena_->adopt(in_arena(*location)));
  };
  const wire::ReplyKind kind = frame->header.kind;
  if (kind == wire::ReplyKind::value_object || kind == wire::ReplyKind::item_object) {
    if (!adopted(frame->payload)) return;
  } else if (kind == wire::ReplyKind::values) {
    for (const wire::Part& part : wire::parse_values(frame->payload)) {
      if (part.object && !adopted(part.bytes)) return;
    }
  }
  if (!shipped_.empty() && kind != wire::ReplyKind::item_inline && kind != wire::ReplyKind::item_object) {
    if (const auto shipped = shipped_.extract({frame->header.index, frame->header.generation})) {
      for (const object::Location& location : shipped.mapped()) arena_->free(location);
    }
  }
  owner_->on_reply(from, frame->header, frame->payload, frame->contained, now_);
}

void ProcessCore::on_message(const ProcessId& from, const wire::Message& message) {
  if (const auto* died = std::get_if<wire::ProcessDied>(&message)) {
    // What it sent before its end counts.
    const net::Peer peer{died->process.slot, died->process.generation};
    if (died->process.node == self_.node) {
      endpoint_->drain(peer, [this](net::Peer p, std::span<const std::byte> bytes) { on_frame(p, bytes); });
    }
    suspects_.erase(died->process);
    owner_->on_process_died(died->process, died->death, now_);
    on_process_gone(died->process);
    transport_->forget(died->process);
    return;
  }
  if (const auto* died = std::get_if<wire::NodeDied>(&message)) {
    owner_->on_node_died(died->node, died->reason, now_, died->name);
    on_node_gone(died->node);
    return;
  }
  if (const auto* room = std::get_if<wire::RoomMade>(&message)) {
    if (const auto asked = rooms_.find(room->tag); asked != rooms_.end()) asked->second = room->error;
    return;
  }
  if (const auto* here = std::get_if<wire::ObjectHere>(&message)) {
    if (const auto asked = pulls_.find(here->location); asked != pulls_.end()) asked->second.arrived = *here;
  }
  const bool taken = owner_->on_message(from, message, now_);
  if (!taken || std::holds_alternative<wire::BorrowAck>(message)) {
    on_other_message(from, message);
  }
}

// What the Owner asks for.

SendStatus ProcessCore::send_call(const ProcessId& worker, const wire::CallHeader& header,
                                  std::span<const std::byte> args, std::span<const wire::Dependency> deps,
                                  CallTicket& ticket) {
  if (closed_) return SendStatus::dead;
  if (wire::call_size(header, deps) > transport_->largest_frame()) {
    return send_call_by_objects(worker, header, args, deps, ticket);
  }
  return transport_->send_call(worker, header, args, deps, ticket);
}

SendStatus ProcessCore::send_call_by_objects(const ProcessId& worker, const wire::CallHeader& header,
                                             std::span<const std::byte> args, std::span<const wire::Dependency> deps,
                                             CallTicket& ticket) {
  std::vector<wire::Dependency> small(deps.begin(), deps.end());
  std::vector<Bytes> places(deps.size());
  std::vector<object::Location> locations;
  for (std::size_t i = 0; i < deps.size(); ++i) {
    if (deps[i].kind != wire::DependencyKind::inline_value || deps[i].bytes.size() < 1024) continue;
    Result<object::Draft> draft = arena_->create(deps[i].bytes.size());
    // (An arena without room: the call waits like one whose lane is full.)
    if (!draft) break;
    std::ranges::copy(deps[i].bytes, draft->bytes.begin());
    arena_->seal(draft->location);
    locations.push_back(draft->location);
    places[i] = wire::encode_location(on_node(self_.node, draft->location));
    small[i].kind = wire::DependencyKind::object;
    small[i].bytes = places[i];
  }
  const bool fits = wire::call_size(header, small) <= transport_->largest_frame();
  const SendStatus status = fits ? transport_->send_call(worker, header, args, small, ticket) : SendStatus::full;
  if (status != SendStatus::accepted) {
    for (const object::Location& location : locations) arena_->free(location);
    return status;
  }
  std::vector<object::Location>& shipped = shipped_[{header.index, header.generation}];
  shipped.insert(shipped.end(), locations.begin(), locations.end());
  return status;
}
bool ProcessCore::withdraw(const ProcessId&, const CallTicket& ticket) {
  return !closed_ && transport_->withdraw(ticket);
}
void ProcessCore::raise_stop(const ProcessId& worker, const CallTicket& ticket, bool recursive) {
  if (!closed_) transport_->raise_stop(worker, ticket, recursive);
}
void ProcessCore::send(const ProcessId& to, wire::Message&& message) {
  if (const auto* free = std::get_if<wire::FreeObject>(&message); free && to.node == self_.node) {
    if (arena_->free(in_arena(free->location))) return;
    // It is on disk, or was.
  }
  if (!closed_) transport_->send_message(to, message);
}
std::string ProcessCore::function_name(const FunctionId& function) {
  const auto* entry = detail::find_function({function.module, function.offset});
  return entry != nullptr ? std::string(entry->name) : to_string(function);
}

// References.

void ProcessCore::cancel(detail::Slot ref, const CancelOptions& options) {
  const Lock lock(mutex_);
  if (closed_) return;
  owner_->cancel(handle_of(ref),
                 {.force = options.force,
                  .recursive = options.recursive,
                  .grace = options.grace ? Duration(*options.grace) : Owner::Cancel::never_kill},
                 steady_now());
  note_activity();
}

void ProcessCore::kill(detail::Slot actor) {
  const Lock lock(mutex_);
  if (closed_) return;
  owner_->kill(handle_of(actor), steady_now());
  note_activity();
}

void ProcessCore::retain(detail::Slot ref) {
  hold();
  const Lock lock(mutex_);
  owner_->retain(handle_of(ref));
}

void ProcessCore::release(detail::Slot ref) {
  {
    const Lock lock(mutex_);
    if (!forked_) owner_->release(handle_of(ref), steady_now());
  }
  drop();
}

detail::WireId ProcessCore::export_ref(detail::Slot ref) {
  const Lock lock(mutex_);
  const RefId id = owner_->id(handle_of(ref));
  note_activity();
  return std::bit_cast<detail::WireId>(id);
}

RefHandle ProcessCore::import(const detail::WireId& id, bool actor, detail::Slot cover) {
  const Lock lock(mutex_);
  if (concurrent_) enter_context();
  return owner_->borrow(std::bit_cast<RefId>(id), actor, handle_of(cover));
}
detail::Slot ProcessCore::import_ref(const detail::WireId& id, detail::Slot cover) {
  return with_result(import(id, false, cover));
}
detail::Slot ProcessCore::import_actor(const detail::WireId& id, detail::Slot cover) {
  return with_result(import(id, true, cover));
}

}  // namespace mobula::client
