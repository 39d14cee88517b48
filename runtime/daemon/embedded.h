#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/daemon/machine_resources.h"
#include "runtime/net/segment.h"
#include "runtime/object/arena.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

struct EmbeddedOptions {
  std::uint32_t cpus = 0;           // worker slots of this node
  ResourceWish resources;           // what it has besides
  std::string address;              // of the head to join; empty: a cluster of its own
  std::string keys;                 // file; needed with an address
  bool trusted_network = false;     // large objects go in the clear, to nodes that say so too
  std::string name;                 // of this node; empty: the host's
  std::uint64_t object_memory = 0;  // cap of the arena; 0: its default
  std::string log_level = "warning";
  Duration node_timeout = std::chrono::milliseconds(2500);
  std::map<std::string, std::string> labels;
  std::string decision_log;
  std::optional<std::string> spill_directory;  // these as in NodeLoopOptions
  double memory_threshold = 0.95;
  Duration memory_check = std::chrono::milliseconds(250);
};

// What the driver's owner side wants done while no thread of the program waits for it. Called on the loop thread.
class Background {
 public:
  // The driver's eventfd is readable, or the time that the last call returned has come: drain the lanes, run the
  // timers. Returns when to be called again without an event. Arms the driver's doorbell before it returns if nobody
  // else pumps.
  virtual Time run(Time now) = 0;

 protected:
  ~Background() = default;
};

// The node inside a driver: its one background thread runs the Node machine and, without an address, the head's
// Control; its zygote forks this program. Starting it takes a few milliseconds; the first workers are on their way when
// it returns.
class Embedded {
 public:
  // Throws TaskError: the keys or the address are wrong, the head refuses or cannot be reached, the system refuses.
  static std::unique_ptr<Embedded> start(const EmbeddedOptions& options);

  // Ends all workers and the thread, within a second. Nothing of the node is left.
  virtual ~Embedded() = default;

  virtual NodeId node() const = 0;
  virtual const std::string& node_name() const = 0;
  virtual net::Segment& segment() = 0;
  virtual object::Arena& arena() = 0;
  // The driver's slot (1), allocated and announced to the Node machine.
  virtual net::Peer driver() const = 0;
  ProcessId driver_id() const { return {node(), driver().slot, driver().generation}; }
  // This program, for LeaseRequests.
  virtual const wire::Program& program() const = 0;

  // Returns once the previous one is not running and will not be called again; null for none.
  virtual void set_background(Background* background) = 0;
};

}  // namespace mobula::daemon
