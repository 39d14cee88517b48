#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "runtime/base/ids.h"
#include "runtime/net/keys.h"

namespace mobula::net {

struct RouterOptions {
  NodeId self;
  Keys keys;
  std::string host = "0.0.0.0";  ///< interface or address to listen on
  std::uint16_t port = 0;        ///< 0: any that is free
  std::uint8_t version = 1;      ///< of the protocol; both sides have to speak the same
  int queue_frames = 4096;       ///< waiting in each direction of a connection; more is refused with `full`
  std::size_t frame_bytes = std::size_t{64} << 20;  ///< the largest frame that is sent or accepted
};

struct RouterEvent {
  enum class Kind {
    connected,         ///< frames can be sent to `node` and arrive (its first route is there)
    disconnected,      ///< the last route to `node` broke; it may come back by itself
    handshake_failed,  ///< we connected and were not let in, or the other is not who we look for
    unreachable,       ///< nothing answers at `address`; it is tried on
    refused,           ///< someone connected to us and was not let in
  };
  Kind kind = Kind::connected;
  NodeId node;          ///< where known
  std::string address;  ///< "host:port" of the other side: where it listens, else where it called from; may be empty
  std::string reason;   ///< for people
};

/// A node's connections to other nodes: ZeroMQ over TCP, encrypted and authenticated by the cluster's keys (CURVE).
///
/// One ROUTER socket takes connections, one DEALER a peer makes them; a node that was connected to can answer the same
/// way, so only the head needs an address that others can reach. A node says who it is inside the encrypted stream, and
/// each frame names the node it is for: a frame for a node that has restarted under a new id is dropped, not
/// misdelivered. Delivery is at most once, in order while a connection lasts; wire::ReliableLink makes more of it.
///
/// Used from one thread. The first Router of a process makes the ZeroMQ context, with its two threads; nothing else
/// does.
class Router {
 public:
  using Bytes = std::span<const std::byte>;
  struct Handlers {
    std::function<void(NodeId from, Bytes frame)> on_frame;  ///< the frame is aligned to 8 and valid during the call
    std::function<void(const RouterEvent&)> on_event;
  };
  enum class SendStatus { ok, full, unknown, too_large };

  /// Listens. Throws std::runtime_error, naming the address, when that cannot be.
  Router(const RouterOptions& options, Handlers handlers);
  ~Router();  ///< gives what was sent 100 ms to leave
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;

  std::uint16_t port() const;

  /// Connects to the node that listens at "host:port", for good: a connection that breaks is made again. `connected`
  /// tells who answers. With `expected`, frames can be sent at once and wait for the connection, and another node's
  /// answer is `handshake_failed`. Throws std::invalid_argument for an address that is none.
  void connect(const std::string& address, NodeId expected = {});

  /// `full`: not sent, the queue is; try again later. `unknown`: never connected, or forgotten.
  SendStatus send(NodeId to, std::initializer_list<Bytes> parts);

  /// Closes what leads to a node, without an event.
  void forget(NodeId node);

  /// Readable when process() has work. Not the only sign of it (ZeroMQ signals changes, not states), so call process()
  /// before each sleep on it too.
  int fd() const;

  /// Receives all there is and calls the handlers; they may send, connect and forget. Returns whether there was
  /// anything.
  bool process();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace mobula::net
