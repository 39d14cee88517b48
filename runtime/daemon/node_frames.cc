// What participants say to each other through a node: in lanes, over the network, to themselves.
#include <algorithm>
#include <cstring>

#include "runtime/daemon/node_loop_impl.h"
#include "runtime/wire/codec.h"

namespace mobula::daemon {

void NodeLoop::Impl::send(const ProcessId& to, wire::Message&& message) {
  if (to == node_process(id_)) {
    later_.emplace_back(std::move(message));
    return;
  }
  const Bytes bytes = wire::encode(message);
  if (to.node == id_) {
    const LaneHeader header{.kind = FrameKind::message};
    if (sender_.send({to.slot, to.generation}, net::LaneKind::messages, {as_part(header), bytes}) ==
        net::SendStatus::too_large) {
      log_->error("a {} of {} bytes for {} is larger than a lane takes", wire::name_of(message), bytes.size(),
                  to_string(to));
    }
    return;
  }
  const LaneHeader header{.kind = FrameKind::message, .relayed = 1};
  const Relay relay{node_process(id_), to};
  if (!cluster_ || !cluster_->send(to.node, {as_part(header), as_part(relay), bytes}, now_)) {
    log_->debug("no way to {} for a {}", to_string(to), wire::name_of(message));
  }
}

void NodeLoop::Impl::send_call(const ProcessId& worker, std::span<const std::byte> frame) {
  if (worker.node == id_) {
    // (A worker that is dead, or a frame that is too large: its death, or nothing, is told. The head's own calls are
    // constructors, whose arguments were limited when they were asked for.)
    sender_.send({worker.slot, worker.generation}, net::LaneKind::calls, {frame});
    return;
  }
  const LaneHeader header{.kind = FrameKind::call, .relayed = 1};
  const Relay relay{node_process(id_), worker};
  if (cluster_) cluster_->send(worker.node, {as_part(header), as_part(relay), frame}, now_);
}

void NodeLoop::Impl::tell_died(const ProcessId& whom, const ProcessId& dead, const char* why) {
  // Those who run nodes hear of deaths from the nodes themselves.
  if (whom.slot == 0) return;
  wire::ProcessDied died{.process = dead, .death = {}};
  died.death.description = why;
  send(whom, std::move(died));
}

void NodeLoop::Impl::on_lane_frame(net::Peer from, std::span<const std::byte> bytes) {
  const auto frame = parse_lane_frame(bytes);
  if (!frame) {
    log_->error("a frame of {} bytes from {} is too short", bytes.size(), to_string(process(from)));
    return;
  }
  const Relay relay = frame->relay.value_or(Relay{process(from), node_process(id_)});
  route({process(from), relay.to}, *frame, bytes);
}

void NodeLoop::Impl::route(const Relay& relay, const LaneFrame& frame, std::span<const std::byte> bytes) {
  if (relay.to.node == id_) return deliver(relay, frame, bytes);
  if (frame.header.kind == FrameKind::reply && !keep_object(relay.to, frame.payload)) return;
  if (cluster_ && cluster_->send(relay.to.node, {bytes}, now_)) return;
  wire::NodeDied died{relay.to.node, "it is not a member of this cluster"};
  if (relay.from.slot != 0) send(relay.from, std::move(died));
}

// A result that lies in this arena and belongs to a process elsewhere: its maker may end or retire, so from now on the
// node answers for it. False if the maker has died and took it along, which its owner learns as a death.
bool NodeLoop::Impl::keep_object(const ProcessId& owner, std::span<const std::byte> reply) {
  const auto parsed = wire::parse_reply(reply);
  if (!parsed || parsed->header.kind != wire::ReplyKind::value_object) return true;
  const auto location = wire::decode_location(parsed->payload);
  if (!location || location->node != id_) return true;
  if (!arena_.adopt(in_arena(*location))) return false;
  node_->on_object_left(owner, *location, now_);
  return true;
}

void NodeLoop::Impl::frame_arrived(NodeId from, std::span<const std::byte> bytes) {
  const auto frame = parse_lane_frame(bytes);
  if (!frame || !frame->relay || frame->relay->from.node != from || frame->relay->to.node != id_) {
    log_->error("node {} sent a frame of {} bytes that is not for this node", to_string(from), bytes.size());
    return;
  }
  asking_ = from;
  deliver(*frame->relay, *frame, bytes);
  asking_ = {};
}

void NodeLoop::Impl::deliver(const Relay& relay, const LaneFrame& frame, std::span<const std::byte> bytes) {
  if (frame.header.kind == FrameKind::output) return on_output(relay.to, frame.payload);
  if (frame.header.kind == FrameKind::offer) {
    if (relay.from.node != id_) transfers_.on_offer(relay.from.node, frame.payload);
    return;
  }
  if (frame.header.kind == FrameKind::ask) {
    return inquiries_.on_question(relay.from.node, frame.payload, {node_.get(), control_.get(), peers_, now_});
  }
  if (frame.header.kind == FrameKind::answer) return inquiries_.on_answer(relay.from.node, frame.payload);
  if (relay.to.slot == 0) {
    if (frame.header.kind == FrameKind::reply) {
      // What lies in this arena was the worker's until now; if that died first, its death is told next.
      if (keeper_ && keep_object(relay.to, frame.payload)) keeper_->on_reply(relay.from, frame.payload, now_);
      return;
    }
    auto message = wire::decode(frame.payload);
    if (!message) {
      log_->error("a message of {} bytes from {}: {}", frame.payload.size(), to_string(relay.from),
                  message.error().message);
      return;
    }
    return on_message(relay.from, std::move(message).value());
  }
  const net::Peer to{relay.to.slot, relay.to.generation};
  const bool call = frame.header.kind == FrameKind::call;
  switch (sender_.send(to, call ? net::LaneKind::calls : net::LaneKind::messages, {call ? frame.payload : bytes})) {
    case net::SendStatus::dead:
      return tell_died(relay.from, relay.to, "it had ended before");
    case net::SendStatus::too_large:
      log_->error("a frame of {} bytes from {} is larger than a lane takes", bytes.size(), to_string(relay.from));
      return;
    case net::SendStatus::ok:
    case net::SendStatus::full:
      return;
  }
}

void NodeLoop::Impl::on_message(const ProcessId& from, wire::Message&& message) {
  if (auto* chunk = std::get_if<wire::ObjectChunk>(&message)) return transfers_.on_chunk(std::move(*chunk));
  if (!node_) return;  // nobody has business with a node that has not joined
  if (const auto* died = std::get_if<wire::NodeDied>(&message); died != nullptr && died->node != id_) {
    if (!control_) log_death(died->node, died->reason);
    transfers_.node_died(died->node);
    inquiries_.on_node_died(died->node, died->reason);
    node_->on_message(from, message, now_);
    if (keeper_) keeper_->on_node_died(died->node, died->reason, now_);
    if (cluster_) cluster_->drop(died->node);
    return;
  }
  if (const auto* process = std::get_if<wire::ProcessDied>(&message); process != nullptr && control_) {
    control_->on_process_died(process->process, now_);
    keeper_->on_process_died(process->process, process->death, now_);
  }
  if (node_->on_message(from, message, now_)) return;
  if (control_ && from.slot == 0 && control_->on_message(from.node, message, now_)) return;
  if (keeper_ && keeper_->on_message(from, message, now_)) return;
  log_->error("{} sent a {}, which is not for a node", to_string(from), wire::name_of(message));
}

// A line belongs on the terminal of the driver for which the worker works: that of the owner of its lease, or, when the
// owner is itself a worker, that of the owner's owner, and so on.
void NodeLoop::Impl::worker_printed(const net::Peer& worker, int stream, std::string_view lines) {
  inquiries_.logs().write(segment_.pid(worker), lines);
  ProcessId owner;
  if (!options_.has_driver && node_) {
    for (const Node::Worker& known : node_->workers()) {
      if (known.process == process(worker)) owner = known.owner;
    }
  }
  std::vector<std::byte> payload(1 + lines.size());
  payload[0] = static_cast<std::byte>(stream);
  std::memcpy(payload.data() + 1, lines.data(), lines.size());
  on_output(owner, payload);
}

void NodeLoop::Impl::on_output(const ProcessId& owner, std::span<const std::byte> payload) {
  if (payload.empty()) return;
  ProcessId next = owner;
  while (next.node == id_ && next.slot > driver_slot && node_) {
    ProcessId above;
    for (const Node::Worker& known : node_->workers()) {
      if (known.process == next) above = known.owner;
    }
    if (above == next) break;
    next = above;
  }
  if (next && next.node != id_ && cluster_) {
    const LaneHeader header{.kind = FrameKind::output, .relayed = 1};
    const Relay relay{node_process(id_), next};
    if (cluster_->send(next.node, {as_part(header), as_part(relay), payload}, now_)) return;
  }
  print(payload[0] == std::byte{2} ? 2 : 1, {reinterpret_cast<const char*>(payload.data()) + 1, payload.size() - 1});
}

bool NodeLoop::Impl::send_inquiry(NodeId to, FrameKind kind, const Bytes& payload) {
  const LaneHeader header{.kind = kind, .relayed = 1};
  const Relay relay{node_process(id_), node_process(to)};
  return cluster_ && cluster_->send(to, {as_part(header), as_part(relay), payload}, now_);
}

}  // namespace mobula::daemon
