// Bundles of placement groups: the node's half of their reservation, and leases inside of them. What is reserved is
// taken from the node's free resources at once, so that nothing else can have it, and no bundle is ever promised that
// is not there.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/node/node_impl.h"

namespace mobula {

void Node::Impl::answer(const wire::ReserveBundle& message, bool reserved, std::string reason) {
  sink_.send(node_process(head_),
             wire::BundleReply{message.id, message.bundle, message.attempt, reserved, std::move(reason)});
}

void Node::Impl::on_reserve(const wire::ReserveBundle& message, Time now) {
  reservations_.push_back({message, now + std::chrono::milliseconds(message.patience_ms)});
  schedule(now);
}

void Node::Impl::reserve_bundles(Resources& room, bool& waiting, Time now) {
  for (auto at = reservations_.begin(); at != reservations_.end();) {
    const wire::ReserveBundle& wanted = at->message;
    if (room.covers(wanted.resources)) {
      room -= wanted.resources;
      available_ -= wanted.resources;
      bundles_[{wanted.id, wanted.bundle}] = {wanted.attempt, false, wanted.resources, wanted.resources};
      answer(wanted, true, {});
      at = reservations_.erase(at);
    } else if (now >= at->deadline) {
      answer(
          wanted, false,
          fmt::format("{} has {} of {} free, and for {} ms not bundle {} of {}", options_.name, to_string(available_),
                      to_string(options_.resources), wanted.patience_ms, wanted.bundle, to_string(wanted.resources)));
      at = reservations_.erase(at);
    } else {
      room -= wanted.resources;
      waiting = true;
      restless_ = std::min(restless_, at->deadline);
      ++at;
    }
  }
}

void Node::Impl::on_commit(const wire::CommitBundle& message, Time now) {
  const auto bundle = bundles_.find({message.id, message.bundle});
  if (bundle == bundles_.end() || bundle->second.attempt != message.attempt) return;
  bundle->second.committed = true;
  schedule(now);
}

void Node::Impl::on_return(const wire::ReturnBundle& message, Time now) {
  std::erase_if(reservations_, [&](const Reservation& waiting) {
    return waiting.message.id == message.id && waiting.message.bundle == message.bundle &&
           waiting.message.attempt == message.attempt;
  });
  const BundleKey key{message.id, message.bundle};
  const auto bundle = bundles_.find(key);
  if (bundle == bundles_.end() || bundle->second.attempt != message.attempt) return;
  available_ += bundle->second.available;
  bundles_.erase(bundle);
  for (auto& [process, worker] : workers_) {
    if (worker.bundle != key) continue;
    worker.bundle.reset();   // what it holds comes back to the node with its lease
    worker.retiring = true;  // nobody else gets it before the signal does
    sink_.kill(process);
  }
  schedule(now);
}

std::pair<const Node::Impl::BundleKey, Node::Impl::BundleEntry>* Node::Impl::bundle_for(
    const wire::Placement& placement, const Resources& wanted) {
  std::pair<const BundleKey, BundleEntry>* any = nullptr;
  for (auto at = bundles_.lower_bound({placement.group, 0}); at != bundles_.end() && at->first.first == placement.group;
       ++at) {
    if (placement.bundle >= 0 && at->first.second != static_cast<std::uint32_t>(placement.bundle)) continue;
    if (!at->second.committed) continue;
    if (at->second.available.covers(wanted)) return &*at;
    if (any == nullptr || !any->second.reserved.covers(wanted)) any = &*at;
  }
  return any;
}

Resources& Node::Impl::pool_of(const WorkerEntry& worker) {
  return worker.bundle ? bundles_.at(*worker.bundle).available : available_;
}

}  // namespace mobula
