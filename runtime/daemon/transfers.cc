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

void Transfers::push(NodeId to, const wire::ObjectLocation& location, const wire::ObjectLocation& at) {
  auto pin = arena_.pin(in_arena(at));
  if (!pin) {
    events_.send_chunk(to, {.location = location, .offset = 0, .bytes = {}, .error = pin.error()});
    return;
  }
  pushes_.push_back(std::make_unique<Push>(Push{to, location, std::move(pin).value(), 0}));
  pump();
}

void Transfers::pump() {
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
  arrivals_.try_emplace(location, Arrival{*draft});
  return true;
}

void Transfers::fail(const wire::ObjectLocation& location, const Error& error) {
  const auto at = arrivals_.find(location);
  if (at == arrivals_.end()) return;
  arena_.discard(at->second.draft.location);
  arrivals_.erase(at);
  events_.object_failed(location, error);
}

void Transfers::on_chunk(wire::ObjectChunk&& chunk) {
  const auto at = arrivals_.find(chunk.location);
  if (at == arrivals_.end()) return;  // failed already; the rest of it still comes
  Arrival& arrival = at->second;
  if (chunk.error.code != ErrorCode::none) return fail(chunk.location, chunk.error);
  const std::uint64_t total = arrival.draft.bytes.size();
  if (chunk.offset != arrival.received || chunk.bytes.size() > total - arrival.received) {
    return fail(chunk.location, {.code = ErrorCode::bad_message,
                                 .message = fmt::format(
                                     "a piece of an object of {} bytes begins at {} and has {} bytes, expected at {}",
                                     total, chunk.offset, chunk.bytes.size(), arrival.received)});
  }
  std::memcpy(arrival.draft.bytes.data() + arrival.received, chunk.bytes.data(), chunk.bytes.size());
  arrival.received += chunk.bytes.size();
  if (arrival.received < total) return;
  const object::Location local = arrival.draft.location;
  arrivals_.erase(at);
  arena_.seal(local);
  arena_.adopt(local);
  events_.object_arrived(chunk.location,
                         {.node = self_, .offset = local.offset, .bytes = local.bytes, .generation = local.generation});
}

void Transfers::node_died(NodeId node) {
  std::erase_if(pushes_, [&](const auto& push) { return push->to == node; });
  for (auto at = arrivals_.begin(); at != arrivals_.end();) {
    if (at->first.node == node) {
      arena_.discard(at->second.draft.location);
      at = arrivals_.erase(at);
    } else {
      ++at;
    }
  }
}

}  // namespace mobula::daemon
