// What can be asked of a runtime, a task, an actor and a wait. All are plain structs with defaults, written with
// designated initialisers: rt.with({.max_retries = 0, .resources = {.cpu = 2}}).remote<f>(x).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <type_traits>

namespace mobula {

template <class S>
class Function;
struct Error;
namespace detail {
struct FunctionEntry;

// A Function<bool(const Error&)>, without its header.
class ErrorTest {
 public:
  ErrorTest() = default;
  template <class F>
  requires std::is_same_v<F, Function<bool(const Error&)>> ErrorTest(const F& f) : entry_(f.entry()) {}
  const FunctionEntry* entry() const { return entry_; }
  friend bool operator==(const ErrorTest&, const ErrorTest&) = default;

 private:
  const FunctionEntry* entry_ = nullptr;
};
}  // namespace detail

// What a task holds while it runs, or an actor while it lives. Amounts are exact to 1e-4; below that, negative or not a
// number they are refused. A blocking get() inside lends the cpu to others meanwhile, and only the cpu. What no node
// can ever give is ErrorCode::infeasible at once; in a cluster, where nodes may still join, it waits, with a warning
// that says what would make it fit.
struct ResourceRequest {
  std::optional<double> cpu{};  // worker slots; unset: 1 for a task and 0 for an actor (which mostly waits for calls)
  double gpu = 0;               // may be shared: four tasks of 0.25 on one
  std::uint64_t memory = 0;     // bytes, of what the nodes were given to share out; nothing enforces it
  std::map<std::string, double> custom{};  // names that nodes were started with, such as {"licence", 1}
  friend bool operator==(const ResourceRequest&, const ResourceRequest&) = default;
};

// A handle on a placement group: see Runtime::placement_group(). Plain data: copy it, pass it to tasks.
struct Group {
  std::uint64_t words[3] = {};  // who made it, and its number there; zeros: none
  explicit operator bool() const { return words[2] != 0; }
  friend bool operator==(const Group&, const Group&) = default;
};

// Where a task or an actor may run, besides what it reserves. Wishes that no node can ever fulfil end in
// ErrorCode::infeasible, with what each node lacks.
struct Placement {
  bool spread = false;  // the least loaded node. Default: nearby while less than half is in use, then the least loaded
  std::string node{};   // only there: the name of a node, or its id as errors print it ("n5f3a")
  bool soft = false;    // of `node`: elsewhere while it is not a member of the cluster, or could never run it
  // Labels that nodes were started with (--label zone=a). A value means that value, "" any, "!a" another one or none,
  // "in(a,b)" one of them, "!in(a,b)" none of them. All must match.
  std::map<std::string, std::string> labels{};
  Group group{};    // inside what this group reserved, and only there
  int bundle = -1;  // which part of it; -1: any
  friend bool operator==(const Placement&, const Placement&) = default;
};

// A part of a placement group: reserved on one node.
struct Bundle {
  ResourceRequest resources{};
  std::map<std::string, std::string> labels{};  // as Placement::labels
};
enum class GroupStrategy : std::uint8_t {
  pack,           // on few nodes
  spread,         // on many
  strict_pack,    // all on one node
  strict_spread,  // no two on one node
};
struct GroupOptions {
  GroupStrategy strategy = GroupStrategy::pack;
  std::string name{};  // for people
};

// How long to wait before each new attempt: `first`, then `factor` times as long each time, at most `most`; each wait
// is made up to `jitter` of itself shorter or longer, so that what failed together does not come back together.
struct Backoff {
  std::chrono::milliseconds first{0};  // 0: at once, whatever the others say
  double factor = 2;
  std::chrono::milliseconds most{30000};
  double jitter = 0.25;
  friend bool operator==(const Backoff&, const Backoff&) = default;
};

// Options of Runtime::with() and Actor::with(). Each says to which of tasks (T), actors (A), their calls (C) and values
// that are stored by put() (P) it applies.
struct Options {
  // T C: what people read in errors and logs; default: the function's name. A: its name for Runtime::get_actor(), of
  // which there is one in a namespace.
  std::string name{};
  std::string name_space{};    // A: of the name; default: this job's own, or for detached actors one that all jobs see
  bool get_if_exists = false;  // A: where an actor has the name already, spawn() gives a handle on that
  // A: lives until it is killed, not only as long as handles are held, and outlives this program: the head owns it. It
  // needs a name, and constructor arguments that hold no references.
  // P: the head owns the value, so that it outlives the process that stored it. It lives as long as anybody holds a
  // reference to it, and put() returns once it does not need this process any more: a round trip to the head later, and
  // from a program that has joined a cluster (whose own node ends with it) once another node has it. References inside
  // have to be detached as well, else ErrorCode::invalid.
  bool detached = false;
  // T C P: the number of nodes on which the value, or each result, shall lie; 1: where it is made. The others fetch it
  // once it is there (nobody waits for that; Runtime::wait_copies() does), and when one of them dies a further one
  // does. With fewer nodes it lies on those that there are, and is copied when one joins; nodes that end with a driver
  // get no copies. Values of up to 64 KiB lie with their owner and are not copied, nor are items of streams. From 1 to
  // 100, else ErrorCode::invalid.
  int copies = 1;
  std::string title{};                            // A: what people read in place of the class's name
  std::map<std::string, std::string> metadata{};  // T C: for people and for this_task(); travels with the call
  int max_retries = 3;            // T: new attempts after its worker or node died; -1: as many as it takes
  bool retry_exceptions = false;  // T C: count an exception of the user's function as such a death
  detail::ErrorTest retry_if{};  // T C: only exceptions for which this is true; it runs where the exception was thrown:
                                 // .retry_if = mobula::function<is_transient>(), bool is_transient(const Error&)
  Backoff backoff{};             // T C: between attempts
  int max_calls = 0;             // T: a worker process ends after so many calls of this function; 0: no limit
  std::uint64_t max_worker_memory = 0;  // T: ... after a call that leaves it with more private bytes; 0: no limit
  int max_unread_items = 64;            // T C: of a stream: it may be so many items ahead of its reader, then it waits
  // A: new incarnations after its process died; -1: no limit. The constructor runs again. A class with
  // `State save() const` and `void load(State)`, for any State that can be an argument, goes on from where it was: its
  // state is what all answered calls made of it, each counted once, in the order in which they ran. For that, calls run
  // one at a time; what was answered since the last checkpoint runs again (its effects outside the actor too); and a
  // call by another process than the one that spawned the actor is answered a round trip to that one later.
  int max_restarts = 0;
  int checkpoint_every = 100;                         // A: save() after so many answered calls; 0: only by time
  std::chrono::milliseconds checkpoint_period{1000};  // A: ... or so long after the first of them; 0: only by number
  int max_call_retries = 0;  // A: new attempts of a call in flight at the death. 0: at most once, the call fails
  // A: calls at once. Unset: plain methods run one at a time; of coroutine methods (mobula::Task<T>) up to 1000 are on
  // their way in one thread, taking turns where they co_await. 1: strictly one at a time. More: plain methods run in so
  // many threads, beside each other in one object, which has to be written for that.
  std::optional<int> max_concurrency{};
  std::map<std::string, int> concurrency_groups{};  // A: further threads for calls that name the group: {{"io", 4}}
  int max_pending_calls = 0;    // A: calls of one process that may wait or run; more throw too_many_calls; 0: no limit
  bool unordered = false;       // A: a call whose arguments are not there yet does not hold back later ones
  std::string group{};          // C: the concurrency group that the call runs in
  ResourceRequest resources{};  // T A
  Placement placement{};        // T A
  // T A: those with the higher number get resources first. Within one priority, jobs (drivers) get equal shares of the
  // resource of which they use most.
  int priority = 0;
  // T: its process may be killed for work of a higher priority that waits; it then runs again, which does not count
  // against max_retries.
  bool preemptible = false;
  // T A: what the process is while it runs this; afterwards it is exactly what it was. Tasks that it submits do not
  // inherit it. (What a library has read of a variable before, or keeps of it afterwards, is the library's.)
  std::map<std::string, std::string> env{};  // variables set beside those that there are
  std::string working_dir{};                 // entered; it has to exist where it runs, else ErrorCode::invalid
  // T A: bytes beyond what its process had (not the object arena). More throws std::bad_alloc, out_of_memory once that
  // leaves the call; more with children and shared memory ends the process by out_of_memory, where a cgroup can be
  // written. 0, and in-process: no limit. See also max_worker_memory, which looks at the process after a call.
  std::uint64_t memory_limit = 0;
  friend bool operator==(const Options&, const Options&) = default;
};

struct StartOptions {
  // Worker slots (cpus) of this machine. Unset: the cpus this process may run on; with an address: 0 slots, the work
  // goes to the cluster. 0 without an address: in-process mode, every task and call runs inside the calling thread.
  std::optional<int> workers{};
  std::optional<double> gpus{};               // that tasks may ask for; default: those of this machine (/dev/nvidia*)
  std::optional<std::uint64_t> memory{};      // bytes that tasks may ask for; default: what is available less the arena
  std::map<std::string, double> resources{};  // names of your own and how much of each there is: {{"licence", 2}}
  std::string address{};  // HOST:PORT of `mobula head`, or its "@FILE"; empty: $MOBULA_ADDRESS, else its own cluster
  std::string keys{};     // file written by `mobula head`, needed with HOST:PORT; empty: $MOBULA_KEYS
  std::string name{};     // name of this node in errors and logs; default: the host's name
  std::map<std::string, std::string> labels{};  // of this node, for Placement::labels
  std::string decision_log{};  // file to which this node's scheduling decisions are appended; see `mobula replay`
  std::optional<std::size_t>
      object_memory{};  // cap of the object arena in bytes; default: 30 % of the available memory
  // Where values go that find no room in the object arena, until they are read again: a directory in which this node
  // makes a folder of its own (mode 0700) and removes it. Unset: in the system's directory for temporary files. Empty:
  // nowhere; a value that finds no room is ErrorCode::out_of_memory.
  std::optional<std::string> spill_directory{};
  // Before the kernel does, this node kills a task when so much of the memory is in use (of the machine, or of a cgroup
  // around it): the newest one that can be tried again of the owner whose tasks take most. It runs again after a while,
  // which does not count against max_retries (15 times at most); where nothing can be tried again the newest task ends
  // in ErrorCode::out_of_memory, the newest actor in actor_died with that as its cause. A process with less than 64 MB
  // of its own is left alone.
  double memory_threshold = 0.95;
  std::chrono::milliseconds memory_check{250};  // how often it is looked at; 0: never
  // Bytes of tasks that have ended, which this process keeps so that results lost with another node can be made again:
  // their arguments, put() values among them. The oldest ones are let go first.
  std::size_t lineage_memory = std::size_t{64} << 20;
  std::string log_level = "warning";             // debug, info, warning, error, off
  std::chrono::milliseconds node_timeout{2500};  // silence after which a node is declared dead
};

struct CancelOptions {
  // Kill the process of a running task instead of asking it to stop. An actor's call is only asked: its process holds
  // the actor, which rt.kill(actor) ends.
  bool force = false;
  // Ask, and kill the process if the task still runs after this time. Unset: only ask.
  std::optional<std::chrono::milliseconds> grace{};
  bool recursive = true;  // also what the task has submitted, and so on
};

}  // namespace mobula
