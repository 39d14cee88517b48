// What can be asked of a runtime, a task, an actor and a wait. All are plain structs with defaults, written with
// designated initialisers: rt.with({.max_retries = 0, .resources = {.cpu = 2}}).remote<f>(x).
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace mobula {

// What a task holds while it runs, or an actor while it lives. A unit of cpu is one of the node's worker slots;
// fractions are allowed down to 1e-4. Unset cpu means 1 for a task and 0 for an actor (an actor mostly waits for
// calls).
struct ResourceRequest {
  std::optional<double> cpu{};
  std::map<std::string, double> custom{};  // names that nodes were started with, such as {"gpu", 1}
  friend bool operator==(const ResourceRequest&, const ResourceRequest&) = default;
};

// Options of Runtime::with(). Each says to which of tasks (T), actors (A) and their calls it applies.
struct Options {
  std::string name{};             // T A: what people read in errors and logs; default: the function's or class's name
  int max_retries = 3;            // T: new attempts after its worker or node died; -1: as many as it takes
  bool retry_exceptions = false;  // T: count an exception of the user's function as such a death
  int max_restarts = 0;         // A: new incarnations (the constructor runs again) after its process died; -1: no limit
  int max_call_retries = 0;     // A: new attempts of a call in flight at the death. 0: at most once, the call fails
  ResourceRequest resources{};  // T A
};

struct StartOptions {
  // Worker slots (cpus) of this machine. Unset: the cpus this process may run on; with an address: 0 slots, the work
  // goes to the cluster. 0 without an address: in-process mode, every task and call runs inside the calling thread.
  std::optional<int> workers{};
  std::string address{};  // HOST:PORT of `mobula head`; empty: $MOBULA_ADDRESS, else a cluster of its own
  std::string keys{};     // file written by `mobula head`, needed with an address; empty: $MOBULA_KEYS
  std::string name{};     // name of this node in errors and logs; default: the host's name
  std::optional<std::size_t>
      object_memory{};                // cap of the object arena in bytes; default: half of the available memory
  std::string log_level = "warning";  // debug, info, warning, error, off
  std::chrono::milliseconds node_timeout{5000};  // silence after which a node is declared dead
};

struct CancelOptions {
  bool force = false;  // kill the process of a running task instead of asking it to stop
};

}  // namespace mobula
