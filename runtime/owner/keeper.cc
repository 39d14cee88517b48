#include "runtime/owner/keeper.h"

#include <vector>

#include "runtime/wire/codec.h"

namespace mobula {

Keeper::Keeper(NodeId head, const std::string& node_name, KeeperSink& sink)
    : sink_(sink), owner_(node_process(head), {.node_name = node_name}, static_cast<OwnerSink&>(*this)) {}

ActorId Keeper::keep(const wire::CreateDetached& wanted, Time now) {
  ActorSpec spec;
  spec.constructor = wanted.constructor;
  spec.flags = wanted.flags;
  spec.args = wanted.args;
  spec.options.name = wanted.title;
  spec.options.registered = wanted.name;
  spec.options.max_restarts = wanted.max_restarts;
  spec.options.max_call_retries = wanted.max_call_retries;
  spec.options.resources = wanted.resources;
  spec.options.placement = wanted.placement;
  spec.options.placement.durable = true;
  spec.options.priority = wanted.priority;
  spec.options.program = wanted.program;
  spec.options.keeps_state = (wanted.flags & wire::call_logged) != 0;
  spec.options.checkpoint_every = wanted.checkpoint_every;
  spec.options.checkpoint_period = Duration(wanted.checkpoint_period_ns);
  return as_actor(owner_.id(owner_.create_actor(std::move(spec), now)));
}

SendStatus Keeper::send_call(const ProcessId& worker, const wire::CallHeader& header, std::span<const std::byte> args,
                             std::span<const wire::Dependency> deps, CallTicket& ticket) {
  std::vector<std::uint64_t> frame((wire::call_size(header, deps) + 7) / 8);  // aligned
  auto* bytes = reinterpret_cast<std::byte*>(frame.data());
  wire::write_call(header, args, deps, bytes);
  sink_.send_call(worker, {bytes, wire::call_size(header, deps)});
  ticket = {};
  return SendStatus::accepted;
}

bool Keeper::on_message(const ProcessId& from, const wire::Message& message, Time now) {
  return owner_.on_message(from, message, now);
}

void Keeper::on_reply(const ProcessId& from, std::span<const std::byte> frame, Time now) {
  std::vector<std::uint64_t> aligned((frame.size() + 7) / 8);
  auto* bytes = reinterpret_cast<std::byte*>(aligned.data());
  std::copy(frame.begin(), frame.end(), bytes);
  const auto reply = wire::parse_reply({bytes, frame.size()});
  if (reply.ok()) owner_.on_reply(from, reply->header, reply->payload, reply->contained, now);
}

void Keeper::on_process_died(const ProcessId& process, const wire::ProcessDeath& death, Time now) {
  owner_.on_process_died(process, death, now);
}
void Keeper::on_node_died(NodeId node, const std::string& reason, Time now) {
  owner_.on_node_died(node, reason, now);
}

}  // namespace mobula
