#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

namespace mobula::net {

/// One direction of a lane: a ring of frames in shared memory with one writer process and one reader process.
///
/// Positions count bytes since the lane was opened and never wrap; the place in memory is the position modulo the
/// capacity (a power of two). A frame is a 16-byte header and its bytes, padded to 16, never split over the end: what
/// does not fit before the end is skipped by a pad. A frame becomes visible by one store to `tail` after all of it is
/// written, so a writer that is killed leaves either the whole frame or nothing. The reader gives room back by one
/// store to `head`; if it is killed in the middle of a frame, nothing but its own progress is lost.
///
/// Once the reader has caught up and some kilobytes have been used, the writer starts again at the beginning of the
/// memory: calls that come one at a time keep to a few warm cache lines and pages instead of walking through the whole
/// ring.
struct RingState {
  alignas(64) std::atomic<std::uint64_t> tail;  ///< end of the published frames; written by the writer
  std::atomic<std::uint32_t> writer_waits;      ///< the writer found the ring full and wants its doorbell rung
  alignas(64) std::atomic<std::uint64_t> head;  ///< end of the frames given back; written by the reader
};

/// The claim word of a frame on a `calls` lane. It changes by compare-and-swap only, once: whoever moves it away from
/// `queued` has the call. Messages leave it at `queued`.
enum class Claim : std::uint32_t { queued = 0, claimed = 1, withdrawn = 2, done = 3 };

struct alignas(16) FrameHeader {
  std::uint32_t bytes;  ///< of the payload; for a pad, of what is skipped after the header
  std::uint32_t kind;   ///< frame_kind or pad_kind
  std::atomic<Claim> claim;
  std::uint32_t reserved;

  static constexpr std::uint32_t frame_kind = 0x6d6f6201;
  static constexpr std::uint32_t pad_kind = 0x6d6f6202;

  std::byte* payload() { return reinterpret_cast<std::byte*>(this + 1); }
  std::uint64_t size() const { return sizeof(FrameHeader) + ((std::uint64_t{bytes} + 15) & ~std::uint64_t{15}); }
};
static_assert(sizeof(FrameHeader) == 16);

/// The writer's end. Its progress is private to the process: it dies with the lane.
class RingWriter {
 public:
  RingWriter() = default;
  RingWriter(RingState* state, std::byte* memory, std::uint64_t capacity)
      : state_(state), memory_(memory), capacity_(capacity) {}

  /// Room for a payload of up to `bytes`, aligned to 16, or null while the ring is too full. Nothing is visible before
  /// publish(); a later reserve() without commit() starts over.
  std::byte* reserve(std::uint64_t bytes);

  /// Makes a frame of the first `bytes` of the reservation; returns its position. The reader does not see it yet.
  std::uint64_t commit(std::uint64_t bytes);

  /// Shows the reader all frames made so far. Sequentially consistent, so that the writer may test right after it
  /// whether the reader sleeps.
  void publish();

  /// Takes back the frame at `position` if the reader has not begun it. Also after the reader's death: then it tells
  /// calls that were never begun from those that were.
  bool withdraw(std::uint64_t position);

  /// Asks for the doorbell once there is room. Returns false if there is room already.
  bool wait_for_room();

  bool unpublished() const { return written_ != published_; }

 private:
  std::uint64_t pad_before(std::uint64_t size);
  FrameHeader* at(std::uint64_t position) const {
    return reinterpret_cast<FrameHeader*>(memory_ + (position & (capacity_ - 1)));
  }

  RingState* state_ = nullptr;
  std::byte* memory_ = nullptr;
  std::uint64_t capacity_ = 0;
  std::uint64_t written_ = 0;    ///< end of the committed frames
  std::uint64_t published_ = 0;  ///< what tail holds
  std::uint64_t head_seen_ = 0;  ///< lower bound of head, so that the reader's cache line is rarely touched
  std::uint64_t pad_ = 0;        ///< of the open reservation
};

/// The reader's end. Frames are looked at in order and may be given back in any order; `head` follows the oldest.
class RingReader {
 public:
  RingReader() = default;
  RingReader(RingState* state, std::byte* memory, std::uint64_t capacity)
      : state_(state), memory_(memory), capacity_(capacity) {}

  /// The next frame, left in place, or null. Throws std::runtime_error if the memory does not hold what a writer can
  /// have put there (another part of a program has written over it).
  FrameHeader* peek();

  /// Steps over the frame that peek() showed; it stays valid until give_back().
  void step(const FrameHeader& frame) { cursor_ += frame.size(); }

  /// Gives room back up to the cursor, or up to the first frame (of a calls lane) still in use.
  /// Returns true if the writer waits for room: ring its doorbell.
  bool give_back_read();
  bool give_back_done();

  bool ready() const { return tail_seen_ != cursor_ || state_->tail.load(std::memory_order_seq_cst) != cursor_; }
  std::uint64_t position() const { return cursor_; }
  FrameHeader* at(std::uint64_t position) const {
    return reinterpret_cast<FrameHeader*>(memory_ + (position & (capacity_ - 1)));
  }

 private:
  bool publish_head(std::uint64_t head);

  RingState* state_ = nullptr;
  std::byte* memory_ = nullptr;
  std::uint64_t capacity_ = 0;
  std::uint64_t cursor_ = 0;     ///< start of the next frame to look at
  std::uint64_t head_ = 0;       ///< what head holds
  std::uint64_t tail_seen_ = 0;  ///< lower bound of tail
};

}  // namespace mobula::net
