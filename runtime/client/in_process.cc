#include "runtime/client/in_process.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

#include <fmt/format.h>

#include <mobula/detail/call.h>
#include <mobula/detail/registry.h>

#include "runtime/client/call_extras.h"
#include "runtime/client/context.h"
#include "runtime/client/failure.h"
#include "runtime/client/request.h"
#include "runtime/wire/directory.h"

namespace mobula::client {
namespace {

SlabHandle handle(detail::Slot slot) {
  return {slot.index, slot.generation};
}
detail::Slot slot_of(SlabHandle h) {
  return {h.index, h.generation};
}

// How many runs of this thread are nested in one another: what it must not wait for.
thread_local int nested_here = 0;

class HeapObject final : public detail::Object {
 public:
  explicit HeapObject(std::size_t bytes) {
    data_ = static_cast<std::byte*>(::operator new[](bytes, std::align_val_t{64}));
    size_ = bytes;
  }
  ~HeapObject() override { ::operator delete[](data_, std::align_val_t{64}); }
  bool given() const override { return given_.load(std::memory_order_relaxed); }
  std::atomic<bool> given_ = false;
};

}  // namespace

struct InProcessCore::Work {
  const detail::FunctionEntry* function = nullptr;
  std::string name;
  std::vector<std::byte> args;
  std::vector<SlabHandle> dependencies;
  Contained contained;
  SlabHandle result;  // none for an actor's constructor
  SlabHandle actor;   // none for a task
  Options options;
  std::vector<SlabHandle> more_results;
  bool stream = false;
  bool exits = false;  // the actor ends after it
  bool running = false;
  struct Stop final : detail::StopFlag {
    std::atomic<bool> flag = false;
    bool raised() const override { return flag.load(std::memory_order_relaxed); }
  } stop;
};

detail::Core* InProcessCore::start() {
  auto* core = new InProcessCore;
  register_core(core);
  return core;
}

InProcessCore::Entry& InProcessCore::entry(detail::Slot ref) {
  return refs_[handle(ref)];
}
InProcessCore::ActorEntry& InProcessCore::actor_entry(detail::Slot actor) {
  return actors_[handle(actor)];
}

std::unique_ptr<InProcessCore::Work> InProcessCore::make_work(const detail::Submission& s, SlabHandle result,
                                                              SlabHandle actor) {
  auto work = std::make_unique<Work>();
  work->function = s.function;
  if (s.options) work->options = *s.options;
  work->name = work->options.name.empty() ? std::string(s.function->name) : work->options.name;
  work->args.assign(s.args.begin(), s.args.end());
  for (const detail::Slot dependency : s.dependencies) {
    ++entry(dependency).count;
    work->dependencies.push_back(handle(dependency));
  }
  work->contained = retain_all(s.contained, s.contained_actors);
  work->result = result;
  work->actor = actor;
  return work;
}

InProcessCore::Contained InProcessCore::retain_all(std::span<const detail::Slot> refs,
                                                   std::span<const detail::Slot> actors) {
  Contained out;
  for (const detail::Slot ref : refs) {
    ++entry(ref).count;
    out.refs.push_back(handle(ref));
  }
  for (const detail::Slot actor : actors) {
    ++actor_entry(actor).count;
    out.actors.push_back(handle(actor));
  }
  return out;
}

void InProcessCore::release_all(const Contained& contained) {
  for (const SlabHandle ref : contained.refs) release_locked(ref);
  for (const SlabHandle actor : contained.actors) release_actor_locked(actor);
}

void InProcessCore::release_locked(SlabHandle ref) {
  Entry& e = refs_[ref];
  if (--e.count > 0) return;
  if (e.work != nullptr) {
    // Nobody will ask for the result; the task runs all the same. A stream ends with its reader.
    if (e.work->result == ref) e.work->result = {};
    if (e.work->stream) {
      e.work->stop.flag = true;
      changed_.notify_all();
    }
  }
  for (const SlabHandle item : std::exchange(refs_[ref].items, {})) release_locked(item);
  const Contained contained = std::move(refs_[ref].value.contained);
  refs_.erase(ref);
  release_all(contained);
}

void InProcessCore::release_actor_locked(SlabHandle actor) {
  ActorEntry& a = actors_[actor];
  if (--a.count > 0) return;
  // Work that waits for the actor counts as a handle, so nothing runs in it now.
  if (a.instance != nullptr) to_destroy_.emplace_back(a.instance, a.destroy);
  forget_name(a);
  actors_.erase(actor);
}

void InProcessCore::settle(SlabHandle ref, Value value) {
  if (Entry* e = ref ? refs_.find(ref) : nullptr) {
    e->state = Entry::State::value;
    e->value = std::move(value);
    e->work = nullptr;
  } else {
    release_all(value.contained);
  }
}

void InProcessCore::settle(SlabHandle ref, Error error) {
  if (Entry* e = ref ? refs_.find(ref) : nullptr) {
    e->state = Entry::State::error;
    e->error = std::move(error);
    e->work = nullptr;
  }
}

bool InProcessCore::runnable(const Work& work) const {
  if (work.running) return false;
  for (const SlabHandle dependency : work.dependencies) {
    if (refs_[dependency].state == Entry::State::pending) return false;
  }
  if (!work.actor || actors_[work.actor].gone) return true;
  if (actors_[work.actor].busy) return false;
  // In order: an earlier call of the same actor that waits goes first.
  for (const auto& earlier : waiting_) {
    if (earlier.get() == &work) return true;
    if (earlier->actor == work.actor && !earlier->running) return false;
  }
  return true;
}

void InProcessCore::enqueue(std::unique_ptr<Work> work) {
  waiting_.push_back(std::move(work));
}

void InProcessCore::retire(Work& work) {
  if (work.actor) {
    ActorEntry& actor = actors_[work.actor];
    actor.busy = false;
    if (work.exits && !actor.gone) {
      actor.gone =
          Error{.code = ErrorCode::actor_died, .message = "the actor ended itself by exit_actor()", .task = actor.name};
      if (actor.instance != nullptr) to_destroy_.emplace_back(std::exchange(actor.instance, nullptr), actor.destroy);
    }
  }
  const auto done = std::ranges::find_if(waiting_, [&](const auto& w) { return w.get() == &work; });
  const std::unique_ptr<Work> finished = std::move(*done);
  waiting_.erase(done);
  for (const SlabHandle dependency : finished->dependencies) release_locked(dependency);
  release_all(finished->contained);
  if (finished->actor) release_actor_locked(finished->actor);
  changed_.notify_all();
}

void InProcessCore::run_what_can() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto next = std::ranges::find_if(waiting_, [this](const auto& work) { return runnable(*work); });
    if (next == waiting_.end()) break;
    Work& work = **next;
    work.running = true;
    if (work.actor) actors_[work.actor].busy = true;
    if (work.stream && !closed_) {
      ++executing_;  // readers wait for it, rather than being told that nothing can come
      makers_.emplace_back([this, &work] {
        {
          std::unique_lock inner(mutex_);
          --executing_;
          run(work, inner);
          retire(work);
        }
        run_what_can();
      });
      continue;
    }
    run(work, lock);
    retire(work);
  }
  // Destructors are code of the user's.
  while (!to_destroy_.empty()) {
    const auto [instance, destroy] = to_destroy_.back();
    to_destroy_.pop_back();
    lock.unlock();
    {
      TaskScope scope({.core = this, .stop = nullptr, .info = nullptr, .run = nullptr});
      destroy(instance);
    }
    lock.lock();
  }
}

namespace {
// The part of an Invocation that Core::run gets back.
struct Taken : detail::Invocation {
  std::function<void(const detail::Encoded&)> take, take_part;
  std::function<bool(const detail::Encoded&)> take_item;
  static void finished(detail::Invocation& in, const detail::Encoded& result) { static_cast<Taken&>(in).take(result); }
  static void parted(detail::Invocation& in, const detail::Encoded& value) { static_cast<Taken&>(in).take_part(value); }
  static bool item_made(detail::Invocation& in, const detail::Encoded& item) {
    return static_cast<Taken&>(in).take_item(item);
  }
};

// Whether the options want another attempt after this error. Runs code of the user's.
bool wants_retry(const Options& options, const Error& error) {
  if (options.retry_if.entry() == nullptr) return options.retry_exceptions;
  try {
    return reinterpret_cast<bool (*)(const Error&)>(options.retry_if.entry()->target)(error);
  } catch (...) {
    return false;
  }
}
}  // namespace

void InProcessCore::run(Work& work, std::unique_lock<std::mutex>& lock) {
  const bool is_call = work.function->kind == detail::FunctionEntry::Kind::actor_call;
  const int attempts = is_call ? actors_[work.actor].max_call_retries : work.options.max_retries;
  const auto settle_all = [&](const Error& error) {
    for (const SlabHandle ref : work.more_results) settle(ref, error);
    settle(work.result, error);
  };
  for (int attempt = 1;; ++attempt) {
    const Where where{.task = work.name, .node = {}, .pid = getpid(), .attempt = attempt};
    const bool is_create = work.function->kind == detail::FunctionEntry::Kind::actor_create;
    if (closed_) return settle_all(closed("running a queued call"));
    if (work.stop.raised()) {
      return settle_all(
          Error{.code = ErrorCode::cancelled, .message = "cancelled before it started", .task = work.name});
    }
    if (work.actor && !is_create && actors_[work.actor].gone) {
      Error error{.code = ErrorCode::actor_died, .message = "the actor of this call is gone", .task = work.name};
      error.causes.push_back(*actors_[work.actor].gone);
      return settle_all(error);
    }
    std::vector<detail::Bytes> dependencies;
    for (const SlabHandle dependency : work.dependencies) {
      const Entry& e = refs_[dependency];
      if (e.state == Entry::State::error) {
        Error error = error_of_dependency(where, e.error);
        if (is_create) {
          forget_name(actors_[work.actor]);
          actors_[work.actor].gone = std::move(error);
        } else {
          settle_all(error);
        }
        return;
      }
      if (e.value.object) {
        dependencies.push_back({{e.value.object->data(), e.value.object->size()}, e.value.object});
      } else {
        dependencies.push_back({e.value.bytes, nullptr});
      }
    }
    process::Environment environment;
    const process::Surroundings wanted = work.actor ? actors_[work.actor].surroundings : surroundings_of(work.options);
    if (const Result<void> entered = wanted.any() ? environment.enter(wanted) : Result<void>(); !entered) {
      Error error = entered.error();
      error.task = work.name;
      error.pid = getpid();
      error.attempt = attempt;
      if (is_create) {
        forget_name(actors_[work.actor]);
        actors_[work.actor].gone = std::move(error);
      } else {
        settle_all(error);
      }
      return;
    }
    Value value;
    std::vector<Value> parts;
    Taken in{{.core = *this,
              .args = work.args,
              .dependencies = dependencies,
              .instance = work.actor ? actors_[work.actor].instance : nullptr,
              .destroy = nullptr,
              .finish = &Taken::finished,
              .part = &Taken::parted,
              .item = &Taken::item_made},
             {},
             {},
             {}};
    in.take = [&](const detail::Encoded& result) { value = value_of(result); };
    in.take_part = [&](const detail::Encoded& result) { parts.push_back(value_of(result)); };
    in.take_item = [&](const detail::Encoded& item) { return take_item(work, item); };
    ++executing_;
    lock.unlock();
    std::optional<Error> error;
    bool again = false;
    ++nested_here;
    try {
      const detail::CallInfo info{.name = work.name,
                                  .metadata = &work.options.metadata,
                                  .node = {},
                                  .attempt = attempt,
                                  .incarnation = work.actor ? 1 : 0};
      TaskScope scope({.core = this, .stop = &work.stop, .info = &info, .run = &work});
      work.function->run(in);
      if (in.suspended) {
        throw TaskError({.code = ErrorCode::invalid,
                         .message = "a coroutine stopped at something that is no mobula::Ref and no mobula::Task"});
      }
    } catch (...) {
      error = error_of_current_exception(where);
      again = !is_create && wants_retry(work.options, *error);
    }
    in.suspended.reset();
    --nested_here;
    environment.leave();
    lock.lock();
    --executing_;
    if (error && again && (attempts < 0 || attempt <= attempts) && !work.stop.raised() && !work.stream) {
      if (work.options.backoff.first.count() > 0) {
        ++executing_;
        changed_.wait_for(lock, work.options.backoff.first, [&] { return closed_ || work.stop.raised(); });
        --executing_;
      }
      continue;
    }
    if (is_create) {
      ActorEntry& actor = actors_[work.actor];
      actor.instance = in.instance;
      actor.destroy = in.destroy;
      if (error) {
        actor.gone =
            Error{.code = ErrorCode::actor_died, .message = "the actor's constructor failed", .task = work.name};
        actor.gone->causes.push_back(std::move(*error));
      }
    } else if (work.stop.raised()) {
      release_all(value.contained);
      for (const Value& part : parts) release_all(part.contained);
      settle_all(Error{.code = ErrorCode::cancelled,
                       .message = "cancelled while it ran",
                       .task = work.name,
                       .pid = getpid(),
                       .attempt = attempt});
    } else if (error) {
      settle_all(*error);
    } else if (!parts.empty()) {
      settle(work.result, std::move(parts[0]));
      for (std::size_t i = 1; i < parts.size(); ++i) settle(work.more_results[i - 1], std::move(parts[i]));
    } else {
      settle(work.result, std::move(value));
    }
    return;
  }
}

InProcessCore::Value InProcessCore::value_of(const detail::Encoded& encoded) {
  Value value;
  value.bytes.assign(encoded.bytes.begin(), encoded.bytes.end());
  value.object = encoded.object;
  if (value.object) static_cast<HeapObject&>(*value.object).given_ = true;
  std::lock_guard lock(mutex_);
  value.contained = retain_all(encoded.contained, encoded.contained_actors);
  return value;
}

bool InProcessCore::take_item(Work& work, const detail::Encoded& encoded) {
  Value value = value_of(encoded);
  std::unique_lock lock(mutex_);
  const auto unread = [&] {
    const Entry* stream = work.result ? refs_.find(work.result) : nullptr;
    return stream != nullptr ? stream->items.size() : 0;
  };
  changed_.wait(lock, [&] {
    return closed_ || work.stop.raised() || unread() < static_cast<std::size_t>(work.options.max_unread_items);
  });
  if (closed_ || work.stop.raised() || !work.result) {
    release_all(value.contained);
    return false;
  }
  const SlabHandle item = refs_.emplace();
  settle(item, std::move(value));
  refs_[work.result].items.push_back(item);
  changed_.notify_all();
  return true;
}

InProcessCore::Work& InProcessCore::add_work(const detail::Submission& s, SlabHandle result, detail::Slot actor) {
  auto work = make_work(s, result, handle(actor));
  if (actor) ++actor_entry(actor).count;
  refs_[result].work = work.get();
  Work& added = *work;
  enqueue(std::move(work));
  return added;
}

void InProcessCore::submit_many(detail::Slot actor, const detail::Submission& s, std::span<detail::Slot> results) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) throw_closed("submitting a call");
    for (detail::Slot& slot : results) {
      hold();
      slot = slot_of(refs_.emplace());
    }
    Work& work = add_work(s, handle(results[0]), actor);
    for (const detail::Slot slot : results.subspan(1)) {
      refs_[handle(slot)].work = &work;
      work.more_results.push_back(handle(slot));
    }
  }
  run_what_can();
}

detail::Slot InProcessCore::open_stream(detail::Slot actor, const detail::Submission& s) {
  SlabHandle result;
  {
    std::lock_guard lock(mutex_);
    if (closed_) throw_closed("opening a stream");
    result = refs_.emplace();
    hold();
    add_work(s, result, actor).stream = true;
  }
  run_what_can();
  return slot_of(result);
}

Result<detail::Slot> InProcessCore::stream_next(detail::Slot stream, detail::Deadline deadline) {
  std::unique_lock lock(mutex_);
  Entry& e = entry(stream);
  const auto there = [&] { return !e.items.empty() || e.state != Entry::State::pending || closed_; };
  if (deadline == detail::Deadline::max()) {
    changed_.wait(lock, there);
  } else if (!changed_.wait_until(lock, deadline, there)) {
    return Error{.code = ErrorCode::timed_out, .message = "the next item was not there in time; the stream goes on"};
  }
  if (!e.items.empty()) {
    const SlabHandle item = e.items.front();
    e.items.pop_front();
    hold();
    changed_.notify_all();
    return slot_of(item);
  }
  if (e.state == Entry::State::error) return e.error;
  if (e.state == Entry::State::pending) return closed("reading a stream");
  return detail::Slot{};
}

void InProcessCore::exit_actor() {
  std::lock_guard lock(mutex_);
  static_cast<Work*>(TaskScope::now().run)->exits = true;
}

detail::Slot InProcessCore::submit(const detail::Submission& s) {
  SlabHandle result;
  {
    std::lock_guard lock(mutex_);
    if (closed_) throw_closed("submitting a task");
    result = refs_.emplace();
    hold();
    add_work(s, result, {});
  }
  run_what_can();
  return slot_of(result);
}

namespace {
std::pair<std::string, std::string> full_name(std::string_view space, std::string_view name, bool detached) {
  return {space.empty() ? (detached ? wire::shared_space : "job") : std::string(space), std::string(name)};
}
}  // namespace

// An actor that has the name already, if it may be used.
SlabHandle InProcessCore::find_named(const Options& options, const std::string& type) {
  if (options.name.empty() && options.detached) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = "spawning a detached " + type + ": it needs a name, by which it is found again"});
  }
  const auto known = names_.find(full_name(options.name_space, options.name, options.detached));
  if (known == names_.end() || options.name.empty()) return {};
  const ActorEntry& actor = actors_[known->second];
  if (!options.get_if_exists || actor.type != type) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = fmt::format("the name '{}' is taken in namespace '{}' by a {}: use another name, kill "
                                            "that actor first, or say .get_if_exists = true to get it",
                                            options.name, known->first.first, actor.type)});
  }
  return known->second;
}

void InProcessCore::forget_name(ActorEntry& actor) {
  names_.erase(std::exchange(actor.registered, {}));
}

std::string InProcessCore::explain(detail::Slot) {
  return "in-process mode: calls run when their arguments are there, in the thread that waits for them\n";
}
std::string InProcessCore::explain_name(std::string_view) {
  return explain({});
}

// In one thread there is room for everything: groups say yes.
Group InProcessCore::create_group(std::span<const Bundle> bundles, const GroupOptions&) {
  std::lock_guard lock(mutex_);
  if (closed_) throw_closed("making a placement group");
  if (bundles.empty()) {
    throw TaskError({.code = ErrorCode::invalid, .message = "a placement group needs at least one bundle"});
  }
  groups_.push_back(bundles.size());
  return {{0, 0, groups_.size()}};
}
Result<std::vector<std::string>> InProcessCore::wait_group(const Group& group, detail::Deadline) {
  std::lock_guard lock(mutex_);
  const std::size_t number = group.words[2];
  if (number == 0 || number > groups_.size() || groups_[number - 1] == 0) {
    return Error{.code = ErrorCode::unavailable, .message = "the placement group was removed, or never made"};
  }
  return std::vector<std::string>(groups_[number - 1], "in-process");
}
void InProcessCore::remove_group(const Group& group) {
  std::lock_guard lock(mutex_);
  if (group.words[2] != 0 && group.words[2] <= groups_.size()) groups_[group.words[2] - 1] = 0;
}

detail::Slot InProcessCore::find_actor(std::string_view name, std::string_view name_space, std::string_view type) {
  std::lock_guard lock(mutex_);
  if (closed_) throw_closed("looking for an actor");
  auto known = names_.find(full_name(name_space, name, false));
  if (known == names_.end() && name_space.empty()) known = names_.find(full_name({}, name, true));
  if (known == names_.end()) {
    throw TaskError({.code = ErrorCode::invalid, .message = fmt::format("no actor has the name '{}'", name)});
  }
  ActorEntry& actor = actors_[known->second];
  if (actor.type != type) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = fmt::format("the actor '{}' is a {}, not a {}", name, actor.type, type)});
  }
  ++actor.count;
  hold();
  return slot_of(known->second);
}

detail::Slot InProcessCore::create_actor(const detail::Submission& s) {
  SlabHandle actor;
  {
    std::lock_guard lock(mutex_);
    if (closed_) throw_closed("spawning an actor");
    static const Options defaults;
    const Options& options = s.options != nullptr ? *s.options : defaults;
    const std::string type(s.function->name);
    if (const SlabHandle known = find_named(options, type)) {
      ++actors_[known].count;
      hold();
      return slot_of(known);
    }
    actor = actors_.emplace();
    hold();
    auto work = make_work(s, {}, actor);
    ActorEntry& a = actors_[actor];
    a.name = work->name;
    a.type = type;
    if (!options.name.empty()) {
      a.registered = full_name(options.name_space, options.name, options.detached);
      names_[a.registered] = actor;
    }
    if (options.detached) ++a.count;  // until it is killed
    a.max_call_retries = work->options.max_call_retries;
    a.surroundings = surroundings_of(work->options);
    ++a.count;  // of the work
    enqueue(std::move(work));
  }
  run_what_can();
  return slot_of(actor);
}

detail::Slot InProcessCore::call(detail::Slot actor, const detail::Submission& s) {
  SlabHandle result;
  {
    std::lock_guard lock(mutex_);
    if (closed_) throw_closed("calling an actor");
    result = refs_.emplace();
    hold();
    add_work(s, result, actor);
  }
  run_what_can();
  return slot_of(result);
}

detail::Slot InProcessCore::put(const detail::Encoded& value) {
  std::lock_guard lock(mutex_);
  if (closed_) throw_closed("storing a value");
  const SlabHandle ref = refs_.emplace();
  hold();
  Value stored;
  stored.bytes.assign(value.bytes.begin(), value.bytes.end());
  stored.object = value.object;
  if (stored.object) static_cast<HeapObject&>(*stored.object).given_ = true;
  stored.contained = retain_all(value.contained, value.contained_actors);
  settle(ref, std::move(stored));
  return slot_of(ref);
}

detail::Slot InProcessCore::put_with(const detail::Encoded& value, const Options& options) {
  check_copies(options);
  return put(value);
}

Result<int> InProcessCore::wait_copies(detail::Slot ref, detail::Deadline deadline) {
  const Result<detail::Bytes> bytes = get(ref, deadline);
  if (!bytes.ok()) return bytes.error();
  return 1;
}

Result<detail::Bytes> InProcessCore::get(detail::Slot ref, detail::Deadline deadline) {
  std::unique_lock lock(mutex_);
  Entry& e = entry(ref);
  while (e.state == Entry::State::pending) {
    if (closed_) return closed("waiting for a value");
    if (executing_ == nested_here) {
      return Error{
          .code = ErrorCode::would_deadlock,
          .message = fmt::format("waiting for {}, which can only run after the calling task has ended; in-process "
                                 "(workers = 0) an actor cannot wait for a call to itself",
                                 e.work ? e.work->name : "a value")};
    }
    if (deadline == detail::Deadline::max()) {
      changed_.wait(lock);
    } else if (changed_.wait_until(lock, deadline) == std::cv_status::timeout && e.state == Entry::State::pending) {
      return Error{.code = ErrorCode::timed_out,
                   .message = "the value was not there in time",
                   .task = e.work ? e.work->name : ""};
    }
  }
  if (e.state == Entry::State::error) return e.error;
  if (e.value.object) return detail::Bytes{{e.value.object->data(), e.value.object->size()}, e.value.object};
  return detail::Bytes{e.value.bytes, nullptr};
}

void InProcessCore::wait(std::span<const detail::Slot> refs, std::size_t count, detail::Deadline deadline,
                         std::vector<bool>& ready) {
  std::unique_lock lock(mutex_);
  for (;;) {
    std::size_t n = 0;
    for (std::size_t i = 0; i < refs.size(); ++i) {
      ready[i] = entry(refs[i]).state != Entry::State::pending;
      n += ready[i];
    }
    if (n >= std::min(count, refs.size()) || closed_) return;
    if (executing_ == nested_here) {
      throw TaskError({.code = ErrorCode::would_deadlock,
                       .message = "wait() inside an actor for calls to that same actor, in-process (workers = 0)"});
    }
    if (deadline == detail::Deadline::max()) {
      changed_.wait(lock);
    } else if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) {
      deadline = detail::Clock::now();
      if (n == 0 && count == 0) return;
      for (std::size_t i = 0; i < refs.size(); ++i) ready[i] = entry(refs[i]).state != Entry::State::pending;
      return;
    }
  }
}

void InProcessCore::cancel(detail::Slot ref, const CancelOptions&) {
  std::lock_guard lock(mutex_);
  if (Work* work = entry(ref).work) work->stop.flag = true;
  changed_.notify_all();
}

void InProcessCore::kill(detail::Slot actor) {
  {
    std::lock_guard lock(mutex_);
    ActorEntry& a = actor_entry(actor);
    if (a.gone) return;
    forget_name(a);
    a.gone = Error{.code = ErrorCode::actor_died, .message = "killed by Runtime::kill", .task = a.name};
    if (a.instance != nullptr && !a.busy) to_destroy_.emplace_back(std::exchange(a.instance, nullptr), a.destroy);
    changed_.notify_all();
  }
  run_what_can();
}

void InProcessCore::retain(detail::Slot ref) {
  hold();
  std::lock_guard lock(mutex_);
  ++entry(ref).count;
}

void InProcessCore::release(detail::Slot ref) {
  bool destroys = false;
  {
    std::lock_guard lock(mutex_);
    release_locked(handle(ref));
    destroys = !to_destroy_.empty();
  }
  if (destroys) run_what_can();
  drop();
}

void InProcessCore::retain_actor(detail::Slot actor) {
  hold();
  std::lock_guard lock(mutex_);
  ++actor_entry(actor).count;
}

void InProcessCore::release_actor(detail::Slot actor) {
  {
    std::lock_guard lock(mutex_);
    release_actor_locked(handle(actor));
  }
  run_what_can();
  drop();
}

detail::WireId InProcessCore::export_ref(detail::Slot ref) {
  return {{reinterpret_cast<std::uintptr_t>(this), ref.index, ref.generation}};
}
detail::WireId InProcessCore::export_actor(detail::Slot actor) {
  return export_ref(actor);
}

detail::Slot InProcessCore::import_ref(const detail::WireId& id, detail::Slot) {
  std::lock_guard lock(mutex_);
  const SlabHandle h{static_cast<std::uint32_t>(id.words[1]), static_cast<std::uint32_t>(id.words[2])};
  Entry* const e = id.words[0] == reinterpret_cast<std::uintptr_t>(this) ? refs_.find(h) : nullptr;
  if (e == nullptr) throw TaskError({.code = ErrorCode::bad_message, .message = "decoding a Ref: no such reference"});
  ++e->count;
  hold();
  return slot_of(h);
}

detail::Slot InProcessCore::import_actor(const detail::WireId& id, detail::Slot) {
  std::lock_guard lock(mutex_);
  const SlabHandle h{static_cast<std::uint32_t>(id.words[1]), static_cast<std::uint32_t>(id.words[2])};
  ActorEntry* const a = id.words[0] == reinterpret_cast<std::uintptr_t>(this) ? actors_.find(h) : nullptr;
  if (a == nullptr) throw TaskError({.code = ErrorCode::bad_message, .message = "decoding an Actor: no such actor"});
  ++a->count;
  hold();
  return slot_of(h);
}

std::shared_ptr<detail::Object> InProcessCore::allocate(std::size_t bytes) {
  try {
    return std::make_shared<HeapObject>(bytes);
  } catch (const std::bad_alloc&) {
    throw TaskError({.code = ErrorCode::out_of_memory,
                     .message = fmt::format("no room for a value of {} bytes in this process's memory", bytes)});
  }
}

void InProcessCore::shutdown() {
  unregister_core(this);
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    actors_.for_each([&](SlabHandle, ActorEntry& a) {
      if (a.instance != nullptr && !a.busy) to_destroy_.emplace_back(std::exchange(a.instance, nullptr), a.destroy);
      if (!a.gone) a.gone = closed("calling an actor");
    });
    changed_.notify_all();
  }
  run_what_can();
  for (std::thread& maker : makers_) maker.join();
  drop();
}

}  // namespace mobula::client
