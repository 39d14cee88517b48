// The seam between the templates of the public headers and a runtime behind them: a driver's or worker's client over
// shared memory, or the in-process one. Everything here speaks bytes and slots; nothing here is for users.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mobula/options.h"
#include "mobula/result.h"

namespace mobula::detail {

using Clock = std::chrono::steady_clock;
using Deadline = Clock::time_point;  // Deadline::max(): none
inline Deadline deadline_after(std::chrono::nanoseconds time) {
  const auto now = Clock::now();
  return time >= Deadline::max() - now ? Deadline::max() : now + time;
}

// Values up to this size travel inside messages, larger ones lie in the object arena.
inline constexpr std::size_t inline_limit = 64 * 1024;

// A handle into the table of this process's references or actors.
struct Slot {
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // 0: none
  explicit operator bool() const { return generation != 0; }
  friend bool operator==(const Slot&, const Slot&) = default;
};

// The name of a reference or an actor on the wire: its owner's process and the slot there.
struct WireId {
  std::array<std::uint64_t, 3> words{};
};

// A large object of this process, written in place. Until put() or a result takes it over it belongs to whoever holds
// the pointer; afterwards the pointer only keeps its bytes mapped and unmoved.
class Object {
 public:
  virtual ~Object() = default;
  std::byte* data() const { return data_; }  // aligned to 64 bytes
  std::size_t size() const { return size_; }
  virtual bool given() const = 0;  // taken over already: cannot be taken a second time

 protected:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// See Core::shared_memory(). `keep` keeps it mapped.
struct SharedMemory {
  std::byte* data = nullptr;
  std::size_t size = 0;
  std::shared_ptr<const void> keep;
};

// Encoded bytes of a value. `keep` pins those that lie in the arena; it is null for bytes that live as long as the
// reference (or the call) that they came with. `cover` is the reference whose value this is: it keeps those inside
// alive while they are decoded (none for what belongs to a running call, which does that itself).
struct Bytes {
  std::span<const std::byte> span;
  std::shared_ptr<const void> keep;
  Slot cover{};
};

// What stop_token() asks. Any thread.
class StopFlag {
 public:
  virtual bool raised() const = 0;

 protected:
  ~StopFlag() = default;
};

struct FunctionEntry;

// One task, actor construction or actor call. Everything is copied or retained before the call returns.
struct Submission {
  const FunctionEntry* function = nullptr;
  std::span<const std::byte> args;     // see detail/call.h for the layout
  std::span<const Slot> dependencies;  // references whose values are arguments, in order
  std::span<const Slot> contained;     // references inside the arguments: alive until the call has ended
  std::span<const Slot> contained_actors;
  const Options* options = nullptr;  // null: defaults
};

// What this_task() tells. Any of it lives as long as the call.
struct CallInfo {
  std::string_view name;
  const std::map<std::string, std::string>* metadata = nullptr;  // null: none
  std::string_view node;
  int attempt = 1;
  int incarnation = 0;  // of an actor; 0: a task
};

// An encoded value about to be stored or returned: either small bytes or an object.
struct Encoded {
  std::span<const std::byte> bytes;
  std::shared_ptr<Object> object;
  std::span<const Slot> contained;
  std::span<const Slot> contained_actors;
};

// Thread-safe. Methods that cannot do what was asked throw TaskError; failures of the task itself come out of get().
// A slot returned is held once for the caller.
class Core {
 public:
  virtual Slot submit(const Submission&) = 0;
  virtual Slot create_actor(const Submission&) = 0;
  virtual Slot call(Slot actor, const Submission&) = 0;
  virtual std::string explain(Slot ref) = 0;
  virtual std::string explain_name(std::string_view subject) = 0;
  virtual Group create_group(std::span<const Bundle> bundles, const GroupOptions& options) = 0;
  virtual Result<std::vector<std::string>> wait_group(const Group& group, Deadline) = 0;
  virtual void remove_group(const Group& group) = 0;
  virtual Slot find_actor(std::string_view name, std::string_view name_space, std::string_view type) = 0;
  virtual Slot put(const Encoded&) = 0;
  virtual Slot put_with(const Encoded&, const Options&) = 0;
  // On how many nodes the value lies, once there are as many as was asked for.
  virtual Result<int> wait_copies(Slot ref, Deadline) = 0;
  // A task (or, with an actor, a call) with as many results as the span is long.
  virtual void submit_many(Slot actor, const Submission&, std::span<Slot> results) = 0;
  // One whose results are items. The slot stands for its end; releasing it closes the stream.
  virtual Slot open_stream(Slot actor, const Submission&) = 0;
  // The next item, held once for the caller; an empty slot after the last one; what ended it, or timed_out.
  virtual Result<Slot> stream_next(Slot stream, Deadline) = 0;

  // The value's bytes, valid while the caller holds the reference (and `keep`).
  virtual Result<Bytes> get(Slot ref, Deadline) = 0;
  // All of these will be read: what is not known here, or lies elsewhere, is asked for now and not one after the other.
  virtual void expect(std::span<const Slot> refs) { (void)refs; }
  // Waits until at least `count` are ready or the deadline passes; ready[i] is set for every one that is.
  virtual void wait(std::span<const Slot> refs, std::size_t count, Deadline, std::vector<bool>& ready) = 0;
  // For a coroutine that the calling thread runs: true if it will be resumed once the value is there. False: the value
  // is there, or this thread has to wait for it in get().
  virtual bool resume_when_ready(Slot, std::coroutine_handle<>) { return false; }
  // The same until wake() or the deadline: a name for the call that waits, or null if it cannot. wake() is called once
  // at most for each, by the thread of the coroutines, and not after the call was resumed.
  virtual void* suspend(std::coroutine_handle<>, Deadline) { return nullptr; }
  virtual void wake(void*) {}
  virtual void cancel(Slot ref, const CancelOptions&) = 0;
  virtual void kill(Slot actor) = 0;

  // Local counts. A handle may outlive the runtime; then its uses end in `unavailable`.
  virtual void retain(Slot ref) = 0;
  virtual void release(Slot ref) = 0;
  virtual void retain_actor(Slot actor) = 0;
  virtual void release_actor(Slot actor) = 0;

  virtual WireId export_ref(Slot ref) = 0;
  virtual WireId export_actor(Slot actor) = 0;
  virtual Slot import_ref(const WireId&, Slot cover) = 0;
  virtual Slot import_actor(const WireId&, Slot cover) = 0;

  // Space for a large value. Throws TaskError(out_of_memory) naming the sizes.
  virtual std::shared_ptr<Object> allocate(std::size_t bytes) = 0;

  // Memory that several processes of the node write into, against the rule that objects never change: the bytes of an
  // object that was made for it (allocate, then put). Throws TaskError(invalid) where it lies on another node.
  virtual SharedMemory shared_memory(Slot) { return {}; }
  // Reads what has arrived for this process, without waiting: for threads that wait by other means.
  virtual void look() {}

  // Of the actor whose call the calling thread runs. Throws TaskError(invalid) elsewhere.
  virtual void exit_actor() = 0;

  virtual int cpus() const = 0;  // worker slots of this node
  virtual bool in_process() const = 0;
  virtual void shutdown() = 0;  // by Runtime's destructor; the core is freed when the last handle has gone too

 protected:
  virtual ~Core() = default;
};

// The runtime of this thread: inside a task the one that runs it; elsewhere the only one that this process has started.
// Throws TaskError(invalid) if there is none, or several.
Core& current_core();
Core* current_core_or_null();

}  // namespace mobula::detail
