// The core of a process that talks through lanes: the driver's and each worker's. It carries out what the process's
// Owner asks for, and gives it what arrives.
//
// Threads. One mutex guards the Owner and both halves of the endpoint but for sleeping: a thread that waits takes the
// baton (`pumping_`), sleeps without the mutex, reads the lanes with it, and passes the baton on. Others that wait
// sleep until the one with the baton has made a round. When nobody waits, a background thread looks after the lanes:
// the node's loop in a driver, a thread of its own in a worker that owns what others need. It keeps away while the
// program pumps often: it looks every few milliseconds, and goes to sleep on the doorbell only once a whole period
// passed without activity, so that busy threads pay nothing for it.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/base/time.h"
#include "runtime/client/core_base.h"
#include "runtime/client/transport.h"
#include "runtime/net/endpoint.h"
#include "runtime/net/segment.h"
#include "runtime/object/arena.h"
#include "runtime/owner/owner.h"

namespace mobula::client {

struct ProcessSetup {
  NodeId node;
  std::string node_name;
  pid_t node_pid = 0;               // a worker's
  net::Segment* segment = nullptr;  // outlives close()
  net::Peer self;
  std::shared_ptr<object::Arena> arena;
  wire::Program program;
  int cpus = 0;
  std::uint64_t job = 0;  // a driver's; a worker works for whoever leases it
  Duration idle_lease_keep{};
  std::uint64_t lineage_bytes = 64 << 20;
};

wire::GroupId group_id(const Group& group);

class ProcessCore : public CoreBase, protected OwnerSink {
 public:
  explicit ProcessCore(const ProcessSetup& setup);

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
  detail::Slot put_with(const detail::Encoded&, const Options&) override;
  Result<int> wait_copies(detail::Slot ref, detail::Deadline) override;
  void submit_many(detail::Slot actor, const detail::Submission&, std::span<detail::Slot> results) override;
  detail::Slot open_stream(detail::Slot actor, const detail::Submission&) override;
  Result<detail::Slot> stream_next(detail::Slot stream, detail::Deadline) override;
  Result<detail::Bytes> get(detail::Slot ref, detail::Deadline) override;
  void expect(std::span<const detail::Slot> refs) override;
  void wait(std::span<const detail::Slot> refs, std::size_t count, detail::Deadline, std::vector<bool>& ready) override;
  void cancel(detail::Slot ref, const CancelOptions&) override;
  void kill(detail::Slot actor) override;
  void retain(detail::Slot ref) override;
  void release(detail::Slot ref) override;
  void retain_actor(detail::Slot actor) override { retain(actor); }
  void release_actor(detail::Slot actor) override { release(actor); }
  detail::WireId export_ref(detail::Slot ref) override;
  detail::WireId export_actor(detail::Slot actor) override { return export_ref(actor); }
  detail::Slot import_ref(const detail::WireId&, detail::Slot cover) override;
  detail::Slot import_actor(const detail::WireId&, detail::Slot cover) override;
  std::shared_ptr<detail::Object> allocate(std::size_t bytes) override;
  detail::SharedMemory shared_memory(detail::Slot ref) override;
  void look() override;
  void exit_actor() override;
  int cpus() const override { return cpus_; }
  bool in_process() const override { return false; }

  void before_fork() override { mutex_.lock(); }
  void after_fork_in_parent() override { mutex_.unlock(); }
  void after_fork_in_child() override;

  const std::string& node_name() const { return node_name_; }
  // How much this process still owns, borrows and waits for.
  Owner::Counts counts() {
    const Lock lock(mutex_);
    return owner_->counts();
  }

 protected:
  /// When a timer of the owner, or of a death that nobody tells of, is due.
  Time next_timer() const { return std::min(owner_->next_timer(), suspect_due_); }

  using Lock = std::unique_lock<std::mutex>;
  ~ProcessCore() override;

  // One round: reads what is there, or sleeps until something is, or the deadline passes, or another thread made a
  // round.
  void pump(Lock& lock, Time deadline, net::Endpoint::Interest interest = net::Endpoint::Interest::messages);
  // Reads lanes and runs due timers, without sleeping. With the baton, or when nobody has it.
  std::size_t read_lanes();
  // Sleeps until done() or the deadline; false: the deadline passed, or the core was closed.
  // `on`: what is waited for until so many of them are there; none: for something else, or only for a while.
  template <class Done>
  bool wait_until(Lock& lock, Time deadline, std::span<const RefHandle> on, std::size_t needed, const Done& done);
  template <class Done>
  bool wait_until(Lock& lock, Time deadline, RefHandle on, const Done& done) {
    return wait_until(lock, deadline, std::span<const RefHandle>(&on, on ? 1 : 0), 1, done);
  }
  // The end: later calls fail with `unavailable`, frames go nowhere, waiting threads return.
  void close(Lock& lock);
  void note_activity();

  // Hooks, called with the mutex.
  // As in wait_until().
  virtual void begin_blocking(Lock&, std::span<const RefHandle> on, std::size_t needed) { (void)on, (void)needed; }
  virtual void end_blocking(Lock&) {}
  // Why the wait of the call that this thread runs shall end early, once; none: it goes on.
  virtual std::optional<Error> interruption() { return std::nullopt; }
  // Timers besides the Owner's.
  virtual Time next_own_timer() const { return never; }
  virtual void on_own_timer() {}
  // Before the Owner is used for what a call does, where several calls run (concurrent_): tells it which.
  virtual void enter_context() {}
  // What the Owner did not take, and what others want to see too (BorrowAck, ObjectHere).
  virtual void on_other_message(const ProcessId&, const wire::Message&) {}
  virtual void on_process_gone(const ProcessId&) {}
  virtual void on_node_gone(NodeId) {}
  virtual void after_input() {}
  // Makes the background thread look within a few milliseconds, where there is one or one is needed, and clears
  // background_sleeps_. Called when it sleeps and something was begun.
  virtual void rouse_background() = 0;

  // Pins an object that lies on this node, in its arena or on its disk.
  Result<detail::Bytes> read_object(Lock& lock, const RefId& ref, const wire::ObjectLocation& location, Time deadline);
  // Asks the node to bring an object here, and waits: where it lies.
  Result<wire::ObjectLocation> pull(Lock& lock, const RefId& ref, const wire::ObjectLocation& location, Time deadline);

  detail::Slot with_result(RefHandle handle);
  static RefHandle handle_of(detail::Slot slot) { return {slot.index, slot.generation}; }
  static detail::Slot slot_of(RefHandle handle) { return {handle.index, handle.generation}; }

  // OwnerSink
  SendStatus send_call(const ProcessId& worker, const wire::CallHeader& header, std::span<const std::byte> args,
                       std::span<const wire::Dependency> deps, CallTicket& ticket) override;
  bool withdraw(const ProcessId& worker, const CallTicket& ticket) override;
  void raise_stop(const ProcessId& worker, const CallTicket& ticket, bool recursive) override;
  void send(const ProcessId& to, wire::Message&& message) override;
  void ready(RefHandle) override { ++ready_events_; }
  std::string function_name(const FunctionId& function) override;

  const ProcessId self_;
  const std::string node_name_;
  const int cpus_;
  const std::shared_ptr<object::Arena> arena_;

  std::mutex mutex_;  // guards all below
  net::Segment* segment_;
  std::unique_ptr<net::Endpoint> endpoint_;
  std::unique_ptr<Transport> transport_;
  std::unique_ptr<Owner> owner_;
  bool closed_ = false;
  Time now_{};  // of the round that runs

  bool pumping_ = false;             // someone has the baton
  bool background_pumping_ = false;  // and it is the background thread
  int waiting_ = 0;                  // threads that wait for a round to end
  bool interrupted_ = false;         // some call's wait shall end early: see interruption()
  bool concurrent_ = false;          // several calls run in this process
  bool calls_wanted_ = false;        // whoever pumps shall wake up for a call too
  std::condition_variable round_ended_;
  std::uint64_t ready_events_ = 0;
  std::uint64_t activity_ = 0;     // grows with everything the program does
  bool background_sleeps_ = true;  // until roused or until the doorbell rings

 private:
  void on_frame(net::Peer from, std::span<const std::byte> bytes);
  void on_reply(const ProcessId& from, std::span<const std::byte> frame);
  void on_message(const ProcessId& from, const wire::Message& message);
  struct KnownOptions;
  const KnownOptions& know(const Options& options);
  TaskSpec make_spec(const detail::Submission&);
  RefHandle submit_spec(detail::Slot actor, TaskSpec&& spec, std::vector<RefHandle>* more);
  std::vector<RefHandle> contained_of(std::span<const detail::Slot> refs, std::span<const detail::Slot> actors);
  RefHandle import(const detail::WireId& id, bool actor, detail::Slot cover);
  void opportunistic_read();
  detail::Slot create_named(Lock& lock, ActorSpec&& spec, const Options& options);
  // The bytes of a value: an object is sealed, and whoever owns the reference has to see that somebody answers for it.
  wire::Value take_over(const detail::Encoded& value);
  detail::Slot store(const detail::Encoded& value, std::uint32_t copies);
  detail::Slot put_detached(const detail::Encoded& value, std::uint32_t copies);
  detail::Slot create_detached(Lock& lock, ActorSpec&& spec, const Options& options);
  std::string wait_for_why(Lock& lock, std::uint64_t question, std::string_view nothing);
  wire::NameReply wait_for_name(Lock& lock, std::uint64_t tag, const char* tried);
  detail::Slot adopt(const wire::NameReply& reply, std::string_view type, std::string_view name);

  SendStatus send_call_by_objects(const ProcessId& worker, const wire::CallHeader& header,
                                  std::span<const std::byte> args, std::span<const wire::Dependency> deps,
                                  CallTicket& ticket);

  std::uint32_t submissions_ = 0;
  struct Pull {
    int waiting = 0;  // threads
    std::optional<wire::ObjectHere> arrived;
  };
  std::map<wire::ObjectLocation, Pull> pulls_;
  std::uint64_t last_room_ = 0;
  // Processes that were not there to get a message: unless the node tells of their death by then, which says how they
  // died, it was before this process began, and nobody ever will.
  void look_at_suspects();
  std::map<ProcessId, Time> suspects_;
  Time suspect_due_ = never;

  std::map<std::uint64_t, std::optional<Error>> rooms_;  // asked for; the answers
  // Values that were written into the arena because a call with all of them would not fit a frame; freed at its reply.
  std::map<RefHandle, std::vector<object::Location>> shipped_;
  // What the latest options became: a program that submits under a few of them in turn does not convert them each time.
  struct KnownOptions {
    Options options;
    TaskClass task_class = 0;
    std::vector<std::byte> extras;
    std::uint32_t group = 0;
  };
  std::vector<KnownOptions> known_;
  std::size_t next_known_ = 0;  // to be replaced
};

template <class Done>
bool ProcessCore::wait_until(Lock& lock, Time deadline, std::span<const RefHandle> on, std::size_t needed,
                             const Done& done) {
  if (done()) return true;
  if (closed_) return false;
  note_activity();
  if (!pumping_) read_lanes();
  if (done()) return true;
  begin_blocking(lock, on, needed);
  bool is_done = false;
  for (;;) {
    is_done = done();
    if (is_done || closed_ || (interrupted_ && !on.empty())) break;
    if (deadline != never && steady_now() >= deadline) break;
    pump(lock, deadline);
  }
  end_blocking(lock);
  note_activity();
  return is_done;
}

}  // namespace mobula::client
