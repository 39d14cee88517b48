// How a process's frames leave it: into the lane of a process of this node, or, for one of another node, through the
// own node (see runtime/daemon/frame.h). What finds its lane full waits here, in order for each receiver.
//
// Not synchronised: guarded by the core's mutex, like the sending half of the endpoint.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/net/endpoint.h"
#include "runtime/owner/owner_sink.h"
#include "runtime/wire/envelope.h"
#include "runtime/wire/message.h"

namespace mobula::client {

class Transport {
 public:
  Transport(NodeId node, net::Endpoint& endpoint, net::Segment& segment);

  const ProcessId& self() const { return self_; }
  bool local(const ProcessId& process) const { return process.node == self_.node; }

  SendStatus send_call(const ProcessId& worker, const wire::CallHeader& header, std::span<const std::byte> args,
                       std::span<const wire::Dependency> deps, CallTicket& ticket);
  bool withdraw(const CallTicket& ticket);
  // Tells the worker's stop flag; see stop_key().
  void raise_stop(const ProcessId& worker, const CallTicket& ticket, bool recursive);
  void send_message(const ProcessId& to, const wire::Message& message);
  void send_reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                  std::span<const RefId> contained);

  // Of a call or a reply, headers included.
  std::size_t largest_frame() const { return endpoint_.max_frame_bytes() - 64; }

  // Sends what waited for room. Workers whose calls found no room may be tried again: they are returned.
  std::vector<ProcessId> retry();
  bool idle() const { return waiting_.empty(); }
  // Processes to which a message could not be sent, as they are not there any more.
  std::vector<ProcessId> take_undelivered() { return std::exchange(undelivered_, {}); }
  // After a death, once its last frames were read and its calls withdrawn.
  void forget(const ProcessId& dead);

  // What both ends of a calls lane know of a call: the caller by its ticket, the worker by where it took it.
  // (Two keys a call: stop it with its children, or without them.)
  static std::uint64_t stop_key(std::uint32_t lane, std::uint64_t position, bool recursive = true);

 private:
  net::Peer peer_of(const ProcessId& process) const { return {process.slot, process.generation}; }
  // The peer whose lane leads to `to`: itself, or the own node.
  net::Peer hop(const ProcessId& to) const { return local(to) ? peer_of(to) : net::Peer{0, 0}; }
  template <class Write>
  void send_frame(const ProcessId& to, std::uint8_t kind, std::size_t bytes, const Write& write);

  const ProcessId self_;
  net::Endpoint& endpoint_;
  net::Segment& segment_;
  std::map<net::Peer, std::deque<std::vector<std::byte>>> waiting_;
  std::set<ProcessId> full_;
  std::vector<ProcessId> undelivered_;
};

}  // namespace mobula::client
