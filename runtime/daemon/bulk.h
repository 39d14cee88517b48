#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/ids.h"
#include "runtime/net/bulk.h"
#include "runtime/object/arena.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

// Where the bytes of a large object may be sent to over a connection of its own, and the key of that one connection.
// Travels as it lies here, between nodes of one build.
struct BulkOffer {
  wire::ObjectLocation object;
  std::uint64_t token = 0;  // says which offer a connection takes up; 0: nothing is offered
  net::BulkKey key{};
  std::array<char, 56> address{};  // "host:port", ended by a zero
  std::uint64_t plain = 0;         // 1: who offers would take the bytes in the clear too
  explicit operator bool() const { return token != 0; }
};
static_assert(std::is_trivially_copyable_v<BulkOffer> && sizeof(BulkOffer) == 136);

struct BulkOptions {
  NodeId self;
  std::string host;      // numeric address that other nodes reach, which connections are taken on
  bool trusted = false;  // objects may travel in the clear where the other node says so too
  // How long a connection may stand still before it counts as broken.
  std::chrono::milliseconds patience = std::chrono::seconds(15);
};

// Large objects on connections of their own, one object each, so that they neither hold up messages nor pay for CURVE.
// Threads of this class read and write them, straight from one arena into the other; what came of it is fetched by the
// loop, which `wake` wakes.
//
// The receiver offers an address and a key that serves once, through the encrypted channel of messages; the sender
// connects. It answers for the delivery: unless the receiver has said that it has all of the object, the sender sends
// it as messages (the receiver cannot be connected to, the connection broke).
class Bulk {
 public:
  static constexpr std::uint64_t worth_it = std::uint64_t{1} << 20;  // bytes; smaller objects go as messages

  Bulk(const BulkOptions& options, object::Arena& arena, std::function<void()> wake);
  ~Bulk();  // breaks connections and waits for the threads
  Bulk(const Bulk&) = delete;
  Bulk& operator=(const Bulk&) = delete;

  // An offer for this object of another node, whose bytes will be written into `draft`, which then is Bulk's; an empty
  // one, and nothing taken, if no connection can be accepted here, or the object is small.
  BulkOffer offer(const wire::ObjectLocation& asked, const object::Draft& draft);
  // The object came another way, or is no longer wanted. Returns the draft, if no connection has taken the offer up:
  // one that has will give the draft back to the arena, or report the object as received.
  std::optional<object::Draft> withdraw(const wire::ObjectLocation& asked);

  // Takes up an offer: sends the pinned object.
  void send(NodeId to, object::Pin pin, const BulkOffer& offer);
  // What is on the way to that node is given up. Offers made to it are withdrawn by the caller, each.
  void node_died(NodeId node);

  struct Received {
    wire::ObjectLocation asked, local;
  };
  std::vector<Received> received();
  struct Unsent {
    NodeId to;
    wire::ObjectLocation location;
    object::Pin pin;
  };
  std::vector<Unsent> unsent();  // send these as messages

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace mobula::daemon
