// The in-process core (workers = 0): a task runs inside the call that submits it, an actor is an object of this
// process. Arguments and results take the same way through bytes as between processes and failures have the same form,
// so that a program can be stepped through in a debugger. There is no fault tolerance, for there is nothing that dies
// alone.
//
// A stream is made by a thread of its own, which waits when it is too far ahead of its reader.
//
// A call of an actor that is busy (it called itself, or another thread is in it) waits in line; it runs when the busy
// call ends. get() on something that can only run after the caller has returned is ErrorCode::would_deadlock.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "runtime/base/slab.h"
#include "runtime/client/core_base.h"
#include "runtime/process/environment.h"

namespace mobula::client {

class InProcessCore final : public CoreBase {
 public:
  static detail::Core* start();

  detail::Slot submit(const detail::Submission&) override;
  detail::Slot create_actor(const detail::Submission&) override;
  detail::Slot call(detail::Slot actor, const detail::Submission&) override;
  std::string explain(detail::Slot ref) override;
  std::string explain_name(std::string_view subject) override;
  Group create_group(std::span<const Bundle> bundles, const GroupOptions& options) override;
  Result<std::vector<std::string>> wait_group(const Group& group, detail::Deadline) override;
  void remove_group(const Group& group) override;
  detail::Slot find_actor(std::string_view name, std::string_view name_space, std::string_view type) override;
  detail::Slot put(const detail::Encoded&) override;
  // There is one process: nothing outlives it, and nothing lies elsewhere.
  detail::Slot put_with(const detail::Encoded&, const Options&) override;
  Result<int> wait_copies(detail::Slot ref, detail::Deadline) override;
  void submit_many(detail::Slot actor, const detail::Submission&, std::span<detail::Slot> results) override;
  detail::Slot open_stream(detail::Slot actor, const detail::Submission&) override;
  Result<detail::Slot> stream_next(detail::Slot stream, detail::Deadline) override;
  void exit_actor() override;
  Result<detail::Bytes> get(detail::Slot ref, detail::Deadline) override;
  void wait(std::span<const detail::Slot> refs, std::size_t count, detail::Deadline, std::vector<bool>& ready) override;
  void cancel(detail::Slot ref, const CancelOptions&) override;
  void kill(detail::Slot actor) override;
  void retain(detail::Slot ref) override;
  void release(detail::Slot ref) override;
  void retain_actor(detail::Slot actor) override;
  void release_actor(detail::Slot actor) override;
  detail::WireId export_ref(detail::Slot ref) override;
  detail::WireId export_actor(detail::Slot actor) override;
  detail::Slot import_ref(const detail::WireId&, detail::Slot cover) override;
  detail::Slot import_actor(const detail::WireId&, detail::Slot cover) override;
  std::shared_ptr<detail::Object> allocate(std::size_t bytes) override;
  int cpus() const override { return 0; }
  bool in_process() const override { return true; }
  void shutdown() override;

 private:
  struct Work;
  // Handles inside a value or inside arguments, with a count each.
  struct Contained {
    std::vector<SlabHandle> refs, actors;
  };
  struct Value {
    std::vector<std::byte> bytes;
    std::shared_ptr<detail::Object> object;
    Contained contained;
  };
  struct Entry {
    std::uint32_t count = 1;
    enum class State : std::uint8_t { pending, value, error } state = State::pending;
    Value value;
    Error error;
    Work* work = nullptr;          // while pending
    std::deque<SlabHandle> items;  // of a stream: made and not read, with a count each
  };
  struct ActorEntry {
    std::uint32_t count = 1;
    std::string name;
    std::string type{};
    std::pair<std::string, std::string> registered{};  // namespace and name; empty: none
    void* instance = nullptr;
    void (*destroy)(void*) = nullptr;
    bool busy = false;
    int max_call_retries = 0;
    process::Surroundings surroundings{};
    std::optional<Error> gone;  // why calls fail
  };

  std::unique_ptr<Work> make_work(const detail::Submission&, SlabHandle result, SlabHandle actor);
  bool runnable(const Work& work) const;
  void enqueue(std::unique_ptr<Work> work);
  void run_what_can();
  SlabHandle find_named(const Options& options, const std::string& type);
  void forget_name(ActorEntry& actor);
  void run(Work& work, std::unique_lock<std::mutex>& lock);
  void retire(Work& work);
  Work& add_work(const detail::Submission&, SlabHandle result, detail::Slot actor);
  bool take_item(Work& work, const detail::Encoded& item);
  Value value_of(const detail::Encoded& encoded);
  void settle(SlabHandle ref, Value value);
  void settle(SlabHandle ref, Error error);
  Contained retain_all(std::span<const detail::Slot> refs, std::span<const detail::Slot> actors);
  void release_all(const Contained& contained);
  void release_locked(SlabHandle ref);
  void release_actor_locked(SlabHandle actor);
  Entry& entry(detail::Slot ref);
  ActorEntry& actor_entry(detail::Slot actor);

  std::mutex mutex_;  // guards all below; never held while code of the user's runs
  std::condition_variable changed_;
  Slab<Entry> refs_;
  Slab<ActorEntry> actors_;
  std::map<std::pair<std::string, std::string>, SlabHandle> names_;
  std::vector<std::size_t> groups_;  // placement groups by number: how many bundles; 0: removed
  std::deque<std::unique_ptr<Work>> waiting_;
  std::vector<std::pair<void*, void (*)(void*)>> to_destroy_;  // instances whose last handle has gone
  int executing_ = 0;                                          // nested runs, over all threads
  std::vector<std::thread> makers_;                            // of streams: they run beside their readers
  bool closed_ = false;
};

}  // namespace mobula::client
