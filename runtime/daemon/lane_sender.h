#pragma once

#include <cstddef>
#include <deque>
#include <initializer_list>
#include <map>
#include <span>
#include <vector>

#include "runtime/net/endpoint.h"

namespace mobula::daemon {

// Sends frames to the node's processes; those that find a full lane wait here, in order, so that the loop never does.
class LaneSender {
 public:
  using Parts = std::initializer_list<std::span<const std::byte>>;
  explicit LaneSender(net::Endpoint& endpoint) : endpoint_(endpoint) {}

  // `ok` (sent, or waiting), `dead`, or `too_large` (not sent: no participant makes such a frame).
  net::SendStatus send(net::Peer to, net::LaneKind kind, Parts parts);
  // Tries again what waits. To be called whenever the loop wakes.
  void flush();
  // Drops what waits for a process that is dead.
  void forget(net::Peer dead) { waiting_.erase(dead); }

 private:
  struct Frame {
    net::LaneKind kind;
    std::vector<std::byte> bytes;
  };
  net::SendStatus try_send(net::Peer to, net::LaneKind kind, Parts parts);

  net::Endpoint& endpoint_;
  std::map<net::Peer, std::deque<Frame>> waiting_;
};

}  // namespace mobula::daemon
