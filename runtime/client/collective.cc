// One member's side. Members on one node meet at a board in their shared memory (collective_board.h); those of several
// nodes through the hub (collective_hub.h), each node as one where values are small.
#include <mobula/collective.h>

#include <cstring>
#include <optional>

#include <fmt/format.h>

#include "runtime/client/collective_board.h"
#include "runtime/client/collective_hub.h"
#include "runtime/client/context.h"

namespace mobula {
namespace detail {

// What members meet with: their Communicator's.
class CollectiveMember {
 public:
  CollectiveMember(Actor<CollectiveHub> hub, std::uint32_t rank, std::uint32_t size, std::chrono::nanoseconds timeout)
      : hub_(std::move(hub)), rank_(rank), size_(size), timeout_(timeout), tie_(hub_.call<&CollectiveHub::tie>(rank)) {}
  ~CollectiveMember() {
    try {
      hub_.call<&CollectiveHub::leave>(rank_);
    } catch (const TaskError&) {
      // The runtime ends, and with it the collective.
    }
  }
  CollectiveMember(const CollectiveMember&) = delete;
  CollectiveMember& operator=(const CollectiveMember&) = delete;

  void join() {
    const std::vector<std::uint32_t> nodes = answer(hub_.call<&CollectiveHub::join>(rank_, this_task().node));
    for (std::uint32_t r = 0; r < size_; ++r) {
      if (nodes[r] != nodes[rank_]) continue;
      if (r == rank_) seat_ = static_cast<std::uint32_t>(here_.size());
      here_.push_back(r);
    }
    const BoardShape shape = BoardShape::of(here_.size(), size_);
    const CollectiveBoard::Waiting waiting{.look = [this] { look(); },
                                           .late = [this](std::uint32_t seat) { late(seat); },
                                           .ended = [this] { throw_ended(); }};
    if (here_.size() == 1) {  // alone here: memory of its own
      const auto memory = std::make_shared<std::vector<Line>>(shape.size() / sizeof(Line) + 1);
      board_.emplace(SharedMemory{memory->data()->bytes, shape.size(), memory}, shape, seat_, waiting);
      return board_->clear();
    }
    Core& core = *hub_.base().core();
    Ref<Array<std::byte>> given;
    if (seat_ == 0) {
      Encoded encoded;
      encoded.object = core.allocate(shape.size());
      const SharedMemory mine{encoded.object->data(), encoded.object->size(), encoded.object};
      CollectiveBoard(mine, shape, seat_, waiting).clear();
      given = Ref<Array<std::byte>>(&core, core.put(encoded));
    }
    memory_ = answer(hub_.call<&CollectiveHub::memory>(rank_, here_.front(), given));
    board_.emplace(core.shared_memory(memory_.base().slot()), shape, seat_, waiting);
  }

  bool one_node() const { return board_->shape().one_node(); }
  // Where all members are on this node.
  template <class Run>
  void here(const CollectiveAsk& ask, const Run& run) {
    begin(ask);
    or_end([&] { run(BoardOperation{*board_, deadline_, [this] { compare_asks(); }, seat_}); });
  }
  std::uint32_t rank() const { return rank_; }
  std::uint32_t size() const { return size_; }

  // Between nodes: small values of the same size everywhere. Gives what each rank has.
  std::vector<std::span<const std::byte>> exchange_small(const CollectiveAsk& ask, std::span<const std::byte> mine) {
    begin(ask);
    if (!mine.empty()) std::memcpy(board_->stage(), mine.data(), mine.size());
    board_->say(ask, mine.size());
    or_end([&] { board_->meet(deadline_, [&] { meet_outside(ask); }); });
    compare_asks();
    std::vector<std::span<const std::byte>> out;
    for (std::uint32_t r = 0; r < size_; ++r) {
      const CollectiveBoard::Letter& letter = board_->letter(r);
      out.emplace_back(letter.text, letter.bytes);
    }
    return out;
  }
  // After it: what a rank on this node brought, null for the others.
  const std::byte* brought_here(std::uint32_t rank) const {
    const auto seat = std::ranges::find(here_, rank);
    return seat == here_.end() ? nullptr : board_->stage_of(static_cast<std::uint32_t>(seat - here_.begin()));
  }

  // Between nodes: values of any size, of each member or of the root. Those here agree first.
  std::vector<Array<std::byte>> exchange(const CollectiveAsk& ask,
                                         const std::vector<std::span<const std::byte>>& mine) {
    begin(ask);
    std::vector<Array<std::byte>> out;
    or_end([&] { out = exchange_parts(ask, mine); });
    return out;
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };

  // What the hub answered. A TaskError that left it is its answer.
  template <class T>
  T answer(const Ref<T>& ref) const {
    Result<T> result = ref.try_get();
    if (result.ok()) {
      if constexpr (std::is_void_v<T>) {
        return;
      } else {
        return *std::move(result);
      }
    }
    const Error& error = result.error();
    if (error.code == ErrorCode::exception && !error.causes.empty()) throw TaskError(error.causes.front());
    if (error.code != ErrorCode::actor_died) throw TaskError(error);
    throw TaskError(
        {.code = ErrorCode::collective_broken,
         .message = fmt::format("the collective of {} members has ended: the actor that knows them is gone. "
                                "Make a new Collective, and join it on all members",
                                size_),
         .causes = {error}});
  }

  void begin(const CollectiveAsk& ask) {
    if (ask.root >= static_cast<std::int32_t>(size_) || ask.root < -1) {
      throw TaskError({.code = ErrorCode::invalid,
                       .message = fmt::format("{} with root {}: the ranks are 0 to {}", describe(ask.operation),
                                              ask.root, size_ - 1)});
    }
    ++number_;
    operation_ = ask;
    deadline_ = deadline_after(timeout_);
  }
  [[noreturn]] void end(const std::string& why) {
    answer(hub_.call<&CollectiveHub::end>(why));
    board_->end();
    throw_ended();
  }
  [[noreturn]] void throw_ended() {
    answer(hub_.call<&CollectiveHub::why>());
    throw TaskError({.code = ErrorCode::collective_broken, .message = "the collective has ended"});
  }

  // Who leaves an operation in the middle of it ends the collective.
  template <class Run>
  void or_end(const Run& run) {
    const auto tell = [&](const std::string& what) {
      try {
        hub_.call<&CollectiveHub::end>(fmt::format("rank {} left {}: {}", rank_, describe(operation_), what)).get();
      } catch (const TaskError&) {
        // It has ended.
      }
      board_->end();
    };
    try {
      run();
    } catch (const TaskError& e) {
      tell(e.error().message);
      throw;
    } catch (const std::exception& e) {
      tell(e.what());
      throw;
    }
  }

  // While waiting.
  void look() {
    Core& core = *hub_.base().core();
    core.look();
    std::vector<bool> ready(1);
    const Slot tie[] = {tie_.base().slot()};
    core.wait(tie, 1, Clock::now(), ready);
    if (ready[0]) {
      board_->end();
      throw_ended();
    }
    const StopFlag* const stop = client::TaskScope::now().stop;
    if (stop != nullptr && stop->raised()) end(fmt::format("the call of rank {} was cancelled", rank_));
  }
  void late(std::uint32_t seat) {
    end(fmt::format("rank {} waited {} ms in {}, and rank {} did not come", rank_,
                    std::chrono::duration_cast<std::chrono::milliseconds>(timeout_).count(), describe(operation_),
                    here_[seat]));
  }
  void compare_asks() {
    for (std::uint32_t seat = 1; seat < here_.size(); ++seat) {
      if (agree(board_->ask_of(0), board_->ask_of(seat))) continue;
      end(fmt::format("rank {} called {}, but rank {} called {}", here_[0], describe(board_->ask_of(0)), here_[seat],
                      describe(board_->ask_of(seat))));
    }
  }

  // By the first member of a node, for all of them.
  void meet_outside(const CollectiveAsk& ask) {
    CollectiveBrought brought{here_, {}};
    for (std::uint32_t seat = 0; seat < here_.size(); ++seat) {
      // Those who disagree will say so once they are told that all have come.
      if (!agree(ask, board_->coming_ask_of(seat))) return;
      brought.parts.push_back({CollectivePart{Array<std::byte>(board_->coming_from(seat)), {}}});
    }
    const auto all = answer(hub_.call<&CollectiveHub::exchange>(number_, ask, brought));
    for (std::uint32_t r = 0; r < size_; ++r) {
      // (Nobody there: nothing for this node.)
      const Array<std::byte> none, &bytes = r < all.size() ? all[r].bytes : none;
      CollectiveBoard::Letter& letter = board_->letter(r);
      letter.bytes = bytes.size();
      if (!bytes.empty()) std::memcpy(letter.text, bytes.data(), bytes.size());
    }
  }
  std::vector<Array<std::byte>> exchange_parts(const CollectiveAsk& ask,
                                               const std::vector<std::span<const std::byte>>& mine) {
    board_->say(ask, 0);
    board_->meet(deadline_);
    compare_asks();
    CollectiveBrought brought{{rank_}, std::vector<std::vector<CollectivePart>>(1)};
    for (const std::span<const std::byte> bytes : mine) brought.parts[0].push_back(part_of(bytes));
    std::vector<Array<std::byte>> out;
    for (CollectivePart& part : answer(hub_.call<&CollectiveHub::exchange>(number_, ask, brought))) {
      Array<std::byte> bytes = part.object ? part.object.get() : std::move(part.bytes);
      if (reinterpret_cast<std::uintptr_t>(bytes.data()) % 64 != 0 && !bytes.empty()) {
        ArrayBuilder<std::byte> aligned(bytes.size(), ArrayBuilder<std::byte>::OnHeap{});
        std::memcpy(aligned.data(), bytes.data(), bytes.size());
        bytes = std::move(aligned).finish();
      }
      out.push_back(std::move(bytes));
    }
    return out;
  }
  CollectivePart part_of(std::span<const std::byte> bytes) {
    if (bytes.size() <= small_collective_bytes) return {Array<std::byte>(bytes), {}};
    Core& core = *hub_.base().core();
    return {{}, Ref<Array<std::byte>>(&core, core.put(encode_value(core, scratch(), Array<std::byte>(bytes))))};
  }

  const Actor<CollectiveHub> hub_;
  const std::uint32_t rank_, size_;
  const std::chrono::nanoseconds timeout_;
  const Ref<void> tie_;
  std::vector<std::uint32_t> here_;  // ranks on this node, by seat
  std::uint32_t seat_ = 0;
  Ref<Array<std::byte>> memory_;
  std::optional<CollectiveBoard> board_;
  std::uint64_t number_ = 0;  // of operations
  CollectiveAsk operation_;   // the last one
  Deadline deadline_{};
};

}  // namespace detail

Communicator::Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;
Communicator::Communicator(std::unique_ptr<detail::CollectiveMember> member) : member_(std::move(member)) {}

namespace {
using Ask = detail::CollectiveAsk;
using Spans = std::vector<std::span<const std::byte>>;
using detail::BoardOperation;

detail::CollectiveMember& checked(const std::unique_ptr<detail::CollectiveMember>& member) {
  if (member) return *member;
  throw TaskError({.code = ErrorCode::invalid,
                   .message = "this Communicator belongs to no collective: it comes from Collective::join(rank)"});
}

Spans in_parts(const detail::CollectiveMember& member, const Ask& what, std::span<const std::byte> values) {
  Spans out;
  const std::size_t count = values.size() / what.element;
  const int size = static_cast<int>(member.size());
  for (int r = 0; r < size; ++r) {
    const std::size_t begin = detail::part_begin(count, size, r), end = detail::part_begin(count, size, r + 1);
    out.push_back(values.subspan(begin * what.element, (end - begin) * what.element));
  }
  return out;
}

// Between nodes, the first half of a reduction: this member's part of all that was brought.
Array<std::byte> combined_part(detail::CollectiveMember& member, Ask what, std::span<const std::byte> values,
                               detail::Combine combine) {
  const Spans mine = in_parts(member, what, values);
  what.deliver = Ask::Deliver::mine_of_each;
  const auto parts = member.exchange(what, mine);
  std::vector<const std::byte*> from;
  for (const Array<std::byte>& part : parts) from.push_back(part.data());
  ArrayBuilder<std::byte> out(mine[member.rank()].size());
  combine(out.data(), from, out.size() / what.element, static_cast<Reduce>(what.reduce));
  return std::move(out).finish();
}
}  // namespace

int Communicator::rank() const {
  return static_cast<int>(checked(member_).rank());
}
int Communicator::size() const {
  return static_cast<int>(checked(member_).size());
}

void Communicator::barrier() {
  auto& member = checked(member_);
  if (!member.one_node()) return void(member.exchange_small({}, {}));
  member.here({}, [](const BoardOperation& all) { all.barrier({}); });
}

void Communicator::reduce_in_place(const Ask& what, std::span<std::byte> values, detail::Combine combine) {
  auto& member = checked(member_);
  if (member.one_node()) {
    return member.here(what, [&](const BoardOperation& all) { all.reduce(what, values, combine); });
  }
  const bool keeps = what.root < 0 || what.root == rank();
  if (values.size() <= detail::small_collective_bytes) {
    std::vector<const std::byte*> from;
    for (const std::span<const std::byte> one : member.exchange_small(what, values)) from.push_back(one.data());
    if (keeps) combine(values.data(), from, what.count, static_cast<Reduce>(what.reduce));
    return;
  }
  const Array<std::byte> mine = combined_part(member, what, values, combine);
  const auto parts = member.exchange(what, {mine.span()});
  for (int r = 0; r < size() && keeps; ++r) {
    const std::span<const std::byte> part = parts[static_cast<std::size_t>(r)];
    std::ranges::copy(part, values.data() + share_begin(what.count, r) * what.element);
  }
}

void Communicator::reduce_to_parts(const Ask& what, std::span<const std::byte> values, std::span<std::byte> part,
                                   detail::Combine combine) {
  auto& member = checked(member_);
  if (member.one_node()) {
    return member.here(what, [&](const BoardOperation& all) { all.reduce_to_parts(what, values, part, combine); });
  }
  std::ranges::copy(combined_part(member, what, values, combine), part.data());
}

void Communicator::broadcast_bytes(const Ask& what, std::span<std::byte> values) {
  auto& member = checked(member_);
  if (member.one_node()) {
    return member.here(what, [&](const BoardOperation& all) { all.broadcast(what, values); });
  }
  const bool is_root = what.root == rank();
  if (values.size() <= detail::small_collective_bytes) {
    const auto letters = member.exchange_small(what, is_root ? values : std::span<std::byte>());
    if (is_root) return;
    const std::byte* here = member.brought_here(static_cast<std::uint32_t>(what.root));
    if (!values.empty()) std::memcpy(values.data(), here != nullptr ? here : letters[0].data(), values.size());
    return;
  }
  const auto parts = member.exchange(what, is_root ? Spans{values} : Spans{});
  if (!is_root) std::ranges::copy(parts.at(0), values.begin());
}

void Communicator::gather_bytes(const Ask& what, std::span<const std::byte> mine, const detail::CollectiveRoom& room) {
  auto& member = checked(member_);
  if (member.one_node()) {
    return member.here(what, [&](const BoardOperation& all) { all.gather(what, mine, room); });
  }
  int r = 0;
  for (const Array<std::byte>& part : member.exchange(what, {mine})) {
    std::ranges::copy(part, room(r++, part.size()));
  }
}

void Communicator::scatter_bytes(const Ask& what, std::span<const std::byte> all, const detail::CollectiveRoom& room) {
  auto& member = checked(member_);
  const bool is_root = what.root == rank();
  if (member.one_node()) {
    return member.here(what, [&](const BoardOperation& at_board) {
      at_board.scatter(what, is_root ? all : std::span<const std::byte>(), room);
    });
  }
  const auto parts = member.exchange(what, is_root ? in_parts(member, what, all) : Spans{});
  std::ranges::copy(parts.at(0), room(rank(), parts.at(0).size()));
}

Collective::Collective(const Runtime& rt, int size, const CollectiveOptions& options)
    : size_(static_cast<std::uint32_t>(size)), timeout_(options.timeout.count()) {
  if (size < 1) {
    throw TaskError(
        {.code = ErrorCode::invalid, .message = fmt::format("a collective of {} members: give a number from 1", size)});
  }
  Options actor = options.actor;
  if (actor.title.empty()) actor.title = "Collective";
  actor.max_concurrency = 100'000;  // all its methods are coroutines
  hub_ = rt.with(actor).spawn<detail::CollectiveHub>(size_, options.timeout);
}

Communicator Collective::join(int rank) const {
  if (rank < 0 || rank >= size()) {
    throw TaskError(
        {.code = ErrorCode::invalid,
         .message = fmt::format("joining a collective with rank {}: the ranks are 0 to {}", rank, size() - 1)});
  }
  auto member = std::make_unique<detail::CollectiveMember>(hub_, static_cast<std::uint32_t>(rank), size_,
                                                           std::chrono::nanoseconds(timeout_));
  member->join();
  return Communicator(std::move(member));
}

}  // namespace mobula
