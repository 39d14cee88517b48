#include "runtime/net/endpoint.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "runtime/base/fault_point.h"

namespace mobula::net {

namespace {

/// How long a reader spins before it sleeps: about what a sleep and a wake-up cost.
constexpr auto spin_time = std::chrono::microseconds(20);
/// Published together while corked. Small, so that the reader begins while the writer still encodes.
constexpr std::uint32_t corked_frames = 16;
/// Room is given back to the writer at the latest after this part of the ring.
constexpr std::uint32_t give_back_parts = 8;

class SetWhile {
 public:
  explicit SetWhile(bool& flag) : flag_(flag) { flag_ = true; }
  ~SetWhile() { flag_ = false; }
  SetWhile(const SetWhile&) = delete;
  SetWhile& operator=(const SetWhile&) = delete;

 private:
  bool& flag_;
};

bool more_than_one_cpu() {
  cpu_set_t cpus;
  return sched_getaffinity(0, sizeof(cpus), &cpus) == 0 && CPU_COUNT(&cpus) > 1;
}

std::size_t total(std::initializer_list<Endpoint::Bytes> parts) {
  std::size_t bytes = 0;
  for (const auto& part : parts) bytes += part.size();
  return bytes;
}

void copy(std::byte* to, std::initializer_list<Endpoint::Bytes> parts) {
  for (const auto& part : parts) {
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    to += part.size();
  }
}

}  // namespace

Endpoint::Endpoint(Segment& segment, Peer self)
    : segment_(segment),
      self_(self),
      process_(getpid()),
      out_(std::size_t{2} * segment.slots()),
      spin_(more_than_one_cpu()) {}

Endpoint::~Endpoint() {
  if (getpid() != process_) return;
  flush();
  segment_.leave(self_);
  for (auto& out : out_) close_out(out);
  attach_announced();
  for (const auto* lanes : {&messages_, &calls_}) {
    for (const auto& in : *lanes) segment_.close_reader(in->lane);
  }
}

std::size_t Endpoint::max_frame_bytes() const {
  return segment_.ring_bytes() / 2 - sizeof(FrameHeader);
}

// Sending.

Endpoint::OutLane* Endpoint::out_lane(Peer to, LaneKind kind, SendStatus& status) {
  if (!segment_.alive(to)) {
    status = SendStatus::dead;
    return nullptr;
  }
  auto& out = out_[std::size_t{2} * to.slot + static_cast<std::size_t>(kind)];
  if (out && out->lane.to.generation != to.generation) close_out(out);
  if (!out) {
    const auto lane = segment_.open_lane(self_, to, kind);
    if (!lane) {
      status = SendStatus::full;
      return nullptr;
    }
    out = std::make_unique<OutLane>(OutLane{*lane, segment_.writer(*lane)});
  }
  return out.get();
}

void Endpoint::close_out(std::unique_ptr<OutLane>& out) {
  if (!out) return;
  std::erase(unpublished_, out.get());
  segment_.close_writer(out->lane);
  out.reset();
}

Endpoint::Reservation Endpoint::reserve(Peer to, LaneKind kind, std::size_t bytes) {
  if (bytes > max_frame_bytes()) return {SendStatus::too_large, nullptr};
  SendStatus status = SendStatus::ok;
  OutLane* out = out_lane(to, kind, status);
  if (out == nullptr) return {status, nullptr};
  std::byte* data = out->ring.reserve(bytes);
  if (data == nullptr) {
    if (out->unpublished != 0) publish(*out);
    if (out->ring.wait_for_room()) return {SendStatus::full, nullptr};
    data = out->ring.reserve(bytes);
    if (data == nullptr) return {SendStatus::full, nullptr};
  }
  reserved_ = out;
  return {SendStatus::ok, data};
}

CallTicket Endpoint::commit(std::size_t bytes) {
  OutLane& out = *reserved_;
  const std::uint64_t position = out.ring.commit(bytes);
  if (out.unpublished++ == 0 && corked_) unpublished_.push_back(&out);
  if (!corked_ || out.unpublished >= corked_frames) publish(out);
  return {out.lane.index, out.lane.generation, position};
}

void Endpoint::publish(OutLane& out) {
  out.ring.publish();
  if (corked_ && out.unpublished != 0) std::erase(unpublished_, &out);
  out.unpublished = 0;
  segment_.ring(out.lane.to.slot);
}

void Endpoint::flush() {
  corked_ = false;
  for (OutLane* out : unpublished_) publish(*out);
  unpublished_.clear();
}

SendStatus Endpoint::send(Peer to, std::initializer_list<Bytes> parts) {
  const std::size_t bytes = total(parts);
  const Reservation place = reserve(to, LaneKind::messages, bytes);
  if (place.data == nullptr) return place.status;
  copy(place.data, parts);
  commit(bytes);
  return SendStatus::ok;
}

Posted Endpoint::post_call(Peer to, std::initializer_list<Bytes> parts) {
  const std::size_t bytes = total(parts);
  const Reservation place = reserve(to, LaneKind::calls, bytes);
  if (place.data == nullptr) return {place.status, {}};
  copy(place.data, parts);
  return {SendStatus::ok, commit(bytes)};
}

bool Endpoint::withdraw(const CallTicket& ticket) {
  // The ticket names a lane of this endpoint; which slot it leads to is in the lane's word while the lane is open.
  const auto slot = segment_.reader_slot(ticket.lane, ticket.generation);
  if (!slot) return false;
  const auto& out = out_[std::size_t{2} * *slot + static_cast<std::size_t>(LaneKind::calls)];
  if (!out || out->lane.index != ticket.lane || out->lane.generation != ticket.generation) return false;
  return out->ring.withdraw(ticket.position);
}

void Endpoint::forget(Peer dead) {
  if (dead.slot >= segment_.slots()) return;
  for (const LaneKind kind : {LaneKind::messages, LaneKind::calls}) {
    auto& out = out_[std::size_t{2} * dead.slot + static_cast<std::size_t>(kind)];
    if (out && out->lane.to == dead) close_out(out);
  }
}

// Receiving.

void Endpoint::attach_announced() {
  const std::uint32_t announced = segment_.doorbell(self_.slot).announced.load(std::memory_order_seq_cst);
  if (announced == announced_seen_) return;
  announced_seen_ = announced;
  const std::uint32_t used = segment_.lanes_used();
  for (std::uint32_t i = 0; i < used; ++i) {
    const auto lane = segment_.lane_to(self_.slot, i);
    if (!lane) continue;
    if (lane->to != self_) {  // meant for the process that had this slot before
      segment_.close_reader(*lane);
      continue;
    }
    auto& lanes = lane->kind == LaneKind::calls ? calls_ : messages_;
    const auto known = std::find_if(lanes.begin(), lanes.end(), [&](const auto& in) { return in->lane.index == i; });
    if (known == lanes.end()) lanes.push_back(std::make_unique<InLane>(InLane{*lane, segment_.reader(*lane)}));
  }
}

void Endpoint::notice_deaths() {
  const std::uint32_t deaths = segment_.deaths();
  if (deaths == deaths_seen_) return;
  deaths_seen_ = deaths;
  for (auto* lanes : {&messages_, &calls_}) {
    for (auto& in : *lanes) in->sender_gone = in->sender_gone || !segment_.alive(in->lane.from);
  }
}

std::size_t Endpoint::read(InLane& in, RawHandler call, void* handler, std::size_t max) {
  if (in.being_read) return 0;
  const SetWhile being_read(in.being_read);
  std::size_t count = 0;
  std::uint64_t given_back = in.ring.position();
  while (count < max) {
    const FrameHeader* frame = in.ring.peek();
    if (frame == nullptr) break;
    in.ring.step(*frame);
    ++count;
    call(handler, in.lane.from, {const_cast<FrameHeader*>(frame)->payload(), frame->bytes});
    if (in.ring.position() - given_back > segment_.ring_bytes() / give_back_parts) {
      given_back = in.ring.position();
      if (in.ring.give_back_read()) segment_.notify(in.lane.from);
    }
  }
  if (in.ring.give_back_read()) segment_.notify(in.lane.from);
  return count;
}

std::size_t Endpoint::poll_with(RawHandler call, void* handler, std::size_t max) {
  if (polling_) return 0;
  const SetWhile polling(polling_);
  segment_.doorbell(self_.slot).attention.store(0, std::memory_order_seq_cst);
  attach_announced();
  notice_deaths();
  std::size_t count = 0;
  for (std::size_t turn = messages_.size(); turn > 0 && count < max; --turn) {
    if (next_message_lane_ >= messages_.size()) next_message_lane_ = 0;
    InLane& in = *messages_[next_message_lane_];
    if (in.ring.ready()) count += read(in, call, handler, max - count);
    if (in.sender_gone && !in.ring.ready()) {
      segment_.close_reader(in.lane);
      messages_.erase(messages_.begin() + static_cast<std::ptrdiff_t>(next_message_lane_));
    } else {
      ++next_message_lane_;
    }
  }
  return count;
}

std::size_t Endpoint::drain_with(Peer from, RawHandler call, void* handler) {
  attach_announced();
  for (const auto& in : messages_) {
    if (in->lane.from == from) return read(*in, call, handler, static_cast<std::size_t>(-1));
  }
  return 0;
}

std::optional<Call> Endpoint::take_call() {
  attach_announced();
  notice_deaths();
  for (std::size_t turn = calls_.size(); turn > 0; --turn) {
    if (next_call_lane_ >= calls_.size()) next_call_lane_ = 0;
    InLane& in = *calls_[next_call_lane_];
    if (in.sender_gone) {  // nobody is left to want the results
      if (in.in_use == 0) {
        segment_.close_reader(in.lane);
        calls_.erase(calls_.begin() + static_cast<std::ptrdiff_t>(next_call_lane_));
      } else {
        ++next_call_lane_;
      }
      continue;
    }
    while (FrameHeader* frame = in.ring.peek()) {
      const std::uint64_t position = in.ring.position();
      Claim expected = Claim::queued;
      const bool mine = frame->claim.compare_exchange_strong(expected, Claim::claimed, std::memory_order_acq_rel);
      in.ring.step(*frame);
      if (!mine) continue;
      fault_point("call.claimed");
      ++in.in_use;
      ++next_call_lane_;
      return Call{in.lane.from, {frame->payload(), frame->bytes}, in.lane.index, position};
    }
    if (in.ring.give_back_done()) segment_.notify(in.lane.from);
    ++next_call_lane_;
  }
  return std::nullopt;
}

void Endpoint::finish_call(const Call& call) {
  for (const auto& in : calls_) {
    if (in->lane.index != call.lane) continue;
    --in->in_use;
    in->ring.at(call.position)->claim.store(Claim::done, std::memory_order_relaxed);
    if (in->ring.give_back_done()) segment_.notify(in->lane.from);
    return;
  }
}

// Sleeping.

bool Endpoint::ready(Interest interest) const {
  const Doorbell& bell = segment_.doorbell(self_.slot);
  if (bell.attention.load(std::memory_order_seq_cst) != 0) return true;
  if (bell.announced.load(std::memory_order_seq_cst) != announced_seen_) return true;
  for (const auto& in : messages_) {
    if (in->ring.ready()) return true;
  }
  if (interest == Interest::messages) return false;
  for (const auto& in : calls_) {
    if (in->ring.ready() && !in->sender_gone) return true;
  }
  return false;
}

bool Endpoint::wait(Clock::time_point deadline, Interest interest) {
  std::atomic<std::uint32_t>& attention = segment_.doorbell(self_.slot).attention;
  const auto look = [&] {
    if (!ready(interest)) return false;
    if (attention.load(std::memory_order_relaxed) != 0) attention.store(0, std::memory_order_seq_cst);
    return true;
  };
  if (look()) return true;
  const auto begin = Clock::now();
  if (begin >= deadline) return false;
  if (spin_.worth_trying()) {
    const auto until = std::min(deadline, begin + spin_time);
    do {
      pause();
      if (look()) {
        spin_.succeeded();
        return true;
      }
    } while (Clock::now() < until);
    spin_.failed();
  }
  return sleep_until(deadline, interest);
}

bool Endpoint::sleep_until(Clock::time_point deadline, Interest interest) {
  Doorbell& bell = segment_.doorbell(self_.slot);
  bell.state.store(Doorbell::in_futex, std::memory_order_seq_cst);
  const bool already = ready(interest);
  if (!already) bell.sleep(deadline);
  const bool rung = bell.state.exchange(Doorbell::awake, std::memory_order_seq_cst) == Doorbell::awake;
  return already || rung || ready(interest) || Clock::now() < deadline;
}

bool Endpoint::arm(Interest interest) {
  Doorbell& bell = segment_.doorbell(self_.slot);
  bell.state.store(Doorbell::in_epoll, std::memory_order_seq_cst);
  if (!ready(interest)) return true;
  bell.state.store(Doorbell::awake, std::memory_order_seq_cst);
  return false;
}

void Endpoint::disarm() {
  segment_.doorbell(self_.slot).state.store(Doorbell::awake, std::memory_order_seq_cst);
  std::uint64_t count = 0;
  [[maybe_unused]] const auto bytes = ::read(event_fd(), &count, sizeof(count));
}

void Endpoint::wake() {
  segment_.notify(self_);
}

}  // namespace mobula::net
