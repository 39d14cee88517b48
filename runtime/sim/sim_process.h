// A simulated process: the Owner machine, in workers the Worker machine too, and the body of the call that runs, which
// is one of the operations of Op, cut into steps where it waits (sim_body.cc).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/owner/owner.h"
#include "runtime/sim/world.h"
#include "runtime/wire/codec.h"
#include "runtime/worker/worker.h"

namespace mobula::sim {

/// What a simulated function does. `value` is its argument, or the sum of its dependencies and its argument.
enum class Op : std::uint32_t {
  leaf = 1,     // 2 * value + 1
  nested,       // 1 + the sum of `fan` calls of nested with depth - 1; at depth 0: 1
  fail,         // throws
  make_ref,     // a value that contains a ref to a leaf
  use_ref,      // waits for the ref inside its arguments: its value + 1
  large,        // value, as an object
  spawn,        // an actor, three adds of `value`: the last result
  die_once,     // kills its process in the first attempt, then leaf
  linger,       // takes 50 ms unless it is stopped: value
  hungry,       // the same, and 100 MB
  create,       // an actor's constructor: starts at value
  broken,       // an actor's constructor that throws
  add,          // the actor's total + value
  store,        // the actor keeps the ref inside its arguments: value
  read_stored,  // waits for the ref that the actor keeps, then drops it: its value + 1
  call_actor,   // calls add(value) on the actor inside its arguments: the result
  claim,        // gets the actor that is called `value`, or makes it, and asks who it is: contains a ref of it
  whoami,       // an actor's number: it has no two
  stream,       // `fan` items, from value on
  flaky,        // throws in its first two attempts, in a way that is tried again; then leaf
  recycle,      // leaf, after which its process ends
  ping,         // calls pong on the first actor inside its arguments, with the second one; with `fan` a leaf beside it
  pong,         // calls add(value) on the actor inside its arguments: the result
  last_word,    // the actor's total, after which it ends itself
  grow,         // 2 * value + 1, as an object
  large_add,    // the actor's total + value, as an object
  append,       // adds value to the actor's list: value
  append_by,    // calls append of a value of its own on the actor inside its arguments: that value
  audit,        // tells the world the actor's list: its length
  large_child,  // a child makes an object, another one reads it: 2 * value + 1
  keep,         // a value that contains a ref to `value` as an object, which the head owns, on `fan` nodes
};

struct Args {
  Op op = Op::leaf;
  std::uint32_t depth = 0;
  std::uint32_t fan = 0;
  std::uint32_t microseconds = 100;
  std::uint64_t value = 0;
  std::vector<RefId> refs;
};
Bytes encode(const Args& args);
Args decode_args(std::span<const std::byte> bytes);
/// The number that an inline value is; 0 of fewer bytes.
std::uint64_t first_word(std::span<const std::byte> bytes);
FunctionId function_of(Op op);
/// What an actor answers to whoami.
std::uint64_t who_is(const ActorId& actor);

class SimNode;

class SimProcess final : public OwnerSink, public WorkerSink {
 public:
  SimProcess(World& world, SimNode& node, ProcessId id, bool worker);
  ~SimProcess();

  ProcessId id() const { return id_; }
  bool alive = true;
  bool started = false;
  Owner& owner() { return *owner_; }
  Worker* worker() { return worker_.get(); }
  /// Of its own.
  std::uint64_t memory_bytes() const;
  SimNode& node() { return node_; }

  // ---- for scripts of drivers (and the bodies of calls)
  RefHandle submit(Args args, TaskOptions options = {}, std::vector<RefHandle> deps = {},
                   std::vector<RefHandle> contained = {});
  RefHandle create_actor(Args args, ActorOptions options = {});
  RefHandle call(RefHandle actor, Args args, std::vector<RefHandle> deps = {}, std::vector<RefHandle> contained = {});
  RefHandle put(std::uint64_t value);
  /// An object that the head owns.
  void keep(std::uint64_t value, std::uint32_t copies, std::function<void(RefHandle)> then);
  /// The actor of this name, made by whoever was first; a handle with one count.
  void claim(std::uint64_t name, std::function<void(RefHandle)> then);
  /// A placement group; calls back when it is placed, or never will be.
  wire::GroupId place_group(wire::CreateGroup wanted, std::function<void(const wire::GroupPlaced&)> then);
  /// Where it lies, once it does.
  void watch_group(const wire::GroupId& group, std::function<void(const wire::GroupPlaced&)> then);
  RefHandle stream(Args args, TaskOptions options, std::uint32_t window);
  /// Calls back whenever the stream may have an item, or has ended, until it returns false.
  void read(RefHandle stream, std::function<bool()> reader);
  void release(RefHandle ref);
  /// Calls back when the ref is known (and, an object, here).
  void when_ready(RefHandle ref, std::function<void()> then);
  /// The number in an inline value or object; the refs in it.
  std::uint64_t number(RefHandle ref) const;
  std::vector<RefId> refs_in(RefHandle ref) const;
  /// Why there is no value; null if there is one.
  const Error* error_of(RefHandle ref) const;

  // ---- inputs
  void on_frame(Frame frame);
  void settle();  // after any input
  void died();
  void clock_jumped();

  // OwnerSink
  SendStatus send_call(const ProcessId& to, const wire::CallHeader& header, std::span<const std::byte> args,
                       std::span<const wire::Dependency> deps, CallTicket& ticket) override;
  bool withdraw(const ProcessId& to, const CallTicket& ticket) override;
  void raise_stop(const ProcessId& to, const CallTicket& ticket, bool recursive) override;
  void send(const ProcessId& to, wire::Message&& message) override;
  void ready(RefHandle ref) override;
  std::string function_name(const FunctionId& function) override;
  // WorkerSink
  void reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
             std::span<const RefId> contained) override;
  void raise_stop(RunningCall& call) override;
  void stream_room(RunningCall& call) override;
  void deadlock(RunningCall& call, Error&& why) override;
  void destroy_actor() override;
  void exit() override;

  std::deque<Frame> lane;  // calls that arrived and were not taken

 private:
  struct Running {
    wire::CallHeader header;
    RunningCall* call = nullptr;
    Args args;
    std::uint64_t record = 0;         // of the lane; 0 for calls from elsewhere
    std::uint64_t number = 0;         // which run of this process
    std::size_t waiting = 0;          // for so many refs or objects
    std::vector<RefHandle> borrowed;  // from the arguments
    std::vector<RefHandle> children;
    std::vector<RefHandle> result_refs;
    std::vector<wire::ObjectLocation> pins;  // of arguments
    std::optional<Error> unreadable;         // one of the arguments
    std::function<void()> then;              // once nothing is waited for
    bool blocked = false;
    std::vector<std::byte> state;  // of an actor that resumes
    bool wants_room = false;       // a stream that is too far ahead of its reader
  };
  struct Actor {
    std::uint64_t total = 0;
    std::vector<std::uint64_t> list;
    std::vector<RefHandle> stored;
  };

  void take();
  void save_actor();
  void load_actor(std::span<const std::byte> state);
  void begin(const Frame& frame);
  void body();
  void compute(std::function<void()> then);
  void wait_for(const std::vector<RefHandle>& refs, std::function<void()> then);
  void arrived();
  void finish(std::uint64_t value, std::vector<RefHandle> contained = {});
  void finish_object(std::uint64_t value);
  /// Takes an argument that is an object, or has it brought here first.
  void take_argument(std::uint32_t dependency, const RefId& ref, const wire::ObjectLocation& name,
                     const wire::ObjectLocation& at);
  /// An argument is not to be had: the call is given back if its owner may make it again, else it fails.
  void without_argument(std::uint32_t dependency, const wire::ObjectLocation& name, const Error& error);
  void pull(const RefId& ref, const wire::ObjectLocation& location, std::function<void(const wire::ObjectHere&)> then);
  void finish_without(std::uint32_t dependency, const wire::ObjectLocation& lost);
  void finish_error(ErrorCode code, const std::string& message, std::vector<Error> causes = {}, std::uint8_t flags = 0);
  /// The first of these refs that failed ends the call in an error; true if one did.
  bool failed(const std::vector<RefHandle>& refs);
  void let_go();
  void emit(Frame frame);
  void arm();
  Time now() const;

  World& world_;
  SimNode& node_;
  const ProcessId id_;
  std::unique_ptr<Owner> owner_;
  std::unique_ptr<Worker> worker_;
  std::optional<Running> running_;
  std::optional<Actor> actor_;
  std::uint64_t runs_ = 0;
  bool take_scheduled_ = false;
  bool exiting_ = false;
  std::vector<RefHandle> ready_;
  std::map<RefHandle, std::vector<std::function<void()>>> waiters_;
  std::map<RefHandle, std::function<bool()>> readers_;  // of streams
  std::map<wire::ObjectLocation, std::vector<std::function<void(const wire::ObjectHere&)>>> pulls_;
  std::map<wire::ObjectLocation, wire::ObjectLocation> back_;  // objects of this node that came back from its disk
  std::map<wire::ObjectLocation, Error> unreadable_;           // those that did not
  std::map<std::uint64_t, std::function<void(const Error&)>> rooms_;  // asked for
  std::uint64_t last_room_ = 0;
  std::map<std::uint64_t, std::function<void(const wire::NameReply&)>> claims_;  // by tag
  std::map<std::uint64_t, std::function<void(RefHandle)>> kept_;                 // by tag
  std::map<wire::GroupId, std::function<void(const wire::GroupPlaced&)>> groups_;
  Time armed_ = never;
};

}  // namespace mobula::sim
