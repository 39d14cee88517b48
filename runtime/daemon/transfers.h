#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/object/arena.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

class TransferEvents {
 public:
  virtual void send_chunk(NodeId to, wire::ObjectChunk&& chunk) = 0;
  // Frames on their way to a node that it has not acknowledged.
  virtual std::size_t backlog(NodeId to) const = 0;
  virtual void object_arrived(const wire::ObjectLocation& asked, const wire::ObjectLocation& local) = 0;
  virtual void object_failed(const wire::ObjectLocation& asked, const Error& error) = 0;

 protected:
  ~TransferEvents() = default;
};

// Objects on their way between the arenas of two nodes, in chunks. A sender keeps at most `window` frames of a
// link unacknowledged, so that control messages and other objects get their turn, and memory stays bounded.
class Transfers {
 public:
  static constexpr std::size_t chunk_bytes = 256 * 1024;
  static constexpr std::size_t window = 32;

  Transfers(NodeId self, object::Arena& arena, TransferEvents& events) : self_(self), arena_(arena), events_(events) {}

  // Sends the object `location`, which lies `at` in this node's arena; it stays pinned meanwhile. One that is gone is
  // answered by a chunk with an error.
  void push(NodeId to, const wire::ObjectLocation& location, const wire::ObjectLocation& at);
  // Chunks of this object will come. False: the arena has no room for it now.
  Result<bool> expect(const wire::ObjectLocation& location);
  void on_chunk(wire::ObjectChunk&& chunk);
  // Sends further chunks where there is room.
  void pump();
  // Drops what goes to or comes from a node that is dead; what was expected from it is given up without a report.
  void node_died(NodeId node);

 private:
  struct Push {
    NodeId to;
    wire::ObjectLocation location;
    object::Pin pin;
    std::uint64_t sent = 0;
  };
  struct Arrival {
    object::Draft draft;
    std::uint64_t received = 0;
  };
  void fail(const wire::ObjectLocation& location, const Error& error);

  const NodeId self_;
  object::Arena& arena_;
  TransferEvents& events_;
  std::vector<std::unique_ptr<Push>> pushes_;
  std::map<wire::ObjectLocation, Arrival> arrivals_;
};

}  // namespace mobula::daemon
