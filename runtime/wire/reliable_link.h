// What makes the way between two nodes reliable: every frame arrives once, in order, or the link is torn down with one
// of its ends (docs/design/reliable-links.md).
//
// Below it lies anything that carries datagrams: it may lose, double, delay and reorder them. A link is between two
// incarnations of nodes (a NodeId is drawn anew at each start), so nothing of an earlier life is ever delivered.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <span>

#include "runtime/base/bytes.h"
#include "runtime/base/ids.h"
#include "runtime/base/time.h"

namespace mobula::wire {

struct LinkOptions {
  Duration retransmit_after = std::chrono::milliseconds(100);    // doubled each time, up to
  Duration retransmit_at_most = std::chrono::milliseconds(200);  // heartbeats wait behind what is lost
  Duration acknowledge_after = std::chrono::milliseconds(10);    // if no frame goes the other way before
  std::uint32_t acknowledge_every = 16;                          // frames
  std::uint32_t window = 1024;                                   // frames on their way
  std::size_t queue_bytes = std::size_t{64} << 20;               // full() beyond
};

/// Called from inside the link's methods; may call send() of the same link, nothing else.
class LinkSink {
 public:
  /// Hand these bytes to the network; may be lost.
  virtual void transmit(NodeId peer, std::span<const std::byte> datagram) = 0;
  /// The next payload of the peer. Valid during the call; aligned to 8 bytes.
  virtual void deliver(NodeId peer, std::span<const std::byte> payload) = 0;

 protected:
  ~LinkSink() = default;
};

class ReliableLink {
 public:
  ReliableLink(NodeId self, NodeId peer, LinkOptions options, LinkSink& sink);

  /// Keeps the payload until the peer acknowledged it. Never refuses: what must not grow asks full() first.
  void send(Bytes payload, Time now);
  bool full() const { return queued_bytes_ > options_.queue_bytes; }

  /// A datagram that names this pair of nodes. False if it does not, or is malformed: it changed nothing.
  bool on_datagram(std::span<const std::byte> datagram, Time now);
  /// The network below came back: send again at once what was on its way.
  void on_reconnected(Time now);
  void on_timer(Time now);
  Time next_timer() const;

  bool idle() const { return outgoing_.empty() && !owes_acknowledgement_; }
  std::size_t unacknowledged() const { return outgoing_.size(); }

  struct Counts {
    std::uint64_t sent = 0, retransmitted = 0, delivered = 0, duplicates = 0, reordered = 0, rejected = 0;
  };
  const Counts& counts() const { return counts_; }

  /// The sender a datagram names; no node if it is too short. For the shell, to find the link.
  static NodeId sender_of(std::span<const std::byte> datagram);

 private:
  struct Header {
    std::uint32_t magic = 0;
    std::uint32_t kind = 0;  // 0: acknowledgement only, 1: with a payload
    std::uint64_t from = 0;
    std::uint64_t to = 0;
    std::uint64_t sequence = 0;      // of the payload; the first is 1
    std::uint64_t acknowledged = 0;  // all up to this one have arrived
  };

  void transmit(std::uint64_t sequence, const Bytes* payload);
  void fill_window(Time now);
  void acknowledged(std::uint64_t up_to, Time now);

  const NodeId self_;
  const NodeId peer_;
  const LinkOptions options_;
  LinkSink& sink_;

  std::deque<Bytes> outgoing_;  // not acknowledged; the first has number first_
  std::uint64_t first_ = 1;
  std::uint64_t next_ = 1;  // the first one that was never transmitted
  std::size_t queued_bytes_ = 0;
  Duration retransmit_in_;
  Time retransmit_at_ = never;

  std::uint64_t arrived_ = 0;             // all up to this one were delivered
  std::map<std::uint64_t, Bytes> early_;  // arrived before those in front of them
  bool owes_acknowledgement_ = false;
  std::uint32_t unacknowledged_arrivals_ = 0;
  Time acknowledge_at_ = never;
  Bytes scratch_;
  Counts counts_;
};

}  // namespace mobula::wire
