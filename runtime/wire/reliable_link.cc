#include "runtime/wire/reliable_link.h"

#include <algorithm>
#include <cstring>

namespace mobula::wire {

namespace {
constexpr std::uint32_t magic = 0x4d4f424c;  // "LBOM" in memory: envelopes and links are of one build and byte order
constexpr std::size_t resend_at_once = 32;   // of a window that may have arrived: the acknowledgement tells the rest
}  // namespace

ReliableLink::ReliableLink(NodeId self, NodeId peer, LinkOptions options, LinkSink& sink)
    : self_(self), peer_(peer), options_(options), sink_(sink), retransmit_in_(options.retransmit_after) {}

NodeId ReliableLink::sender_of(std::span<const std::byte> datagram) {
  Header header;
  if (datagram.size() < sizeof header) return {};
  std::memcpy(&header, datagram.data(), sizeof header);
  return header.magic == magic ? NodeId{header.from} : NodeId{};
}

void ReliableLink::transmit(std::uint64_t sequence, const Bytes* payload) {
  Header header;
  header.magic = magic;
  header.kind = payload != nullptr ? 1 : 0;
  header.from = self_.value;
  header.to = peer_.value;
  header.sequence = sequence;
  header.acknowledged = arrived_;
  const std::size_t bytes = payload != nullptr ? payload->size() : 0;
  std::byte* out = scratch_.resize_for_overwrite(sizeof header + bytes);
  std::memcpy(out, &header, sizeof header);
  if (bytes != 0) std::memcpy(out + sizeof header, payload->data(), bytes);
  owes_acknowledgement_ = false;
  unacknowledged_arrivals_ = 0;
  acknowledge_at_ = never;
  sink_.transmit(peer_, scratch_.span());
}

void ReliableLink::send(Bytes payload, Time now) {
  queued_bytes_ += payload.size();
  outgoing_.push_back(std::move(payload));
  ++counts_.sent;
  fill_window(now);
}

void ReliableLink::fill_window(Time now) {
  const std::uint64_t end = std::min(first_ + outgoing_.size(), first_ + options_.window);
  while (next_ < end) {
    transmit(next_, &outgoing_[next_ - first_]);
    ++next_;
    if (retransmit_at_ == never) retransmit_at_ = now + retransmit_in_;
  }
}

void ReliableLink::acknowledged(std::uint64_t up_to, Time now) {
  if (up_to < first_) return;  // an old one, delayed
  while (first_ <= up_to) {
    queued_bytes_ -= outgoing_.front().size();
    outgoing_.pop_front();
    ++first_;
  }
  // Something moved: be patient again.
  retransmit_in_ = options_.retransmit_after;
  retransmit_at_ = next_ > first_ ? now + retransmit_in_ : never;
  fill_window(now);
}

bool ReliableLink::on_datagram(std::span<const std::byte> datagram, Time now) {
  Header header;
  const bool readable = datagram.size() >= sizeof header;
  if (readable) std::memcpy(&header, datagram.data(), sizeof header);
  if (!readable || header.magic != magic || header.from != peer_.value || header.to != self_.value || header.kind > 1 ||
      header.acknowledged >= next_ || (header.kind == 0 && datagram.size() != sizeof header) ||
      (header.kind == 1 && header.sequence == 0)) {
    // Of an earlier incarnation, or acknowledging what was never sent.
    ++counts_.rejected;
    return false;
  }
  acknowledged(header.acknowledged, now);
  if (header.kind == 0) return true;
  owes_acknowledgement_ = true;
  if (header.sequence <= arrived_ || early_.contains(header.sequence)) {
    ++counts_.duplicates;
    acknowledge_at_ = now;  // it seems to have missed ours
    return true;
  }
  if (header.sequence > arrived_ + options_.window) {
    ++counts_.rejected;  // no sender of ours is that far ahead
    return false;
  }
  if (header.sequence != arrived_ + 1) ++counts_.reordered;
  early_.emplace(header.sequence, Bytes(datagram.subspan(sizeof header)));
  while (!early_.empty() && early_.begin()->first == arrived_ + 1) {
    const Bytes payload = std::move(early_.begin()->second);
    early_.erase(early_.begin());
    ++arrived_;
    ++counts_.delivered;
    ++unacknowledged_arrivals_;
    sink_.deliver(peer_, payload.span());
  }
  if (owes_acknowledgement_) {
    const bool soon = unacknowledged_arrivals_ >= options_.acknowledge_every || !early_.empty();
    acknowledge_at_ = soon ? now : std::min(acknowledge_at_, now + options_.acknowledge_after);
  }
  return true;
}

void ReliableLink::on_reconnected(Time now) {
  retransmit_in_ = options_.retransmit_after;
  if (next_ > first_) retransmit_at_ = now;
}

void ReliableLink::on_timer(Time now) {
  if (now >= retransmit_at_) {
    const std::uint64_t end = std::min(next_, first_ + resend_at_once);
    for (std::uint64_t sequence = first_; sequence < end; ++sequence) {
      transmit(sequence, &outgoing_[sequence - first_]);
      ++counts_.retransmitted;
    }
    retransmit_in_ = std::min(retransmit_in_ * 2, options_.retransmit_at_most);
    retransmit_at_ = now + retransmit_in_;
  }
  if (now >= acknowledge_at_ && owes_acknowledgement_) transmit(0, nullptr);
}

Time ReliableLink::next_timer() const {
  return std::min(retransmit_at_, acknowledge_at_);
}

}  // namespace mobula::wire
