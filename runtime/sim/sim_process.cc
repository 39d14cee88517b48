#include "runtime/sim/sim_process.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/sim/sim_node.h"

namespace mobula::sim {

namespace {

OwnerOptions owner_options(const SimNode& node) {
  OwnerOptions options;
  options.program = {"/simulated", "51"};
  options.node_name = to_string(node.id());
  options.pipeline_depth = 64;
  return options;
}

}  // namespace

SimProcess::SimProcess(World& world, SimNode& node, ProcessId id, bool worker)
    : world_(world), node_(node), id_(id), owner_(std::make_unique<Owner>(id, owner_options(node), *this)) {
  if (worker) worker_ = std::make_unique<Worker>(id, to_string(node.id()), static_cast<int>(id.slot), *owner_, *this);
}

SimProcess::~SimProcess() = default;

std::uint64_t SimProcess::memory_bytes() const {
  return (alive && running_ && running_->args.op == Op::hungry ? 100ULL : 5ULL) << 20;
}

// ---- what scripts and bodies do

RefHandle SimProcess::submit(Args args, TaskOptions options, std::vector<RefHandle> deps,
                             std::vector<RefHandle> contained) {
  TaskSpec spec;
  spec.function = function_of(args.op);
  spec.task_class = owner_->task_class(options);
  spec.args = encode(args);
  spec.deps = std::move(deps);
  spec.contained = std::move(contained);
  const RefHandle ref = owner_->submit(std::move(spec), now());
  arm();
  return ref;
}

RefHandle SimProcess::create_actor(Args args, ActorOptions options) {
  ActorSpec spec;
  spec.constructor = function_of(args.op);
  spec.args = encode(args);
  spec.options = std::move(options);
  const RefHandle ref = owner_->create_actor(std::move(spec), now());
  arm();
  return ref;
}

RefHandle SimProcess::call(RefHandle actor, Args args, std::vector<RefHandle> deps, std::vector<RefHandle> contained) {
  TaskSpec spec;
  spec.function = function_of(args.op);
  spec.args = encode(args);
  spec.deps = std::move(deps);
  spec.contained = std::move(contained);
  const RefHandle ref = owner_->call(actor, std::move(spec), now());
  arm();
  return ref;
}

RefHandle SimProcess::put(std::uint64_t value) {
  wire::Value known;
  known.bytes.assign(std::as_bytes(std::span(&value, 1)));
  return owner_->put(std::move(known));
}

void SimProcess::keep(std::uint64_t value, std::uint32_t copies, std::function<void(RefHandle)> then) {
  wire::KeepValue wanted;
  wanted.copies = copies;
  wanted.value.kind = wire::ValueKind::object;
  wanted.value.location = node_.memory().create(id_).value();
  world_.set_value(wanted.value.location, value);
  kept_[owner_->keep_value(std::move(wanted))] = std::move(then);
}

void SimProcess::claim(std::uint64_t name, std::function<void(RefHandle)> then) {
  ActorSpec spec;
  spec.constructor = function_of(Op::create);
  spec.args = encode({Op::create, 0, 0, 20, 0, {}});
  spec.options.resources = {};
  spec.options.max_restarts = -1;
  spec.options.registered = {"space", std::to_string(name)};
  std::uint64_t tag = 0;
  const RefHandle mine = owner_->create_named_actor(std::move(spec), tag, now());
  arm();
  claims_[tag] = [this, mine, then = std::move(then)](const wire::NameReply& reply) {
    if (reply.actor == as_actor(owner_->id(mine))) {
      world_.probe("name.won");
      then(mine);
    } else {
      world_.probe("name.lost");
      release(mine);
      then(owner_->adopt_actor(reply.actor));
    }
  };
}

wire::GroupId SimProcess::place_group(wire::CreateGroup wanted, std::function<void(const wire::GroupPlaced&)> then) {
  const wire::GroupId id = owner_->create_group(std::move(wanted));
  watch_group(id, std::move(then));
  return id;
}

void SimProcess::watch_group(const wire::GroupId& group, std::function<void(const wire::GroupPlaced&)> then) {
  groups_[group] = std::move(then);
  owner_->watch_group(group);
}

RefHandle SimProcess::stream(Args args, TaskOptions options, std::uint32_t window) {
  TaskSpec spec;
  spec.function = function_of(args.op);
  spec.task_class = owner_->task_class(options);
  spec.stream = true;
  spec.window = window;
  spec.args = encode(args);
  const RefHandle ref = owner_->submit(std::move(spec), now());
  arm();
  return ref;
}

void SimProcess::read(RefHandle stream, std::function<bool()> reader) {
  if (!reader()) return;
  readers_[stream] = std::move(reader);
  owner_->watch(stream);
}

void SimProcess::release(RefHandle ref) {
  owner_->release(ref, now());
  arm();
}

void SimProcess::when_ready(RefHandle ref, std::function<void()> then) {
  const RefView view = owner_->view(ref);
  if (view.state == RefState::pending) {
    waiters_[ref].push_back(std::move(then));
    owner_->watch(ref);
  } else if (view.state == RefState::object && view.location.node != node_.id()) {
    waiters_[ref].push_back(std::move(then));
    owner_->localize(ref);
    world_.probe("object.pulled");
  } else if (view.state == RefState::object && !node_.memory().has(view.location)) {
    pull(owner_->id(ref), view.location,
         [this, name = view.location, then = std::move(then)](const wire::ObjectHere& here) {
           unreadable_.erase(name);
           if (here.error.code != ErrorCode::none) {
             unreadable_[name] = here.error;
           } else {
             back_[name] = here.local;
           }
           then();
         });
  } else {
    if (view.state == RefState::object) back_[view.location] = view.location;
    then();
  }
}

void SimProcess::pull(const RefId& ref, const wire::ObjectLocation& location,
                      std::function<void(const wire::ObjectHere&)> then) {
  auto& waiting = pulls_[location];
  waiting.push_back(std::move(then));
  if (waiting.size() == 1) send(node_process(node_.id()), wire::PullObject{ref, location});
}

const Error* SimProcess::error_of(RefHandle ref) const {
  const RefView view = owner_->view(ref);
  if (view.state == RefState::error) return view.error;
  if (view.state != RefState::object) return nullptr;
  if (view.error != nullptr) return view.error;
  const auto unreadable = unreadable_.find(view.location);
  return unreadable == unreadable_.end() ? nullptr : &unreadable->second;
}

std::uint64_t SimProcess::number(RefHandle ref) const {
  const RefView view = owner_->view(ref);
  if (view.state != RefState::object) return first_word(view.bytes);
  const auto back = back_.find(view.location);
  const wire::ObjectLocation at = back == back_.end() ? view.location : back->second;
  if (!node_.memory().has(at)) world_.violated("an object was read that is not in memory");
  return world_.value_of(at);
}

std::vector<RefId> SimProcess::refs_in(RefHandle ref) const {
  const RefView view = owner_->view(ref);
  std::vector<RefId> refs((view.bytes.size() - sizeof(std::uint64_t)) / sizeof(RefId));
  std::memcpy(refs.data(), view.bytes.data() + sizeof(std::uint64_t), refs.size() * sizeof(RefId));
  return refs;
}

// ---- inputs

void SimProcess::on_frame(Frame frame) {
  if (!alive) return;
  switch (frame.kind) {
    case FrameKind::call:
      lane.push_back(std::move(frame));
      break;
    case FrameKind::reply: {
      const auto reply = wire::parse_reply(frame.bytes.span());
      if (!reply.ok()) {
        world_.violated("a reply cannot be read: " + reply.error().message);
        return;
      }
      if (reply->header.kind == wire::ReplyKind::value_object) {
        // One that died first took its object along; its death is told next.
        const wire::ObjectLocation location = *wire::decode_location(reply->payload);
        if (location.node == node_.id() && !node_.memory().adopt(location, id_)) {
          world_.probe("object.died_with_its_maker");
          break;
        }
      }
      owner_->on_reply(frame.from, reply->header, reply->payload, reply->contained, now());
      break;
    }
    case FrameKind::message: {
      const auto message = wire::decode(frame.bytes.span());
      if (!message.ok()) {
        world_.violated("a message cannot be read: " + message.error().message);
        return;
      }
      if (world_.tracing) {
        world_.trace(to_string(id_) + " <- " + to_string(frame.from) + " " + wire::name_of(*message));
      }
      if (const auto* died = std::get_if<wire::ProcessDied>(&*message)) {
        node_.drain(died->process, id_);
        if (!alive) return;
      }
      if (const auto* room = std::get_if<wire::RoomMade>(&*message)) {
        if (const auto asked = rooms_.extract(room->tag)) asked.mapped()(room->error);
        break;
      }
      const bool for_owner = owner_->on_message(frame.from, *message, now());
      if (!for_owner && (!worker_ || !worker_->on_message(frame.from, *message, now()))) {
        world_.violated(to_string(id_) + " does not know what to do with " + wire::name_of(*message));
      }
      if (worker_) {
        if (const auto* process = std::get_if<wire::ProcessDied>(&*message)) {
          worker_->on_process_died(process->process, now());
        } else if (const auto* node = std::get_if<wire::NodeDied>(&*message)) {
          worker_->on_node_died(node->node, now());
        }
      }
      if (const auto* name = std::get_if<wire::NameReply>(&*message)) {
        if (owner_->take_name_reply(name->tag)) {
          if (const auto claim = claims_.extract(name->tag)) claim.mapped()(*name);
        }
      }
      if (const auto* kept = std::get_if<wire::ValueKept>(&*message)) {
        const auto ref = owner_->take_kept(kept->tag);
        if (!ref->ok()) world_.violated("a value was not kept: " + ref->error().message);
        if (const auto keeping = kept_.extract(kept->tag); keeping && ref->ok()) keeping.mapped()(**ref);
      }
      if (const auto* placed = std::get_if<wire::GroupPlaced>(&*message)) {
        if (owner_->take_group(placed->id)) {
          if (const auto group = groups_.extract(placed->id)) group.mapped()(*placed);
        }
      }
      if (const auto* here = std::get_if<wire::ObjectHere>(&*message)) {
        const auto pull = pulls_.find(here->location);
        if (pull != pulls_.end()) {
          const auto waiting = std::move(pull->second);
          pulls_.erase(pull);
          for (const auto& then : waiting) then(*here);
        }
      }
      break;
    }
  }
  settle();
}

void SimProcess::settle() {
  if (!alive) return;
  while (!ready_.empty()) {
    const RefHandle ref = ready_.front();
    ready_.erase(ready_.begin());
    if (const auto reader = readers_.extract(ref)) {
      read(ref, std::move(reader.mapped()));
      continue;
    }
    const auto found = waiters_.find(ref);
    if (found == waiters_.end()) continue;
    const auto waiting = std::move(found->second);
    waiters_.erase(found);
    const RefView view = owner_->view(ref);
    const bool no_room = view.state == RefState::object && view.error != nullptr;
    for (const auto& then : waiting) {
      if (no_room) {
        then();
      } else {
        when_ready(ref, then);
      }
    }
  }
  if (worker_) {
    worker_->after_owner_step(now());
    if (!lane.empty() && worker_->ready() && !take_scheduled_ && started) {
      take_scheduled_ = true;
      node_.after(node_.slowed(world_.uniform(std::chrono::microseconds(1), std::chrono::microseconds(20))), [this] {
        take_scheduled_ = false;
        take();
      });
    }
  }
  arm();
}

void SimProcess::arm() {
  const Time next = worker_ ? std::min(owner_->next_timer(), worker_->next_timer()) : owner_->next_timer();
  if (next >= armed_ || !alive) return;
  armed_ = next;
  node_.at(std::max(next, now() + std::chrono::microseconds(1)), [this, next] {
    if (armed_ == next) armed_ = never;
    if (!alive) return;
    owner_->on_timer(now());
    if (worker_) worker_->on_timer(now());
    settle();
  });
}

Time SimProcess::now() const {
  return node_.now();
}

void SimProcess::clock_jumped() {
  armed_ = never;
  arm();
}

void SimProcess::died() {
  alive = false;
  running_.reset();
  waiters_.clear();
  readers_.clear();
  pulls_.clear();
  claims_.clear();
  groups_.clear();
  rooms_.clear();
}

// ---- sinks

void SimProcess::emit(Frame frame) {
  frame.from = id_;
  const ProcessId to = frame.to;
  if (to.node != node_.id() || to.slot == 0) {
    node_.put(id_, node_process(node_.id()), std::move(frame));
  } else if (node_.is_alive(to)) {
    node_.put(id_, to, std::move(frame));
  } else {
    world_.probe("send.to_the_dead");
    wire::ProcessDied died{to, {}};
    died.death.description = "is gone";
    Frame answer{FrameKind::message, node_process(node_.id()), id_, 0, wire::encode(died)};
    // Only if the node does not tell of it first, which knows how it died.
    world_.events().after(std::chrono::milliseconds(500), [this, answer = std::move(answer)]() mutable {
      if (alive) node_.put(node_process(node_.id()), id_, std::move(answer));
    });
  }
}

SendStatus SimProcess::send_call(const ProcessId& to, const wire::CallHeader& header, std::span<const std::byte> args,
                                 std::span<const wire::Dependency> deps, CallTicket& ticket) {
  Frame frame{FrameKind::call, id_, to, 0, {}};
  const bool local = to.node == node_.id();
  if (local && !node_.is_alive(to)) {
    emit(std::move(frame));  // tells us
    return SendStatus::dead;
  }
  if (local && node_.queued_calls(id_, to) >= world_.options().lane_calls) {
    world_.probe("lane.full");
    return SendStatus::full;
  }
  std::byte* bytes = frame.bytes.resize_for_overwrite(wire::call_size(header, deps));
  wire::write_call(header, args, deps, bytes);
  ticket = {};
  if (local) ticket.position = frame.call = world_.new_call();
  emit(std::move(frame));
  return SendStatus::accepted;
}

bool SimProcess::withdraw(const ProcessId&, const CallTicket& ticket) {
  if (ticket.position == 0) return false;
  World::CallRecord& record = world_.call(ticket.position);
  if (record.state == World::CallRecord::State::claimed) return false;
  record.state = World::CallRecord::State::withdrawn;
  world_.probe("call.withdrawn");
  return true;
}

void SimProcess::raise_stop(const ProcessId&, const CallTicket& ticket, bool) {
  if (ticket.position != 0) world_.call(ticket.position).stop = true;
}

void SimProcess::send(const ProcessId& to, wire::Message&& message) {
  emit({FrameKind::message, id_, to, 0, wire::encode(message)});
}

void SimProcess::ready(RefHandle ref) {
  ready_.push_back(ref);
}

std::string SimProcess::function_name(const FunctionId& function) {
  return "op " + std::to_string(function.offset);
}

void SimProcess::reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                       std::span<const RefId> contained) {
  Frame frame{FrameKind::reply, id_, to, 0, {}};
  wire::write_reply(header, payload, contained, frame.bytes.resize_for_overwrite(wire::reply_size(header)));
  emit(std::move(frame));
}

void SimProcess::raise_stop(RunningCall& call) {
  world_.probe("stop.raised");
  stream_room(call);
}

void SimProcess::stream_room(RunningCall&) {
  if (!running_ || !std::exchange(running_->wants_room, false)) return;
  // Not from inside the Worker.
  node_.after(std::chrono::microseconds(1), [this, number = running_->number] {
    if (!alive || !running_ || running_->number != number) return;
    body();
    settle();
  });
}

void SimProcess::deadlock(RunningCall&, Error&& why) {
  world_.probe("deadlock.found");
  node_.after(std::chrono::microseconds(1), [this, number = running_->number, why = std::move(why)] {
    if (!alive || !running_ || running_->number != number || running_->waiting == 0) return;
    if (std::exchange(running_->blocked, false)) worker_->unblock(*running_->call);
    finish_error(why.code, why.message);
    settle();
  });
}

void SimProcess::destroy_actor() {
  world_.probe("actor.ended");
  const Actor ended = std::move(*actor_);
  actor_.reset();
  for (const RefHandle ref : ended.stored) release(ref);
}

void SimProcess::exit() {
  world_.probe("worker.retired");
  node_.after(std::chrono::microseconds(50), [this] {
    if (!alive) return;
    died();
    wire::ProcessDeath death;
    death.pid = static_cast<int>(id_.slot);
    death.description = "exited with status 0";
    node_.process_ended(id_, death);
  });
}

// ---- arguments

Bytes encode(const Args& args) {
  struct Fixed {
    std::uint32_t op, depth, fan, microseconds;
    std::uint64_t value;
  } fixed{static_cast<std::uint32_t>(args.op), args.depth, args.fan, args.microseconds, args.value};
  Bytes bytes;
  std::byte* out = bytes.resize_for_overwrite(sizeof fixed + args.refs.size() * sizeof(RefId));
  std::memcpy(out, &fixed, sizeof fixed);
  if (!args.refs.empty()) std::memcpy(out + sizeof fixed, args.refs.data(), args.refs.size() * sizeof(RefId));
  return bytes;
}

Args decode_args(std::span<const std::byte> bytes) {
  Args args;
  std::uint32_t words[4];
  std::memcpy(words, bytes.data(), sizeof words);
  args.op = static_cast<Op>(words[0]);
  args.depth = words[1];
  args.fan = words[2];
  args.microseconds = words[3];
  std::memcpy(&args.value, bytes.data() + sizeof words, sizeof args.value);
  const std::size_t fixed = sizeof words + sizeof args.value;
  args.refs.resize((bytes.size() - fixed) / sizeof(RefId));
  if (!args.refs.empty()) std::memcpy(args.refs.data(), bytes.data() + fixed, args.refs.size() * sizeof(RefId));
  return args;
}

std::uint64_t first_word(std::span<const std::byte> bytes) {
  std::uint64_t word = 0;
  if (bytes.size() >= sizeof word) std::memcpy(&word, bytes.data(), sizeof word);
  return word;
}

FunctionId function_of(Op op) {
  return {0x51, static_cast<std::uint64_t>(op)};
}

std::uint64_t who_is(const ActorId& actor) {
  return hash_mix(std::hash<ProcessId>()(actor.owner), actor.index) >> 1 | 1;
}

}  // namespace mobula::sim
