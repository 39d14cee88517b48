#include "runtime/daemon/transfers.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace mobula::daemon {
namespace {

object::Location in_arena(const wire::ObjectLocation& location) {
  return {.offset = location.offset, .bytes = location.bytes, .generation = location.generation};
}

}  // namespace

void Transfers::on_offer(NodeId from, std::span<const std::byte> payload) {
  BulkOffer offer;
  if (payload.size() != sizeof(offer)) return;
  std::memcpy(&offer, payload.data(), sizeof(offer));
  if (offer && offer.object.node == self_) offers_.insert_or_assign({from, offer.object}, offer);
}

void Transfers::push(NodeId to, const wire::ObjectLocation& location, const wire::ObjectLocation& at) {
  const auto offer = offers_.extract({to, location});
  auto pin = arena_.pin(in_arena(at));
  if (!pin) {
    events_.send_chunk(to, {.location = location, .offset = 0, .bytes = {}, .error = pin.error()});
    return;
  }
  if (bulk_ != nullptr && !offer.empty()) {
    bulk_->send(to, std::move(pin).value(), offer.mapped());
  } else {
    push_in_chunks(to, location, std::move(pin).value());
  }
}

void Transfers::push_in_chunks(NodeId to, const wire::ObjectLocation& location, object::Pin pin) {
  pushes_.push_back(std::make_unique<Push>(Push{to, location, std::move(pin), 0}));
  pump();
}

void Transfers::pump() {
  if (bulk_ != nullptr) {
    for (const Bulk::Received& object : bulk_->received()) arrived(object);
    for (Bulk::Unsent& object : bulk_->unsent()) push_in_chunks(object.to, object.location, std::move(object.pin));
  }
  for (auto& push : pushes_) {
    const std::span<const std::byte> bytes = push->pin.bytes();
    while (push->sent < bytes.size() && events_.backlog(push->to) < window) {
      const std::size_t size = std::min<std::size_t>(chunk_bytes, bytes.size() - push->sent);
      events_.send_chunk(push->to, {.location = push->location,
                                    .offset = push->sent,
                                    .bytes = Bytes(bytes.subspan(push->sent, size)),
                                    .error = {}});
      push->sent += size;
    }
  }
  std::erase_if(pushes_, [](const auto& push) { return push->sent == push->pin.bytes().size(); });
}

Result<bool> Transfers::expect(const wire::ObjectLocation& location) {
  bool full = false;
  auto draft = arena_.create(location.bytes, &full);
  if (!draft && full) return false;
  if (!draft) return draft.error();
  Arrival& arrival = arrivals_[location];
  const BulkOffer offer = bulk_ != nullptr ? bulk_->offer(location, *draft) : BulkOffer{};
  if (offer) {
    events_.send_offer(location.node, offer);
  } else {
    arrival.draft = *draft;
  }
  return true;
}

void Transfers::arrived(const Bulk::Received& object) {
  const auto at = arrivals_.find(object.asked);
  if (at == arrivals_.end()) {  // it was given up
    arena_.free(in_arena(object.local));
    return;
  }
  if (at->second.draft) arena_.discard(at->second.draft->location);  // it had begun to come as messages too
  arrivals_.erase(at);
  arena_.adopt(in_arena(object.local));
  events_.object_arrived(object.asked, object.local);
}

void Transfers::discard(const wire::ObjectLocation& location, const Arrival& arrival) {
  if (arrival.draft) arena_.discard(arrival.draft->location);
  if (bulk_ == nullptr) return;
  if (const auto draft = bulk_->withdraw(location)) arena_.discard(draft->location);
}

void Transfers::fail(const wire::ObjectLocation& location, const Error& error) {
  const auto at = arrivals_.find(location);
  if (at == arrivals_.end()) return;
  discard(location, at->second);
  arrivals_.erase(at);
  events_.object_failed(location, error);
}

void Transfers::on_chunk(wire::ObjectChunk&& chunk) {
  const auto at = arrivals_.find(chunk.location);
  if (at == arrivals_.end()) return;  // failed already; the rest of it still comes
  Arrival& arrival = at->second;
  if (chunk.error.code != ErrorCode::none) return fail(chunk.location, chunk.error);
  if (!arrival.draft) {
    arrival.draft = bulk_->withdraw(chunk.location);
    if (!arrival.draft) {  // a connection that broke may still be writing into that one
      const auto draft = arena_.create(chunk.location.bytes);
      if (!draft) return fail(chunk.location, draft.error());
      arrival.draft = *draft;
    }
  }
  const std::uint64_t total = arrival.draft->bytes.size();
  if (chunk.offset != arrival.received || chunk.bytes.size() > total - arrival.received) {
    return fail(chunk.location, {.code = ErrorCode::bad_message,
                                 .message = fmt::format(
                                     "a piece of an object of {} bytes begins at {} and has {} bytes, expected at {}",
                                     total, chunk.offset, chunk.bytes.size(), arrival.received)});
  }
  std::memcpy(arrival.draft->bytes.data() + arrival.received, chunk.bytes.data(), chunk.bytes.size());
  arrival.received += chunk.bytes.size();
  if (arrival.received < total) return;
  const object::Location local = arrival.draft->location;
  arrivals_.erase(at);
  arena_.seal(local);
  arena_.adopt(local);
  events_.object_arrived(chunk.location,
                         {.node = self_, .offset = local.offset, .bytes = local.bytes, .generation = local.generation});
}

void Transfers::node_died(NodeId node) {
  if (bulk_ != nullptr) bulk_->node_died(node);
  std::erase_if(offers_, [&](const auto& entry) { return entry.first.first == node; });
  std::erase_if(pushes_, [&](const auto& push) { return push->to == node; });
  for (auto at = arrivals_.begin(); at != arrivals_.end();) {
    if (at->first.node == node) {
      discard(at->first, at->second);
      at = arrivals_.erase(at);
    } else {
      ++at;
    }
  }
}

}  // namespace mobula::daemon
