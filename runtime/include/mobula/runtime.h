// Mobula's runtime: plain functions and objects, run as tasks and actors in other processes.
//
//   int square(int x) { return x * x; }
//
//   int main(int argc, char** argv) {
//     mobula::init(argc, argv);                     // first line of main: in a worker process this call never returns
//     auto rt = mobula::Runtime::start();
//     mobula::Ref<int> nine = rt.remote<square>(3);
//     std::cout << nine.get() << '\n';
//   }
//
// All methods may be called from any thread. Failures of tasks come out of Ref::get(); wrong use and a runtime that
// cannot be started throw TaskError at the call.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "mobula/actor.h"
#include "mobula/array.h"
#include "mobula/codec.h"
#include "mobula/coroutine.h"
#include "mobula/detail/call.h"
#include "mobula/function.h"
#include "mobula/options.h"
#include "mobula/ref.h"
#include "mobula/result.h"
#include "mobula/stream.h"

namespace mobula {

namespace detail {
inline std::chrono::nanoseconds time_left(Deadline deadline) {
  const auto now = Clock::now();
  return deadline > now ? deadline - now : std::chrono::nanoseconds(0);
}
[[noreturn]] void completions_late(std::size_t pending);
}  // namespace detail

// Must be the first thing that main does, before any thread exists: worker processes are this very program, and in one
// of them init serves tasks and never returns, so nothing of main runs twice.
void init(int argc, char** argv);

// Asked by a task that may run long: true once it was cancelled. Never true outside of tasks. Cheap.
class StopToken {
 public:
  StopToken() = default;
  explicit StopToken(const detail::StopFlag* flag) : flag_(flag) {}
  bool stop_requested() const { return flag_ != nullptr && flag_->raised(); }

 private:
  const detail::StopFlag* flag_ = nullptr;
};
// Of the task that the calling thread runs; valid until that ends.
StopToken stop_token();

// What a task or a call can ask about itself.
struct TaskInfo {
  std::string name;  // as in errors: Options::name, else the function's
  std::map<std::string, std::string> metadata;
  std::string node;
  int attempt = 0;      // 1 for the first; 0: this thread runs no task
  int incarnation = 0;  // of the actor: 2 after its first restart; 0: not in an actor
};
// Of the task or call that the calling thread runs.
TaskInfo this_task();

template <class T>
class Completions;

// The runtime with options for what is submitted through it: rt.with({.max_retries = 0}).remote<f>(x). Refers to the
// runtime; may be kept and reused.
class Configured {
 public:
  Configured(detail::Core& core, Options options) : core_(&core), options_(std::move(options)) {}

  template <auto F, class... A>
  auto remote(A&&... args) const {
    return detail::submit_task<F>(*core_, &options_, std::forward<A>(args)...);
  }
  template <auto F, class... A>
  auto stream(A&&... args) const {
    using Entry = detail::StreamEntry<F>;
    return detail::submit_stream<typename Entry::Shape>(*core_, {}, Entry::entry, &options_, std::forward<A>(args)...);
  }
  template <class T, class... A>
  Actor<T> spawn(A&&... args) const {
    return Actor<T>(core_, detail::submit_create<T>(*core_, &options_, std::forward<A>(args)...));
  }
  // Runtime::put() of a value that shall lie on several nodes (Options::copies), or outlive this process (detached).
  template <class T>
  Ref<std::decay_t<T>> put(const T& value) const {
    using Value = std::decay_t<T>;
    return Ref<Value>(core_, core_->put_with(detail::encode_value<Value>(*core_, detail::scratch(), value), options_));
  }

 private:
  detail::Core* core_;
  Options options_;
};

class Runtime {
 public:
  // Starts workers on this machine, or joins a cluster (see StartOptions). Throws TaskError, before anything is
  // started, if init() was not called or an option is wrong.
  static Runtime start(const StartOptions& options = {});
  // The runtime that runs the calling task; outside of tasks the only one that this process has started. The object
  // returned does not own it.
  static Runtime current() { return Runtime(detail::current_core(), false); }

  // Stops everything that was started: tasks that still run are ended, references that are not ready become
  // ErrorCode::unavailable. Returns when all processes have gone.
  ~Runtime();
  Runtime(Runtime&& other) noexcept : core_(std::exchange(other.core_, nullptr)), owns_(other.owns_) {}
  Runtime& operator=(Runtime&& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(owns_, other.owns_);
    return *this;
  }

  // Runs f(args...) in a worker. Arguments are copied; a Ref<T> fits where a T does, and the task starts when it is
  // there. F is a function, an instance of a function template, a captureless lambda, a function object without state,
  // or a coroutine (Task<T>). A std::tuple comes as several refs: auto [a, b] = rt.remote<f>(x).
  template <auto F, class... A>
  auto remote(A&&... args) const {
    return detail::submit_task<F>(*core_, nullptr, std::forward<A>(args)...);
  }
  template <class F, class... A>
  void remote(F&&, A&&...) const {
    static_assert(
        detail::never<F>,
        "mobula: the function is named at compile time: rt.remote<f>(args...). A lambda goes there too, if it "
        "captures nothing; pass what it would capture as arguments");
  }

  // The same of a function that makes a stream of items, read while it runs (see mobula/stream.h).
  template <auto F, class... A>
  auto stream(A&&... args) const {
    using Entry = detail::StreamEntry<F>;
    return detail::submit_stream<typename Entry::Shape>(*core_, {}, Entry::entry, nullptr, std::forward<A>(args)...);
  }

  // Makes a T(args...) in a worker process of its own. Errors of the constructor come out of the calls.
  template <class T, class... A>
  Actor<T> spawn(A&&... args) const {
    return Actor<T>(core_, detail::submit_create<T>(*core_, nullptr, std::forward<A>(args)...));
  }

  // Why the value is not there: who waits for what, since when, and which node was passed over for which reason; a few
  // lines for people. Takes less than a second also where processes do not answer.
  template <class T>
  std::string explain(const Ref<T>& ref) const {
    return core_->explain(ref.base().slot());
  }
  template <class T>
  std::string explain(const Actor<T>& actor) const {
    return core_->explain(actor.base().slot());
  }
  // The same of all tasks and actors of this name in the cluster, or of a ref as explanations and errors print it
  // ("n5f3a/3.1#17.2").
  std::string explain(std::string_view name) const { return core_->explain_name(name); }

  // Reserves all these bundles or none, for tasks and actors with .placement = {.group = g}: nobody else gets them
  // until remove() or the end of this process. Returns at once; what is submitted into the group waits for it. Bundles
  // of a node that dies are reserved again elsewhere.
  Group placement_group(const std::vector<Bundle>& bundles, const GroupOptions& options = {}) const {
    return core_->create_group(bundles, options);
  }
  // Waits until the group is reserved; the nodes of its bundles. ErrorCode::infeasible if it never can be, timed_out
  // (it goes on waiting for its place), unavailable once it was removed.
  Result<std::vector<std::string>> wait(const Group& group) const {
    return core_->wait_group(group, detail::Deadline::max());
  }
  Result<std::vector<std::string>> wait(const Group& group, std::chrono::nanoseconds timeout) const {
    return core_->wait_group(group, detail::deadline_after(timeout));
  }
  // Gives the reservation back. What still runs inside is killed, and not retried.
  void remove(const Group& group) const { core_->remove_group(group); }

  // The actor that was spawned with this name (Options::name), by whatever process. Without a namespace: in this job's
  // own, then in that of detached actors. Throws TaskError(invalid), with the names that there are, if nobody has it or
  // if it is not a T.
  template <class T>
  Actor<T> get_actor(std::string_view name, std::string_view name_space = {}) const {
    return Actor<T>(core_, core_->find_actor(name, name_space, detail::spelled_type<T>()));
  }

  // Stores a value once, for many tasks. A large one lies in the shared arena and is read there.
  template <class T>
  Ref<std::decay_t<T>> put(const T& value) const {
    return Ref<std::decay_t<T>>(core_,
                                core_->put(detail::encode_value<std::decay_t<T>>(*core_, detail::scratch(), value)));
  }

  // Waits until the value is there and lies on as many nodes as Options::copies asked for; on how many it does. Any
  // process that holds the ref may ask. The error of the value, if it is one; timed_out where there are not enough
  // nodes (yet). What this says was so a moment ago: nodes die, and copies are made anew.
  template <class T>
  Result<int> wait_copies(const Ref<T>& ref) const {
    return core_->wait_copies(ref.base().slot(), detail::Deadline::max());
  }
  template <class T>
  Result<int> wait_copies(const Ref<T>& ref, std::chrono::nanoseconds timeout) const {
    return core_->wait_copies(ref.base().slot(), detail::deadline_after(timeout));
  }

  Configured with(Options options) const { return Configured(*core_, std::move(options)); }

  // All the values, in order. Throws the first failure; with a timeout (for all of them together) timed_out.
  template <class T>
  std::vector<T> get(const std::vector<Ref<T>>& refs) const {
    expect(refs);
    std::vector<T> values;
    values.reserve(refs.size());
    for (const Ref<T>& ref : refs) values.push_back(ref.get());
    return values;
  }
  template <class T>
  std::vector<T> get(const std::vector<Ref<T>>& refs, std::chrono::nanoseconds timeout) const {
    const detail::Deadline deadline = detail::deadline_after(timeout);
    expect(refs);
    std::vector<T> values;
    values.reserve(refs.size());
    for (const Ref<T>& ref : refs) values.push_back(ref.get(detail::time_left(deadline)));
    return values;
  }

  // Returns when `count` of the refs are ready (a failure counts as ready), or the time has passed. Both lists keep the
  // order of `refs`; `ready` may hold more than asked for. Without a timeout, TaskError(would_deadlock) where so many
  // can never be ready.
  template <class T>
  struct Waited {
    std::vector<Ref<T>> ready, pending;
  };
  template <class T>
  Waited<T> wait(const std::vector<Ref<T>>& refs, std::size_t count = 1) const {
    return wait_until(refs, count, detail::Deadline::max());
  }
  template <class T>
  Waited<T> wait(const std::vector<Ref<T>>& refs, std::size_t count, std::chrono::nanoseconds timeout) const {
    return wait_until(refs, count, detail::deadline_after(timeout));
  }

  // The refs in the order in which they become ready: for (mobula::Ref<int> r : rt.as_completed(refs)) use(r.get());
  template <class T>
  Completions<T> as_completed(std::vector<Ref<T>> refs) const {
    return Completions<T>(*core_, std::move(refs), detail::Deadline::max());
  }
  // Throws TaskError(timed_out) where it would wait beyond the timeout, counted from here.
  template <class T>
  Completions<T> as_completed(std::vector<Ref<T>> refs, std::chrono::nanoseconds timeout) const {
    return Completions<T>(*core_, std::move(refs), detail::deadline_after(timeout));
  }

  // Cancels a task or an actor call: one that waits never starts; a running one sees stop_token() and ends the co_await
  // it is in (with force its process is killed). So do the tasks that it has submitted. Its Ref ends in
  // ErrorCode::cancelled, unless it finished before. Returns at once.
  template <class T>
  void cancel(const Ref<T>& ref, const CancelOptions& options = {}) const {
    core_->cancel(ref.base().slot(), options);
  }
  // Kills the actor's process; it does not restart. Calls that are queued or running fail with ErrorCode::actor_died.
  template <class T>
  void kill(const Actor<T>& actor) const {
    core_->kill(actor.base().slot());
  }

  int cpus() const { return core_->cpus(); }  // worker slots of this node; 0 in-process
  bool in_process() const { return core_->in_process(); }
  detail::Core& core() const { return *core_; }

 private:
  Runtime(detail::Core& core, bool owns) : core_(&core), owns_(owns) {}
  template <class T>
  void expect(const std::vector<Ref<T>>& refs) const {
    if (refs.size() < 2) return;
    std::vector<detail::Slot> slots;
    slots.reserve(refs.size());
    for (const Ref<T>& ref : refs) {
      if (ref.base().core() == core_) slots.push_back(ref.base().slot());
    }
    core_->expect(slots);
  }
  template <class T>
  Waited<T> wait_until(const std::vector<Ref<T>>& refs, std::size_t count, detail::Deadline deadline) const {
    std::vector<detail::Slot> slots;
    slots.reserve(refs.size());
    for (const Ref<T>& ref : refs) slots.push_back(ref.base().slot());
    std::vector<bool> ready(refs.size());
    core_->wait(slots, count, deadline, ready);
    Waited<T> out;
    for (std::size_t i = 0; i < refs.size(); ++i) (ready[i] ? out.ready : out.pending).push_back(refs[i]);
    return out;
  }
  detail::Core* core_;
  bool owns_;
};

// An input range, to be walked once.
template <class T>
class Completions {
 public:
  Completions(detail::Core& core, std::vector<Ref<T>> refs, detail::Deadline deadline)
      : core_(&core), deadline_(deadline), pending_(std::move(refs)) {}

  class Iterator {
   public:
    using value_type = Ref<T>;
    using difference_type = std::ptrdiff_t;
    Iterator() = default;
    explicit Iterator(Completions* range) : range_(range) {}
    const Ref<T>& operator*() const { return range_->ready_.back(); }
    Iterator& operator++() {
      range_->ready_.pop_back();
      range_->fill();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.done(); }

   private:
    bool done() const { return range_->ready_.empty(); }
    Completions* range_ = nullptr;
  };
  Iterator begin() {
    fill();
    return Iterator(this);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  void fill() {
    if (!ready_.empty() || pending_.empty()) return;
    std::vector<detail::Slot> slots;
    slots.reserve(pending_.size());
    for (const Ref<T>& ref : pending_) slots.push_back(ref.base().slot());
    std::vector<bool> is_ready(pending_.size());
    core_->wait(slots, 1, deadline_, is_ready);
    std::vector<Ref<T>> still;
    for (std::size_t i = pending_.size(); i-- > 0;) {
      (is_ready[i] ? ready_ : still).push_back(std::move(pending_[i]));
    }
    if (ready_.empty()) detail::completions_late(still.size());
    pending_.assign(std::make_move_iterator(still.rbegin()), std::make_move_iterator(still.rend()));
  }
  detail::Core* core_;
  detail::Deadline deadline_;
  std::vector<Ref<T>> pending_;  // in the order given
  std::vector<Ref<T>> ready_;    // the next one last
};

}  // namespace mobula
