#include "runtime/client/transport.h"

#include <cstring>
#include <utility>

#include "runtime/daemon/frame.h"
#include "runtime/wire/codec.h"

namespace mobula::client {

using daemon::FrameKind;
using daemon::LaneHeader;
using daemon::Relay;

Transport::Transport(NodeId node, net::Endpoint& endpoint, net::Segment& segment)
    : self_{node, endpoint.self().slot, endpoint.self().generation}, endpoint_(endpoint), segment_(segment) {}

std::uint64_t Transport::stop_key(std::uint32_t lane, std::uint64_t position, bool recursive) {
  return hash_mix(lane + 1, recursive ? position : ~position) | 1;  // 0 is no key
}

template <class Write>
void Transport::send_frame(const ProcessId& to, std::uint8_t kind, std::size_t bytes, const Write& write) {
  const bool relayed = !local(to);
  const LaneHeader header{.kind = static_cast<FrameKind>(kind), .relayed = relayed};
  const std::size_t prefix = sizeof header + (relayed ? sizeof(Relay) : 0);
  const auto fill = [&](std::byte* at) {
    std::memcpy(at, &header, sizeof header);
    if (relayed) {
      const Relay relay{.from = self_, .to = to};
      std::memcpy(at + sizeof header, &relay, sizeof relay);
    }
    write(at + prefix);
  };
  const net::Peer peer = hop(to);
  const auto queue = waiting_.find(peer);
  if (queue == waiting_.end()) {
    const auto place = endpoint_.reserve(peer, net::LaneKind::messages, prefix + bytes);
    if (place.data != nullptr) {
      fill(place.data);
      endpoint_.commit(prefix + bytes);
      return;
    }
    // Nobody is there to read it. Its death is told by the node, unless it was before this process began.
    if (place.status == net::SendStatus::dead) {
      undelivered_.push_back(to);
      return;
    }
  }
  std::vector<std::byte> frame(prefix + bytes);
  fill(frame.data());
  (queue == waiting_.end() ? waiting_[peer] : queue->second).push_back(std::move(frame));
}

SendStatus Transport::send_call(const ProcessId& worker, const wire::CallHeader& header,
                                std::span<const std::byte> args, std::span<const wire::Dependency> deps,
                                CallTicket& ticket) {
  const std::size_t bytes = wire::call_size(header, deps);
  if (!local(worker)) {
    if (waiting_.contains(hop(worker))) {
      full_.insert(worker);
      return SendStatus::full;
    }
    send_frame(worker, static_cast<std::uint8_t>(FrameKind::call), bytes,
               [&](std::byte* at) { wire::write_call(header, args, deps, at); });
    ticket = {};
    return SendStatus::accepted;
  }
  const auto place = endpoint_.reserve(peer_of(worker), net::LaneKind::calls, bytes);
  if (place.data == nullptr) {
    if (place.status == net::SendStatus::dead) return SendStatus::dead;
    full_.insert(worker);
    return SendStatus::full;
  }
  wire::write_call(header, args, deps, place.data);
  const net::CallTicket posted = endpoint_.commit(bytes);
  ticket = {.lane = static_cast<std::uint64_t>(posted.generation) << 32 | posted.lane, .position = posted.position};
  return SendStatus::accepted;
}

bool Transport::withdraw(const CallTicket& ticket) {
  return endpoint_.withdraw({.lane = static_cast<std::uint32_t>(ticket.lane),
                             .generation = static_cast<std::uint32_t>(ticket.lane >> 32),
                             .position = ticket.position});
}

void Transport::raise_stop(const ProcessId& worker, const CallTicket& ticket, bool recursive) {
  if (local(worker)) {
    segment_.request_stop(peer_of(worker),
                          stop_key(static_cast<std::uint32_t>(ticket.lane), ticket.position, recursive));
  }
}

void Transport::send_message(const ProcessId& to, const wire::Message& message) {
  const Bytes bytes = wire::encode(message);
  send_frame(to, static_cast<std::uint8_t>(FrameKind::message), bytes.size(),
             [&](std::byte* at) { std::memcpy(at, bytes.data(), bytes.size()); });
}

void Transport::send_reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                           std::span<const RefId> contained) {
  send_frame(to, static_cast<std::uint8_t>(FrameKind::reply), wire::reply_size(header),
             [&](std::byte* at) { wire::write_reply(header, payload, contained, at); });
}

std::vector<ProcessId> Transport::retry() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    auto& [peer, frames] = *it;
    while (!frames.empty()) {
      const auto status = endpoint_.send(peer, {frames.front()});
      if (status == net::SendStatus::full) break;
      if (status == net::SendStatus::dead) {
        frames.clear();
        break;
      }
      frames.pop_front();
    }
    it = frames.empty() ? waiting_.erase(it) : std::next(it);
  }
  if (full_.empty()) return {};
  const std::vector<ProcessId> again(full_.begin(), full_.end());
  full_.clear();
  return again;
}

void Transport::forget(const ProcessId& dead) {
  full_.erase(dead);
  if (!local(dead)) return;
  waiting_.erase(peer_of(dead));
  endpoint_.forget(peer_of(dead));
}

}  // namespace mobula::client
