// What a simulated worker does with a call: it takes it out of a lane, gets its arguments, goes through the steps of
// its body, and answers.
#include <algorithm>
#include <utility>

#include "runtime/sim/sim_node.h"
#include "runtime/sim/sim_process.h"

namespace mobula::sim {
namespace {

constexpr std::uint32_t sim_window = 8;  // items of a stream that its reader has not read

}  // namespace

void SimProcess::take() {
  if (!alive || !worker_->ready()) return;
  // Of all lanes one, at random; in a lane in order.
  while (!lane.empty()) {
    const ProcessId from = lane[world_.random().below(static_cast<std::uint32_t>(lane.size()))].from;
    const auto first = std::find_if(lane.begin(), lane.end(), [&](const Frame& frame) { return frame.from == from; });
    const Frame frame = std::move(*first);
    lane.erase(first);
    World::CallRecord& record = world_.call(frame.call);
    if (record.state == World::CallRecord::State::withdrawn) continue;
    if (from.node == node_.id() && !node_.is_alive(from)) continue;
    record.state = World::CallRecord::State::claimed;
    begin(frame);
    break;
  }
  settle();
}

void SimProcess::begin(const Frame& frame) {
  auto call = wire::parse_call(frame.bytes.span());
  if (!call.ok()) {
    world_.violated("a call cannot be read: " + call.error().message);
    return;
  }
  RunningCall* const accepted = worker_->accept(call->header, now());
  if (accepted == nullptr) {
    world_.probe("call.refused");
    return;
  }
  world_.probe("call.executed");
  if (call->header.attempt > 1 && call->header.kind == wire::CallKind::task) world_.probe("task.retried");
  if (call->header.kind == wire::CallKind::actor_create && call->header.incarnation > 1) {
    world_.probe("actor.restarted");
  }
  world_.executed(to_string(call->header.result()) + " attempt " + std::to_string(call->header.attempt));
  running_.emplace();
  running_->header = call->header;
  running_->call = accepted;
  running_->record = frame.call;
  running_->number = ++runs_;
  const bool saves = (call->header.flags & wire::call_saves) != 0;
  if (!saves) running_->args = decode_args(call->args);
  if ((call->header.flags & wire::call_replays) != 0) world_.probe("call.replayed");
  if (world_.tracing) {
    world_.trace(to_string(id_) + " runs " + function_name(call->header.function) + " of " +
                 to_string(call->header.result()));
  }
  const Op op = running_->args.op;
  const bool actor = op == Op::call_actor || op == Op::append_by || op == Op::ping || op == Op::pong;
  for (const RefId& ref : running_->args.refs) running_->borrowed.push_back(owner_->borrow(ref, actor));
  running_->then = [this] { body(); };
  running_->waiting = 1;
  for (std::uint32_t i = 0; i < call->header.deps; ++i) {
    const wire::Dependency dependency = call->next_dependency();
    if ((call->header.flags & wire::call_restores) != 0 && i + 1 == call->header.deps) {
      running_->state.assign(dependency.bytes.begin(), dependency.bytes.end());
      continue;
    }
    if (dependency.kind == wire::DependencyKind::inline_value) {
      running_->args.value += first_word(dependency.bytes);
      continue;
    }
    const wire::ObjectLocation location = *wire::decode_location(dependency.bytes);
    ++running_->waiting;
    if (location.node == node_.id()) {
      take_argument(i, dependency.ref, location, location);
      if (!running_) return;
      continue;
    }
    world_.probe("dependency.pulled");
    pull(dependency.ref, location,
         [this, number = running_->number, i, ref = dependency.ref, location](const wire::ObjectHere& here) {
           if (!running_ || running_->number != number) return;
           if (here.error.code != ErrorCode::none) return without_argument(i, location, here.error);
           take_argument(i, ref, here.local, here.local);
         });
  }
  arrived();
}

void SimProcess::take_argument(std::uint32_t dependency, const RefId& ref, const wire::ObjectLocation& name,
                               const wire::ObjectLocation& at) {
  if (node_.memory().pin(at, id_)) {
    running_->pins.push_back(at);
    running_->args.value += world_.value_of(at);
    return arrived();
  }
  world_.probe("argument.brought_back");
  pull(ref, name, [this, number = running_->number, dependency, ref, name](const wire::ObjectHere& here) {
    if (!running_ || running_->number != number) return;
    if (here.error.code == ErrorCode::none && !(here.local == name && !node_.memory().has(name))) {
      return take_argument(dependency, ref, name, here.local);
    }
    Error error = here.error;
    if (error.code == ErrorCode::none) error.code = ErrorCode::object_lost;
    without_argument(dependency, name, error);
  });
}

void SimProcess::without_argument(std::uint32_t dependency, const wire::ObjectLocation& name, const Error& error) {
  if (error.code == ErrorCode::object_lost) return finish_without(dependency, name);
  running_->unreadable = error;
  arrived();
}

void SimProcess::compute(std::function<void()> then) {
  const Duration time = node_.slowed(std::chrono::microseconds(running_->args.microseconds));
  node_.after(time, [this, number = running_->number, then = std::move(then)] {
    if (!alive || !running_ || running_->number != number) return;
    then();
    settle();
  });
}

void SimProcess::wait_for(const std::vector<RefHandle>& refs, std::function<void()> then) {
  running_->then = std::move(then);
  running_->waiting = 1;
  for (const RefHandle ref : refs) {
    ++running_->waiting;
    when_ready(ref, [this, number = running_->number] {
      if (running_ && running_->number == number) arrived();
    });
  }
  if (running_->waiting > 1) {
    running_->blocked = true;
    worker_->block(*running_->call);
    worker_->wait_begins(*running_->call, refs, refs.size(), true, now());
    world_.probe("call.blocked");
  }
  arrived();
}

void SimProcess::arrived() {
  if (--running_->waiting != 0) return;
  worker_->wait_ends(*running_->call);
  if (std::exchange(running_->blocked, false)) worker_->unblock(*running_->call);
  std::exchange(running_->then, {})();
}

bool SimProcess::failed(const std::vector<RefHandle>& refs) {
  for (const RefHandle ref : refs) {
    const Error* const error = error_of(ref);
    if (error == nullptr) continue;
    const Error cause = *error;
    finish_error(cause.code, "a call of mine failed", {cause});
    return true;
  }
  return false;
}

void SimProcess::body() {
  const Args& args = running_->args;
  if (running_->unreadable) {
    const Error cause = *running_->unreadable;
    return finish_error(cause.code, "an argument cannot be read", {cause});
  }
  if ((running_->header.flags & wire::call_saves) != 0) {
    return compute([this] { save_actor(); });
  }
  switch (args.op) {
    case Op::leaf:
      return compute([this] { finish(2 * running_->args.value + 1); });
    case Op::nested:
      return compute([this] {
        const Args mine = running_->args;
        if (mine.depth == 0) return finish(1);
        for (std::uint32_t i = 0; i < mine.fan; ++i) {
          running_->children.push_back(submit({Op::nested, mine.depth - 1, mine.fan, mine.microseconds, 0, {}}));
        }
        wait_for(std::vector(running_->children), [this] {
          if (failed(running_->children)) return;
          std::uint64_t sum = 1;
          for (const RefHandle child : running_->children) sum += number(child);
          finish(sum);
        });
      });
    case Op::fail:
      return compute([this] { finish_error(ErrorCode::exception, "thrown on purpose"); });
    case Op::make_ref:
      return compute([this] {
        running_->children.push_back(submit({Op::leaf, 0, 0, 50, running_->args.value, {}}));
        finish(running_->args.value, {running_->children.front()});
      });
    case Op::use_ref:
      return wait_for(std::vector(running_->borrowed), [this] {
        if (failed(running_->borrowed)) return;
        finish(number(running_->borrowed.front()) + 1);
      });
    case Op::large:
      return compute([this] { finish_object(running_->args.value); });
    case Op::keep:
      return compute([this] {
        keep(running_->args.value, running_->args.fan, [this, run = running_->number](RefHandle ref) {
          if (!running_ || running_->number != run) return release(ref);
          running_->children.push_back(ref);
          finish(running_->args.value, {ref});
        });
      });
    case Op::grow:
      return compute([this] { finish_object(2 * running_->args.value + 1); });
    case Op::large_add:
      return compute([this] {
        actor_->total += running_->args.value;
        finish_object(actor_->total);
      });
    case Op::stream: {
      RunningCall& call = *running_->call;
      if (call.items == args.fan || call.stop || world_.call(running_->record).stop) return finish(args.value);
      if (call.items >= call.consumed + sim_window) {
        world_.probe("stream.waited_for_its_reader");
        running_->wants_room = true;
        return;
      }
      return compute([this] {
        RunningCall& mine = *running_->call;
        const std::uint64_t value = running_->args.value + mine.items;
        if (mine.items < mine.header.first_item) world_.probe("stream.item_skipped");
        worker_->item(mine, wire::ReplyKind::item_inline, std::as_bytes(std::span(&value, 1)), {});
        body();
      });
    }
    case Op::flaky:
      return compute([this] {
        if (running_->header.attempt <= 2) {
          return finish_error(ErrorCode::exception, "busy", {}, wire::reply_may_retry);
        }
        finish(2 * running_->args.value + 1);
      });
    case Op::recycle:
      return compute([this] {
        worker_->recycle(*running_->call);
        finish(2 * running_->args.value + 1);
      });
    case Op::last_word:
      return compute([this] {
        worker_->exit_actor(*running_->call);
        finish(actor_->total);
      });
    case Op::large_child:
      return compute([this] {
        const RefHandle object = submit({Op::large, 0, 0, 300, running_->args.value, {}});
        running_->children.push_back(submit({Op::leaf, 0, 0, 300, 0, {}}, {}, {object}));
        running_->children.push_back(object);
        wait_for(std::vector(running_->children), [this] {
          if (failed(running_->children)) return;
          finish(number(running_->children.front()));
        });
      });
    case Op::spawn:
      return compute([this] {
        const RefHandle actor = create_actor({Op::create, 0, 0, 20, 0, {}}, {.resources = {}});
        for (int i = 0; i < 3; ++i) {
          running_->children.push_back(call(actor, {Op::add, 0, 0, 20, running_->args.value, {}}));
        }
        release(actor);
        wait_for(std::vector(running_->children), [this] {
          if (failed(running_->children)) return;
          finish(number(running_->children.back()));
        });
      });
    case Op::claim:
      return compute([this] {
        worker_->block(*running_->call);
        running_->blocked = true;
        claim(running_->args.value, [this, run = running_->number](RefHandle actor) {
          if (!running_ || running_->number != run) return;
          running_->children.push_back(call(actor, {Op::whoami, 0, 0, 20, 0, {}}));
          running_->children.push_back(actor);
          running_->blocked = false;
          worker_->unblock(*running_->call);
          wait_for({running_->children.front()}, [this] {
            if (failed({running_->children.front()})) return;
            finish(number(running_->children.front()), {running_->children.back()});
          });
        });
      });
    case Op::whoami: {
      return finish(who_is(running_->header.actor()));
    }
    case Op::die_once:
      return compute([this] {
        if (running_->header.attempt == 1) {
          world_.kill(id_);
        } else {
          finish(2 * running_->args.value + 1);
        }
      });
    case Op::hungry:
    case Op::linger: {
      // Fifty looks at the stop flag.
      if (args.fan == 50 || running_->call->stop || world_.call(running_->record).stop) {
        if (args.fan != 50) world_.probe("call.stopped");
        return finish(args.value);
      }
      ++running_->args.fan;
      running_->args.microseconds = 1000;
      return compute([this] { body(); });
    }
    case Op::create:
      return compute([this] {
        actor_.emplace();
        actor_->total = running_->args.value;
        if (!running_->state.empty()) load_actor(running_->state);
        finish(0);
      });
    case Op::broken:
      return compute([this] { finish_error(ErrorCode::exception, "the constructor threw"); });
    case Op::add:
      return compute([this] {
        actor_->total += running_->args.value;
        finish(actor_->total);
      });
    case Op::append:
      return compute([this] {
        const std::uint64_t value = running_->args.value;
        actor_->list.push_back(value);
        if ((running_->header.flags & wire::call_replays) == 0) world_.appended(value);
        finish(value);
      });
    case Op::audit:
      world_.audited(running_->header.actor().ref(), actor_->list);
      return finish(actor_->list.size());
    case Op::store:
      return compute([this] {
        for (const RefHandle ref : running_->borrowed) {
          owner_->retain(ref);
          actor_->stored.push_back(ref);
        }
        finish(running_->args.value);
      });
    case Op::read_stored:
      if (actor_->stored.empty()) return finish_error(ErrorCode::exception, "nothing is stored");
      running_->children = std::exchange(actor_->stored, {});
      return wait_for(std::vector(running_->children), [this] {
        if (failed(running_->children)) return;
        finish(number(running_->children.back()) + 1);
      });
    case Op::ping: {
      const RefHandle second = running_->borrowed[1];
      if (args.fan != 0) running_->children.push_back(submit({Op::leaf, 0, 0, 300, args.value, {}}));
      running_->children.push_back(
          call(running_->borrowed[0], {Op::pong, 0, args.fan, 20, args.value, {owner_->id(second)}}, {}, {second}));
      return wait_for(std::vector(running_->children), [this] {
        if (failed(running_->children)) return;
        finish(number(running_->children.back()));
      });
    }
    case Op::append_by:
      running_->children.push_back(call(running_->borrowed.front(),
                                        {Op::append, 0, 0, 20, args.value * 64 + running_->header.attempt % 64, {}}));
      return wait_for(std::vector(running_->children), [this] {
        if (failed(running_->children)) return;
        finish(number(running_->children.back()));
      });
    case Op::pong:
    case Op::call_actor:
      if (args.fan != 0) running_->children.push_back(submit({Op::leaf, 0, 0, 300, args.value, {}}));
      running_->children.push_back(call(running_->borrowed.front(), {Op::add, 0, 0, 20, args.value, {}}));
      return wait_for(std::vector(running_->children), [this] {
        if (failed(running_->children)) return;
        finish(number(running_->children.back()));
      });
  }
  finish_error(ErrorCode::build_mismatch, "no such operation");
}

void SimProcess::let_go() {
  const Running ended = std::move(*running_);
  running_.reset();
  for (const wire::ObjectLocation& pinned : ended.pins) node_.memory().unpin(pinned, id_);
  for (const auto* refs : {&ended.borrowed, &ended.children}) {
    for (const RefHandle ref : *refs) {
      // A call that a deadlock ended was still waiting for it.
      if (waiters_.erase(ref) > 0) owner_->unwatch(ref);
      release(ref);
    }
  }
}

void SimProcess::finish(std::uint64_t value, std::vector<RefHandle> contained) {
  std::vector<std::byte> payload(sizeof value + contained.size() * sizeof(RefId));
  std::memcpy(payload.data(), &value, sizeof value);
  for (std::size_t i = 0; i < contained.size(); ++i) {
    owner_->retain(contained[i]);
    const RefId name = owner_->id(contained[i]);
    std::memcpy(payload.data() + sizeof value + i * sizeof name, &name, sizeof name);
  }
  RunningCall& call = *running_->call;
  let_go();
  worker_->finish(call, wire::ReplyKind::value_inline, payload, contained, now());
  for (const RefHandle ref : contained) release(ref);
}

// Its total, how long its list is, the list, the names of what it stores.
void SimProcess::save_actor() {
  std::vector<std::byte> payload;
  const auto append = [&](const auto& value) {
    const auto bytes = std::as_bytes(std::span(&value, 1));
    payload.insert(payload.end(), bytes.begin(), bytes.end());
  };
  append(actor_->total);
  append(std::uint64_t{actor_->list.size()});
  for (const std::uint64_t value : actor_->list) append(value);
  for (const RefHandle ref : actor_->stored) append(owner_->id(ref));
  world_.probe("actor.saved");
  RunningCall& call = *running_->call;
  let_go();
  worker_->finish(call, wire::ReplyKind::value_inline, payload, actor_->stored, now());
}

void SimProcess::load_actor(std::span<const std::byte> state) {
  const auto take = [&](auto& value) {
    std::memcpy(&value, state.data(), sizeof value);
    state = state.subspan(sizeof value);
  };
  std::uint64_t length = 0;
  take(actor_->total);
  take(length);
  actor_->list.resize(length);
  for (std::uint64_t& value : actor_->list) take(value);
  while (!state.empty()) {
    RefId ref;
    take(ref);
    actor_->stored.push_back(owner_->borrow(ref, false));
  }
  world_.probe("actor.loaded");
}

void SimProcess::finish_object(std::uint64_t value) {
  const auto made = node_.memory().create(id_);
  if (!made) {
    world_.probe("object.waits_for_room");
    send(node_process(node_.id()), wire::NeedRoom{++last_room_, SimStore::object_bytes});
    rooms_[last_room_] = [this, value, number = running_->number](const Error& error) {
      if (!running_ || running_->number != number) return;
      if (error.code == ErrorCode::none) return finish_object(value);
      finish_error(error.code, "there is no room for the result", {error});
    };
    return;
  }
  const wire::ObjectLocation location = *made;
  world_.set_value(location, value);
  RunningCall& call = *running_->call;
  if (world_.made(call.header.result())) world_.probe("object.made_again");
  let_go();
  worker_->finish(call, wire::ReplyKind::value_object, wire::encode_location(location).span(), {}, now());
}

void SimProcess::finish_without(std::uint32_t dependency, const wire::ObjectLocation& lost) {
  world_.probe("argument.lost");
  RunningCall& call = *running_->call;
  call.items = dependency;
  let_go();
  worker_->finish(call, wire::ReplyKind::argument_lost, wire::encode_location(lost).span(), {}, now());
}

void SimProcess::finish_error(ErrorCode code, const std::string& message, std::vector<Error> causes,
                              std::uint8_t flags) {
  Error error;
  error.code = code;
  error.message = message;
  error.causes = std::move(causes);
  RunningCall& call = *running_->call;
  let_go();
  worker_->finish(call, wire::ReplyKind::error, wire::encode_error(error).span(), {}, now(), flags);
}

}  // namespace mobula::sim
