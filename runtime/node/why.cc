// Why requests wait here, and which other node was passed over for which reason.
#include <fmt/format.h>

#include "runtime/node/node_impl.h"
#include "scheduler/view/eligible.h"

namespace mobula {

void Node::Impl::on_why(const wire::Why& message, Time now) {
  if (message.all) {
    wire::Why question = message;
    question.all = false;
    std::vector<ProcessId> asked(drivers_.begin(), drivers_.end());
    for (const auto& [process, worker] : workers_) {
      if (worker.state.started && worker.state.lease) asked.push_back(process);  // an idle one owns nothing that waits
    }
    // How many will answer is told before they are asked: the asker itself may be one, and answers at once.
    sink_.send(message.asker, wire::WhyAnswer{message.id, {}, static_cast<std::uint32_t>(asked.size())});
    for (const ProcessId& process : asked) sink_.send(process, wire::Message(question));
    return;
  }
  wire::WhyAnswer answer{message.id, {}, 0};
  std::size_t position = 0;
  view_.find(self_)->available = available_;
  for (const Request& request : queue_) {
    ++position;
    if (request.owner != message.owner || request.tag != message.tag) continue;
    answer.lines.push_back(fmt::format("  node {}: request {} of {} in its queue since {:.1f} s, for {} worker(s){}",
                                       options_.name, position, queue_.size(),
                                       std::chrono::duration<double>(now - request.since).count(), request.count,
                                       request.priority != 0 ? fmt::format(", priority {}", request.priority) : ""));
    if (request.ask.placement.group) {
      const auto* bundle = bundle_for(request.ask.placement, request.ask.resources);
      answer.lines.push_back(bundle == nullptr ? "    its placement group has no bundle here yet"
                                               : fmt::format("    bundle {} has {} of {} free", bundle->first.second,
                                                             to_string(bundle->second.available),
                                                             to_string(bundle->second.reserved)));
      continue;
    }
    scheduler::Request scratch;
    const scheduler::Request& ask = scheduler::softened(view_, request.ask, scratch);
    for (const auto& node : view_.nodes) {
      std::string why = scheduler::never_on(node, ask);
      if (why.empty()) why = scheduler::not_now_on(node, ask);
      if (why.empty())
        why = node.node == self_ ? "there is room: a worker is being started"
                                 : "it has room: the request goes there next";
      answer.lines.push_back(fmt::format("    {}: {}", node.name, why));
    }
  }
  if (answer.lines.empty()) {
    answer.lines.push_back(fmt::format("  node {}: no request of it waits here any more", options_.name));
  }
  sink_.send(message.asker, std::move(answer));
}

std::vector<Node::Waiting> Node::waiting(Time now) const {
  std::vector<Waiting> all;
  scheduler::View& view = impl_->view_;
  view.find(impl_->self_)->available = impl_->available_;
  for (const Impl::Request& request : impl_->queue_) {
    Waiting one{request.owner, request.count, request.ask.resources, request.dedicated, now - request.since, {}};
    scheduler::Request scratch;
    const scheduler::Request& ask = scheduler::softened(view, request.ask, scratch);
    for (const auto& node : view.nodes) {
      if (node.passing && node.total.empty()) continue;
      std::string why = scheduler::never_on(node, ask);
      if (why.empty()) why = scheduler::not_now_on(node, ask);
      if (why.empty()) why = "there is room: a worker is being started, or the request goes there next";
      one.reason += fmt::format("{}{}: {}", one.reason.empty() ? "" : "; ", node.name, why);
    }
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace mobula
