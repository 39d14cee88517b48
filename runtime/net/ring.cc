#include "runtime/net/ring.h"

#include <stdexcept>
#include <string>

#include "runtime/base/fault_point.h"

namespace mobula::net {

namespace {
/// How much of the ring is used before the writer looks whether it may start again at the beginning.
constexpr std::uint64_t rewind_after = 32 * 1024;
}  // namespace

std::uint64_t RingWriter::pad_before(std::uint64_t size) {
  const std::uint64_t offset = written_ & (capacity_ - 1);
  const std::uint64_t to_end = capacity_ - offset;
  if (size > to_end) return to_end;
  const bool crosses = ((offset ^ (offset + size)) & ~(rewind_after - 1)) != 0;
  if (offset >= rewind_after / 2 && crosses && offset + size < capacity_) {
    head_seen_ = state_->head.load(std::memory_order_acquire);
    if (head_seen_ == written_ && size <= offset) return to_end;
  }
  return 0;
}

std::byte* RingWriter::reserve(std::uint64_t bytes) {
  const std::uint64_t size = sizeof(FrameHeader) + ((bytes + 15) & ~std::uint64_t{15});
  pad_ = pad_before(size);
  const std::uint64_t end = written_ + pad_ + size;
  if (end - head_seen_ > capacity_) {
    head_seen_ = state_->head.load(std::memory_order_acquire);
    if (end - head_seen_ > capacity_) return nullptr;
  }
  return at(written_ + pad_)->payload();
}

std::uint64_t RingWriter::commit(std::uint64_t bytes) {
  if (pad_ != 0) {
    FrameHeader* pad = at(written_);
    pad->bytes = static_cast<std::uint32_t>(pad_ - sizeof(FrameHeader));
    pad->kind = FrameHeader::pad_kind;
    pad->claim.store(Claim::done, std::memory_order_relaxed);
    written_ += pad_;
    pad_ = 0;
    fault_point("ring.pad_written");
  }
  FrameHeader* frame = at(written_);
  frame->bytes = static_cast<std::uint32_t>(bytes);
  frame->kind = FrameHeader::frame_kind;
  frame->claim.store(Claim::queued, std::memory_order_relaxed);
  const std::uint64_t position = written_;
  written_ += frame->size();
  fault_point("ring.committed");
  return position;
}

void RingWriter::publish() {
  state_->tail.store(written_, std::memory_order_seq_cst);
  published_ = written_;
  fault_point("ring.published");
}

bool RingWriter::withdraw(std::uint64_t position) {
  // Only this end writes frames, so the memory still holds this one unless it was written over since, for which the
  // reader must have given it back.
  if (written_ - position > capacity_ || position >= written_) return false;
  Claim expected = Claim::queued;
  return at(position)->claim.compare_exchange_strong(expected, Claim::withdrawn, std::memory_order_acq_rel);
}

bool RingWriter::wait_for_room() {
  state_->writer_waits.store(1, std::memory_order_seq_cst);
  return state_->head.load(std::memory_order_seq_cst) == head_seen_;
}

FrameHeader* RingReader::peek() {
  for (;;) {
    if (cursor_ == tail_seen_) {
      tail_seen_ = state_->tail.load(std::memory_order_acquire);
      if (cursor_ == tail_seen_) return nullptr;
    }
    FrameHeader* frame = at(cursor_);
    const bool pad = frame->kind == FrameHeader::pad_kind;
    if ((!pad && frame->kind != FrameHeader::frame_kind) || frame->size() > tail_seen_ - cursor_) [[unlikely]] {
      throw std::runtime_error(
          "reading a lane: found a frame of " + std::to_string(frame->bytes) + " bytes, kind " +
          std::to_string(frame->kind) + ", where " + std::to_string(tail_seen_ - cursor_) +
          " bytes were published; some process has written over the shared segment (look for writes "
          "out of bounds in tasks: build with the asan preset)");
    }
    if (!pad) return frame;
    cursor_ += frame->size();
  }
}

bool RingReader::publish_head(std::uint64_t head) {
  if (head == head_) return false;
  head_ = head;
  fault_point("ring.giving_back");
  state_->head.store(head, std::memory_order_seq_cst);
  return state_->writer_waits.load(std::memory_order_seq_cst) != 0 &&
         state_->writer_waits.exchange(0, std::memory_order_seq_cst) != 0;
}

bool RingReader::give_back_read() {
  return publish_head(cursor_);
}

bool RingReader::give_back_done() {
  std::uint64_t head = head_;
  while (head != cursor_) {
    FrameHeader* frame = at(head);
    const Claim claim = frame->claim.load(std::memory_order_relaxed);
    if (claim != Claim::done && claim != Claim::withdrawn) break;
    head += frame->size();
  }
  return publish_head(head);
}

}  // namespace mobula::net
