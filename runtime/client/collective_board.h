// The members of a collective that share a node meet here, in shared memory.
//
// A meeting ends for all when all have come; what a member wrote before it, the others read after it, until they come
// to the next one. So each member has two of everything, used in turns: one meeting passes one piece of each member.
// Large values are passed in pieces that stay in the caches, one meeting a piece.
//
// Where the collective spans several nodes, the first member of a node meets the others of its kind between the arrival
// of the last member here and the end of the meeting, and leaves here what it learnt.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <mobula/collective.h>
#include <mobula/detail/core.h>

#include "runtime/net/spin_policy.h"
#include "runtime/net/turn.h"

namespace mobula::detail {

// Up to this size a value travels in one piece.
inline constexpr std::size_t small_collective_bytes = 8192;

struct BoardShape {
  std::uint32_t seats = 1;  // members here
  std::uint32_t ranks = 1;  // members everywhere
  std::size_t stage = 0;    // bytes of a piece

  static BoardShape of(std::size_t seats, std::size_t ranks);
  bool one_node() const { return seats == ranks; }
  std::size_t size() const;  // bytes in all
};

class CollectiveBoard {
 public:
  // What a member does while it waits: called every so often, to look after what no memory tells. It throws what ends
  // the wait.
  struct Waiting {
    std::function<void()> look;
    std::function<void(std::uint32_t seat)> late;  // the deadline has passed, and this one did not come; throws
    std::function<void()> ended;                   // end() was called; throws
  };

  // `memory` has shape.size() bytes; its first user calls clear() before the others see it.
  CollectiveBoard(SharedMemory memory, const BoardShape& shape, std::uint32_t seat, Waiting waiting);
  void clear() const;
  const BoardShape& shape() const { return shape_; }

  // Before a meeting: what this member asks for, the size of its value, and the first piece of it.
  void say(const CollectiveAsk& ask, std::size_t bytes) const;
  std::byte* stage() const { return stage_at(seat_, coming() & 1); }
  std::byte* part() const { return part_at(seat_, coming() & 1); }  // of a value that was combined from pieces

  // Returns once all have come, or throws.
  void meet(Deadline deadline);
  // The same in two halves, for several nodes: `outside` is called by the first seat once all have come.
  void meet(Deadline deadline, const std::function<void()>& outside);

  // After it, until the next one.
  const CollectiveAsk& ask_of(std::uint32_t seat) const { return note_at(seat, met_ & 1).ask; }
  std::size_t bytes_of(std::uint32_t seat) const { return note_at(seat, met_ & 1).bytes; }
  const std::byte* stage_of(std::uint32_t seat) const { return stage_at(seat, met_ & 1); }
  const std::byte* part_of(std::uint32_t seat) const { return part_at(seat, met_ & 1); }
  std::size_t part_bytes() const;

  // In `outside`: what has come to this meeting.
  const CollectiveAsk& coming_ask_of(std::uint32_t seat) const { return note_at(seat, coming() & 1).ask; }
  std::span<const std::byte> coming_from(std::uint32_t seat) const {
    const std::uint32_t turn = coming() & 1;
    return {stage_at(seat, turn), note_at(seat, turn).bytes};
  }
  // What the first seat learnt from elsewhere, by rank; written in `outside`.
  struct Letter {
    std::uint64_t bytes;
    std::byte text[small_collective_bytes];
  };
  Letter& letter(std::uint32_t rank) const;

  // The lowest seat that has not come to the meeting that this member waits in; shape().seats if all have.
  std::uint32_t missing() const;
  // Ends it for all: those who wait, and those who will.
  void end() const;

 private:
  struct alignas(64) Control {
    std::atomic<std::uint32_t> ended;
    alignas(64) std::atomic<std::uint32_t> arrived;
    alignas(64) net::Turn all_here;  // meetings to which all have come
    alignas(64) net::Turn over;      // meetings that have ended
  };
  struct alignas(64) Note {
    CollectiveAsk ask;
    std::uint64_t bytes;
  };
  struct alignas(64) Seat {
    std::atomic<std::uint32_t> arrived;  // meetings that it came to
    Note notes[2];
  };

  std::uint32_t coming() const { return met_ + 1; }
  Control& control() const { return *reinterpret_cast<Control*>(memory_.data); }
  Seat& seat_at(std::uint32_t seat) const;
  Note& note_at(std::uint32_t seat, std::uint32_t turn) const { return seat_at(seat).notes[turn]; }
  std::byte* stage_at(std::uint32_t seat, std::uint32_t turn) const;
  std::byte* part_at(std::uint32_t seat, std::uint32_t turn) const;
  void arrive() const;
  void wait_for(net::Turn& turn, Deadline deadline);

  const SharedMemory memory_;
  const BoardShape shape_;
  const std::uint32_t seat_;
  const Waiting waiting_;
  net::SpinPolicy spin_;
  std::uint32_t met_ = 0;  // meetings that this member was at
};

// The operations among members that all have a seat at one board. Each begins with a meeting at which the asks are
// compared: `check` throws where they differ.
struct BoardOperation {
  CollectiveBoard& board;
  Deadline deadline;
  std::function<void()> check;
  std::uint32_t seat;  // is the rank
  std::uint32_t size() const { return board.shape().seats; }

  void barrier(const CollectiveAsk& ask) const;
  // In place: of the root, or of all.
  void reduce(const CollectiveAsk& ask, std::span<std::byte> values, Combine combine) const;
  void reduce_to_parts(const CollectiveAsk& ask, std::span<const std::byte> values, std::span<std::byte> part,
                       Combine combine) const;
  void broadcast(const CollectiveAsk& ask, std::span<std::byte> values) const;
  void gather(const CollectiveAsk& ask, std::span<const std::byte> mine, const CollectiveRoom& room) const;
  void scatter(const CollectiveAsk& ask, std::span<const std::byte> all, const CollectiveRoom& room) const;

 private:
  struct Pieces;
  void first_meeting(const CollectiveAsk& ask, std::size_t bytes) const;
};

}  // namespace mobula::detail
