#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "runtime/base/ids.h"
#include "runtime/base/resources.h"
#include "runtime/base/time.h"
#include "runtime/net/segment.h"
#include "runtime/object/arena.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

class Background;

struct NodeLoopOptions {
  std::uint32_t cpus = 0;
  Resources resources;              // what can be leased, cpus included; empty: the cpus
  std::string name;                 // empty: the host's
  std::uint64_t object_memory = 0;  // 0: the arena's default
  std::string log_level = "warning";
  Duration node_timeout = std::chrono::milliseconds(2500);
  std::map<std::string, std::string> labels;  // what requests may ask for
  std::string decision_log;                   // file to append scheduling decisions to; empty: none
  // Where objects go that find no room in memory. Unset: a folder of this user's for temporary files; empty: nowhere.
  std::optional<std::string> spill_directory;
  // From which part of the memory in use on tasks are killed before the kernel does it, and how often it is looked at;
  // 0: never.
  double memory_threshold = 0.95;
  Duration memory_check = std::chrono::milliseconds(250);

  // Where files of programs are kept that came from other machines. Unset: a folder of this user's cache; empty: such
  // programs cannot run here.
  std::optional<std::string> program_cache;
  // Where a daemon makes a folder for what its workers print. Unset: this user's; empty: nowhere.
  std::optional<std::string> log_folder;

  // Of a head's daemon: how much it keeps of what a submitted program prints, of each stream.
  std::uint64_t job_output = std::uint64_t{16} << 20;

  bool is_head = true;      // run Control
  bool has_driver = false;  // this process is a driver: slot 1 is its, and its program is prestarted

  // For a cluster of several machines. `keys` empty: alone, no socket is opened.
  std::string keys;
  // To listen on; empty: for the head 127.0.0.1, for others the address from which the head is reached.
  std::string host;
  std::uint16_t port = 0;                             // 0: any
  std::string head;                                   // HOST:PORT to join, unless is_head
  bool trusted_network = false;                       // large objects go in the clear, to nodes that say so too
  Duration join_patience = std::chrono::seconds(30);  // for the head to answer
  std::function<void()> on_joined;                    // called by run() when the head has accepted this node
};

// A node: its shared memory, its workers, its state machines (Node, and Control on the head), driven by one thread, the
// one that calls run().
class NodeLoop {
 public:
  // Why run() returned.
  enum class End {
    stopped,
    refused,   // by the head, or it did not answer; see reason()
    expelled,  // declared dead by the head: come back with a new NodeLoop
  };

  // Makes the shared memory and starts the driver's zygote and first workers. Throws TaskError.
  explicit NodeLoop(const NodeLoopOptions& options);
  // Ends all workers.
  ~NodeLoop();
  NodeLoop(const NodeLoop&) = delete;
  NodeLoop& operator=(const NodeLoop&) = delete;

  End run();
  // Any thread: run() leaves the cluster in good order and returns. Descriptor-safe: may be called before run().
  void stop();
  // What ended run(), for people.
  const std::string& reason() const;

  // Blocks until the head has accepted this node (at once without one) or run() has ended. Any thread but run()'s.
  bool wait_until_joined();

  // For a thread of a daemon that handles signals itself: call `stop` when this descriptor is readable. Before run().
  void stop_when_readable(int fd);

  NodeId id() const;
  const std::string& name() const;
  // "host:port" where other nodes reach this one; empty if alone.
  std::string address() const;
  net::Segment& segment();
  object::Arena& arena();
  net::Peer driver() const;
  const wire::Program& program() const;
  void set_background(Background* background);

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace mobula::daemon
