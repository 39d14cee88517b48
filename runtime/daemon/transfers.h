#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/daemon/bulk.h"
#include "runtime/object/arena.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

class TransferEvents {
 public:
  virtual void send_chunk(NodeId to, wire::ObjectChunk&& chunk) = 0;
  virtual void send_offer(NodeId to, const BulkOffer& offer) = 0;
  // Frames on their way to a node that it has not acknowledged.
  virtual std::size_t backlog(NodeId to) const = 0;
  virtual void object_arrived(const wire::ObjectLocation& asked, const wire::ObjectLocation& local) = 0;
  virtual void object_failed(const wire::ObjectLocation& asked, const Error& error) = 0;

 protected:
  ~TransferEvents() = default;
};

// Objects on their way between the arenas of two nodes: large ones on connections of their own (Bulk), where there is
// one, others in chunks among the messages. A sender keeps at most `window` frames of a link unacknowledged, so that
// control messages and other objects get their turn, and memory stays bounded.
class Transfers {
 public:
  static constexpr std::size_t chunk_bytes = 256 * 1024;
  static constexpr std::size_t window = 32;

  Transfers(NodeId self, object::Arena& arena, TransferEvents& events) : self_(self), arena_(arena), events_(events) {}

  // From now on large objects go there; it must live longer than this.
  void use(Bulk& bulk) { bulk_ = &bulk; }

  // Sends the object `location`, which lies `at` in this node's arena; it stays pinned meanwhile. One that is gone is
  // answered by a chunk with an error.
  void push(NodeId to, const wire::ObjectLocation& location, const wire::ObjectLocation& at);
  // What a node offers for the push that it will ask for next; anything that is no offer is ignored.
  void on_offer(NodeId from, std::span<const std::byte> payload);
  // This object will come: makes its sender an offer, if it is large. False: the arena has no room for it now.
  Result<bool> expect(const wire::ObjectLocation& location);
  void on_chunk(wire::ObjectChunk&& chunk);
  // Sends further chunks where there is room, and takes what came another way.
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
    std::optional<object::Draft> draft;  // none while it lies with an offer
    std::uint64_t received = 0;
  };
  void push_in_chunks(NodeId to, const wire::ObjectLocation& location, object::Pin pin);
  void arrived(const Bulk::Received& object);
  void fail(const wire::ObjectLocation& location, const Error& error);
  // Gives the room of an arrival back.
  void discard(const wire::ObjectLocation& location, const Arrival& arrival);

  const NodeId self_;
  object::Arena& arena_;
  TransferEvents& events_;
  Bulk* bulk_ = nullptr;
  std::map<std::pair<NodeId, wire::ObjectLocation>, BulkOffer> offers_;  // of other nodes
  std::vector<std::unique_ptr<Push>> pushes_;
  std::map<wire::ObjectLocation, Arrival> arrivals_;
};

}  // namespace mobula::daemon
