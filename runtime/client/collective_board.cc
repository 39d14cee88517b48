#include "runtime/client/collective_board.h"

#include <algorithm>
#include <cstring>
#include <thread>

namespace mobula::detail {

namespace {

constexpr std::size_t line = 64;
constexpr auto spin_time = std::chrono::microseconds(20);
constexpr auto look_every = std::chrono::milliseconds(50);

constexpr std::size_t whole_lines(std::size_t bytes) {
  return (bytes + line - 1) / line * line;
}
void copy_bytes(std::byte* to, const std::byte* from, std::size_t bytes) {
  if (bytes != 0) std::memcpy(to, from, bytes);
}

}  // namespace

BoardShape BoardShape::of(std::size_t seats, std::size_t ranks) {
  // All pieces of all members together stay in a cache; a small value fits into one.
  constexpr std::size_t together = 2 << 20, most = 256 << 10, least = 2 * small_collective_bytes;
  const std::size_t stage = std::max({std::min(together / seats, most), least, seats * line});
  return {static_cast<std::uint32_t>(seats), static_cast<std::uint32_t>(ranks), whole_lines(stage)};
}

std::size_t CollectiveBoard::part_bytes() const {
  return shape_.stage / shape_.seats / line * line;
}

std::size_t BoardShape::size() const {
  // (An upper bound: the part of a piece is at most the piece divided by the members.)
  const std::size_t each = 1024 + 2 * (stage + stage / seats);
  const std::size_t letters = one_node() ? 0 : ranks * whole_lines(sizeof(CollectiveBoard::Letter));
  return 1024 + seats * each + letters;
}

CollectiveBoard::CollectiveBoard(SharedMemory memory, const BoardShape& shape, std::uint32_t seat, Waiting waiting)
    : memory_(std::move(memory)),
      shape_(shape),
      seat_(seat),
      waiting_(std::move(waiting)),
      // Spinning keeps a core from whoever has to come, unless each has one.
      spin_(std::thread::hardware_concurrency() >= shape.seats) {
  static_assert(sizeof(Control) <= 1024 && sizeof(Seat) <= 1024);
}

void CollectiveBoard::clear() const {
  std::memset(memory_.data, 0, 1024 + shape_.seats * std::size_t{1024});
}

CollectiveBoard::Seat& CollectiveBoard::seat_at(std::uint32_t seat) const {
  return *reinterpret_cast<Seat*>(memory_.data + 1024 + seat * std::size_t{1024});
}
std::byte* CollectiveBoard::stage_at(std::uint32_t seat, std::uint32_t turn) const {
  return memory_.data + 1024 + shape_.seats * std::size_t{1024} + (2 * seat + turn) * shape_.stage;
}
std::byte* CollectiveBoard::part_at(std::uint32_t seat, std::uint32_t turn) const {
  return stage_at(shape_.seats, 0) + (2 * seat + turn) * part_bytes();
}
CollectiveBoard::Letter& CollectiveBoard::letter(std::uint32_t rank) const {
  return *reinterpret_cast<Letter*>(part_at(shape_.seats, 0) + rank * whole_lines(sizeof(Letter)));
}

void CollectiveBoard::say(const CollectiveAsk& ask, std::size_t bytes) const {
  note_at(seat_, coming() & 1) = {ask, bytes};
}

void CollectiveBoard::arrive() const {
  Control& all = control();
  const std::uint32_t number = coming();
  seat_at(seat_).arrived.store(number, std::memory_order_seq_cst);
  if (all.arrived.fetch_add(1, std::memory_order_seq_cst) + 1 != shape_.seats) return;
  all.arrived.store(0, std::memory_order_seq_cst);
  if (shape_.one_node()) {
    all.over.raise_to(number);
  } else {
    all.all_here.raise_to(number);
  }
}

void CollectiveBoard::meet(Deadline deadline) {
  meet(deadline, [] {});
}

void CollectiveBoard::meet(Deadline deadline, const std::function<void()>& outside) {
  if (control().ended.load(std::memory_order_seq_cst) != 0) waiting_.ended();
  arrive();
  if (!shape_.one_node() && seat_ == 0) {
    wait_for(control().all_here, deadline);
    outside();
    control().over.raise_to(coming());
  } else {
    wait_for(control().over, deadline);
  }
  met_ = coming();
}

void CollectiveBoard::wait_for(net::Turn& turn, Deadline deadline) {
  const std::uint32_t wanted = coming();
  if (turn.reached(wanted)) return;
  if (spin_.worth_trying()) {
    const Deadline until = std::min(deadline, Clock::now() + spin_time);
    do {
      net::pause();
      if (turn.reached(wanted)) return spin_.succeeded();
    } while (Clock::now() < until);
    spin_.failed();
  }
  Deadline looked = Clock::now();
  for (;;) {
    const std::uint32_t seen = turn.number.load(std::memory_order_seq_cst);
    if (turn.reached(wanted)) return;
    if (control().ended.load(std::memory_order_seq_cst) != 0) waiting_.ended();
    turn.sleep(seen, std::min(deadline, looked + look_every));
    if (turn.reached(wanted)) return;
    const Deadline now = Clock::now();
    // Between nodes it is the first seat that waits for the others, once all have come here.
    if (now >= deadline) {
      if (const std::uint32_t seat = missing(); seat < shape_.seats) waiting_.late(seat);
    }
    if (now < looked + look_every) continue;
    looked = now;
    waiting_.look();
  }
}

std::uint32_t CollectiveBoard::missing() const {
  std::uint32_t seat = 0;
  while (seat < shape_.seats && seat_at(seat).arrived.load(std::memory_order_seq_cst) == coming()) ++seat;
  return seat;
}

void CollectiveBoard::end() const {
  control().ended.store(1, std::memory_order_seq_cst);
  control().all_here.wake();
  control().over.wake();
}

// Operations.

void BoardOperation::first_meeting(const CollectiveAsk& ask, std::size_t bytes) const {
  board.say(ask, bytes);
  board.meet(deadline);
  check();
}

void BoardOperation::barrier(const CollectiveAsk& ask) const {
  first_meeting(ask, 0);
}

namespace {

// What is combined by all, in pieces of each member's part.
struct Parts {
  std::size_t count, element, piece;  // numbers, bytes of one, numbers of a piece
  int members;

  std::size_t begin(std::uint32_t member) const { return part_begin(count, members, static_cast<int>(member)); }
  // Where the piece number `c` of a member's part begins, and how many numbers it has.
  std::size_t begin(std::uint32_t member, std::size_t c) const {
    return std::min(begin(member) + c * piece, begin(member + 1));
  }
  std::size_t size(std::uint32_t member, std::size_t c) const { return begin(member, c + 1) - begin(member, c); }
  std::size_t pieces() const {
    const std::size_t longest = (count + static_cast<std::size_t>(members) - 1) / static_cast<std::size_t>(members);
    return std::max<std::size_t>(1, (longest + piece - 1) / piece);
  }
};

}  // namespace

struct BoardOperation::Pieces {
  const BoardOperation& of;
  const Parts parts;
  const Reduce how;
  const Combine combine;
  std::vector<const std::byte*> from{};

  Pieces(const BoardOperation& operation, const CollectiveAsk& ask, Combine with)
      : of(operation),
        parts{ask.count, ask.element, operation.board.part_bytes() / ask.element, static_cast<int>(operation.size())},
        how(static_cast<Reduce>(ask.reduce)),
        combine(with),
        from(operation.size()) {}

  void stage(const std::byte* values, std::size_t c) const {
    if (c >= parts.pieces()) return;
    for (std::uint32_t r = 0; r < of.size(); ++r) {
      copy_bytes(of.board.stage() + r * of.board.part_bytes(), values + parts.begin(r, c) * parts.element,
                 parts.size(r, c) * parts.element);
    }
  }
  // Of this member's part.
  void combine_to(std::byte* out, std::size_t c) {
    for (std::uint32_t r = 0; r < of.size(); ++r) from[r] = of.board.stage_of(r) + of.seat * of.board.part_bytes();
    combine(out, from, parts.size(of.seat, c), how);
  }
};

void BoardOperation::reduce(const CollectiveAsk& ask, std::span<std::byte> values, Combine combine) const {
  const bool keeps = ask.root < 0 || static_cast<std::uint32_t>(ask.root) == seat;
  if (values.size() <= small_collective_bytes) {
    copy_bytes(board.stage(), values.data(), values.size());
    first_meeting(ask, values.size());
    std::vector<const std::byte*> from(size());
    for (std::uint32_t r = 0; r < size(); ++r) from[r] = board.stage_of(r);
    if (keeps) combine(values.data(), from, ask.count, static_cast<Reduce>(ask.reduce));
    return;
  }
  Pieces pieces(*this, ask, combine);
  pieces.stage(values.data(), 0);
  first_meeting(ask, values.size());
  for (std::size_t c = 0; c < pieces.parts.pieces(); ++c) {
    pieces.combine_to(board.part(), c);
    pieces.stage(values.data(), c + 1);
    board.meet(deadline);
    for (std::uint32_t r = 0; r < size() && keeps; ++r) {
      copy_bytes(values.data() + pieces.parts.begin(r, c) * ask.element, board.part_of(r),
                 pieces.parts.size(r, c) * ask.element);
    }
  }
}

void BoardOperation::reduce_to_parts(const CollectiveAsk& ask, std::span<const std::byte> values,
                                     std::span<std::byte> part, Combine combine) const {
  Pieces pieces(*this, ask, combine);
  pieces.stage(values.data(), 0);
  first_meeting(ask, values.size());
  for (std::size_t c = 0; c < pieces.parts.pieces(); ++c) {
    if (c != 0) board.meet(deadline);
    pieces.combine_to(part.data() + c * pieces.parts.piece * ask.element, c);
    pieces.stage(values.data(), c + 1);
  }
}

void BoardOperation::broadcast(const CollectiveAsk& ask, std::span<std::byte> values) const {
  const auto root = static_cast<std::uint32_t>(ask.root);
  const std::size_t most = board.shape().stage;
  const auto piece = [&](std::size_t at) { return std::min(most, values.size() - at); };
  if (seat == root) copy_bytes(board.stage(), values.data(), piece(0));
  first_meeting(ask, values.size());
  for (std::size_t at = 0;; at += most) {
    if (seat != root) copy_bytes(values.data() + at, board.stage_of(root), piece(at));
    if (values.size() - at <= most) return;
    if (seat == root) copy_bytes(board.stage(), values.data() + at + most, piece(at + most));
    board.meet(deadline);
  }
}

void BoardOperation::gather(const CollectiveAsk& ask, std::span<const std::byte> mine,
                            const CollectiveRoom& room) const {
  const std::size_t most = board.shape().stage;
  const auto stage = [&](std::size_t at) {
    if (at < mine.size()) copy_bytes(board.stage(), mine.data() + at, std::min(most, mine.size() - at));
  };
  stage(0);
  first_meeting(ask, mine.size());
  const bool gets = ask.root < 0 || static_cast<std::uint32_t>(ask.root) == seat;
  std::size_t longest = 0;
  std::vector<std::size_t> bytes;
  std::vector<std::byte*> to;
  for (std::uint32_t r = 0; r < size(); ++r) {
    bytes.push_back(board.bytes_of(r));
    longest = std::max(longest, bytes.back());
    to.push_back(gets ? room(static_cast<int>(r), bytes.back()) : nullptr);
  }
  for (std::size_t at = 0;; at += most) {
    for (std::uint32_t r = 0; r < size() && gets; ++r) {
      if (at < bytes[r]) copy_bytes(to[r] + at, board.stage_of(r), std::min(most, bytes[r] - at));
    }
    if (longest <= at + most) return;
    stage(at + most);
    board.meet(deadline);
  }
}

void BoardOperation::scatter(const CollectiveAsk& ask, std::span<const std::byte> all,
                             const CollectiveRoom& room) const {
  const auto root = static_cast<std::uint32_t>(ask.root);
  const std::size_t most = board.shape().stage;
  const auto stage = [&](std::size_t at) {
    if (seat == root && at < all.size()) copy_bytes(board.stage(), all.data() + at, std::min(most, all.size() - at));
  };
  stage(0);
  first_meeting(ask, all.size());
  const std::size_t total = board.bytes_of(root);
  const auto begin_of = [&](std::uint32_t member) {
    return part_begin(total / ask.element, static_cast<int>(size()), static_cast<int>(member)) * ask.element;
  };
  const std::size_t begin = begin_of(seat), end = begin_of(seat + 1);
  std::byte* const mine = room(static_cast<int>(seat), end - begin);
  for (std::size_t at = 0;; at += most) {
    const std::size_t from = std::max(begin, at), to = std::min(end, at + most);
    if (from < to) copy_bytes(mine + (from - begin), board.stage_of(root) + (from - at), to - from);
    if (total <= at + most) return;
    stage(at + most);
    board.meet(deadline);
  }
}

}  // namespace mobula::detail
