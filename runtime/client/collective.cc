// Members meet in an actor, the hub: each sends what it brings (small values) or a Ref to it (large ones), and gets
// what concerns it of all once all have come. A call that never ends ties each member to the hub: when its process dies
// the runtime cancels the call, and the hub ends the collective.
#include <mobula/collective.h>

#include <cstring>
#include <map>
#include <optional>

#include <fmt/format.h>

#include <mobula/signal.h>

namespace mobula {
namespace detail {
namespace {

// Above this a value is an object, and a reduction has two halves: each member combines a part of it.
constexpr std::size_t small_bytes = 8192;

constexpr const char* operations[] = {"barrier",    "all_reduce", "reduce",         "broadcast",
                                      "all_gather", "gather",     "reduce_scatter", "scatter"};

std::string describe(const CollectiveAsk& ask) {
  std::string text = operations[static_cast<std::size_t>(ask.operation)];
  if (ask.element == 0) return text;
  constexpr const char* kinds[] = {"", "floating", "signed", "unsigned"};
  text += fmt::format(" of {}", ask.same_count ? fmt::format("{} ", ask.count) : "");
  text += fmt::format("{} numbers of {} bytes", kinds[ask.kind], ask.element);
  constexpr const char* reductions[] = {"sum", "product", "min", "max", "mean"};
  text += fmt::format(" ({})", reductions[ask.reduce]);
  if (ask.root >= 0) text += fmt::format(" with root {}", ask.root);
  return text;
}

bool agree(const CollectiveAsk& a, const CollectiveAsk& b) {
  return a.operation == b.operation && a.deliver == b.deliver && a.root == b.root && a.kind == b.kind &&
         a.element == b.element && a.reduce == b.reduce && (!a.same_count || a.count == b.count);
}

}  // namespace

struct CollectivePart {
  Array<std::byte> bytes;        // of a small one
  Ref<Array<std::byte>> object;  // of a large one
  template <class A>
  void serialize(A& a) {
    a(bytes, object);
  }
};
struct CollectiveJoined {
  bool one_node = true;
};

class CollectiveHub {
 public:
  CollectiveHub(std::uint32_t size, std::chrono::nanoseconds timeout)
      : size_(size), timeout_(timeout), members_(size) {}

  Task<CollectiveJoined> join(std::uint32_t rank, std::string node) {
    check();
    if (members_[rank].joined) {
      end(fmt::format("a second member joined with rank {}", rank));
      check();
    }
    members_[rank].joined = true;
    members_[rank].node = std::move(node);
    if (++joined_ == size_) changed_.notify_all();
    const Deadline deadline = deadline_after(timeout_);
    while (joined_ < size_ && !broken_) {
      const bool in_time = co_await wait(rank, deadline);
      if (!in_time && joined_ < size_ && !broken_) {
        end(fmt::format("after {} not all had joined: rank {} is missing", text_of_timeout(),
                        missing([&](std::size_t r) { return members_[r].joined; })));
      }
    }
    check();
    CollectiveJoined told;
    for (const Member& member : members_) told.one_node &= member.node == members_[0].node;
    co_return told;
  }

  // Ends with the member.
  Task<void> tie(std::uint32_t rank) {
    try {
      while (!members_[rank].left) co_await members_[rank].leaving->wait();
    } catch (const TaskError& e) {
      // (In-process nothing dies alone, and nothing can wait.)
      if (e.code() == ErrorCode::cancelled) end(fmt::format("rank {} has died", rank));
    }
  }
  Task<void> leave(std::uint32_t rank) {
    members_[rank].left = true;
    members_[rank].leaving->notify_all();
    end(fmt::format("rank {} has left", rank));
    co_return;
  }

  Task<std::vector<CollectivePart>> exchange(std::uint32_t rank, std::uint64_t number, CollectiveAsk ask,
                                             std::vector<CollectivePart> parts) {
    check();
    Round& round = rounds_[number];
    if (round.arrived == 0) {
      round.ask = ask;
      round.first = rank;
      round.parts.resize(size_);
      round.came.resize(size_);
    } else if (!agree(round.ask, ask)) {
      end(fmt::format("rank {} called {}, but rank {} called {}", round.first, describe(round.ask), rank,
                      describe(ask)));
      check();
    }
    round.parts[rank] = std::move(parts);
    round.came[rank] = true;
    if (++round.arrived == size_) changed_.notify_all();
    const Deadline deadline = deadline_after(timeout_);
    while (round.arrived < size_ && !broken_) {
      const bool in_time = co_await wait(rank, deadline);
      if (!in_time && round.arrived < size_ && !broken_) {
        end(fmt::format("rank {} waited {} in {}, and rank {} did not come", rank, text_of_timeout(), describe(ask),
                        missing([&](std::size_t r) { return round.came[r]; })));
      }
    }
    if (round.arrived < size_) check();
    std::vector<CollectivePart> told = share_of(round, rank);
    if (++round.told == size_) rounds_.erase(number);
    co_return told;
  }

 private:
  struct Member {
    bool joined = false;
    bool left = false;
    std::string node{};
    std::unique_ptr<Signal> leaving = std::make_unique<Signal>();
  };
  struct Round {
    CollectiveAsk ask;
    std::uint32_t first = 0;  // who came first
    std::uint32_t arrived = 0, told = 0;
    std::vector<std::vector<CollectivePart>> parts;  // by rank
    std::vector<bool> came;
  };

  // A wait of a call from this member: cancelled, it has died.
  Task<bool> wait(std::uint32_t rank, Deadline deadline) {
    try {
      const bool notified = co_await changed_.wait(time_left(deadline));
      co_return notified;
    } catch (const TaskError& e) {
      if (e.code() == ErrorCode::cancelled) end(fmt::format("rank {} has died", rank));
      throw;
    }
  }

  static std::vector<CollectivePart> share_of(const Round& round, std::uint32_t rank) {
    using Deliver = CollectiveAsk::Deliver;
    std::vector<CollectivePart> out;
    const auto root = static_cast<std::uint32_t>(round.ask.root);
    switch (round.ask.deliver) {
      case Deliver::all_to_root:
        if (rank != root) break;
        [[fallthrough]];
      case Deliver::all_to_all:
        for (const auto& parts : round.parts) out.insert(out.end(), parts.begin(), parts.end());
        break;
      case Deliver::root_to_all:
        if (rank != root) out = round.parts[root];
        break;
      case Deliver::mine_of_each:
        for (const auto& parts : round.parts) out.push_back(parts[rank]);
        break;
      case Deliver::mine_of_root:
        out.push_back(round.parts[root][rank]);
        break;
    }
    return out;
  }

  template <class Has>
  std::size_t missing(const Has& has) const {
    std::size_t rank = 0;
    while (rank < size_ && has(rank)) ++rank;
    return rank;
  }
  std::string text_of_timeout() const {
    return fmt::format("{} ms", std::chrono::duration_cast<std::chrono::milliseconds>(timeout_).count());
  }
  void end(std::string why) {
    if (broken_) return;
    broken_ = std::move(why);
    changed_.notify_all();
  }
  void check() const {
    if (!broken_) return;
    throw TaskError({.code = ErrorCode::collective_broken,
                     .message = fmt::format("the collective of {} members has ended: {}. Make a new Collective, and "
                                            "join it on all members",
                                            size_, *broken_)});
  }

  const std::uint32_t size_;
  const std::chrono::nanoseconds timeout_;
  std::vector<Member> members_;
  std::uint32_t joined_ = 0;
  std::map<std::uint64_t, Round> rounds_;
  std::optional<std::string> broken_;
  Signal changed_;
};

class CollectiveMember {
 public:
  CollectiveMember(Actor<CollectiveHub> hub, std::uint32_t rank, std::uint32_t size)
      : hub_(std::move(hub)), rank_(rank), size_(size), tie_(hub_.call<&CollectiveHub::tie>(rank)) {}
  ~CollectiveMember() {
    try {
      hub_.call<&CollectiveHub::leave>(rank_);
    } catch (const TaskError&) {
      // The runtime ends, and with it the collective.
    }
  }
  CollectiveMember(const CollectiveMember&) = delete;
  CollectiveMember& operator=(const CollectiveMember&) = delete;

  // What the hub answered. A TaskError that left it is its answer.
  template <class T>
  static T answer(const Ref<T>& ref) {
    Result<T> result = ref.try_get();
    if (result.ok()) return *std::move(result);
    const Error& error = result.error();
    if (error.code == ErrorCode::exception && !error.causes.empty()) throw TaskError(error.causes.front());
    throw TaskError(error);
  }

  void join() { one_node_ = answer(hub_.call<&CollectiveHub::join>(rank_, this_task().node)).one_node; }

  CollectiveParts exchange(const CollectiveAsk& ask, const std::vector<std::span<const std::byte>>& mine) {
    std::vector<CollectivePart> parts;
    for (const std::span<const std::byte> bytes : mine) {
      CollectivePart& part = parts.emplace_back();
      if (bytes.size() <= small_bytes) {
        part.bytes = Array<std::byte>(bytes);
      } else {
        part.object = Ref<Array<std::byte>>(hub_.base().core(), put(bytes));
      }
    }
    CollectiveParts out;
    for (CollectivePart& part : answer(hub_.call<&CollectiveHub::exchange>(rank_, ++number_, ask, parts))) {
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

  const Actor<CollectiveHub> hub_;
  const std::uint32_t rank_, size_;
  const Ref<void> tie_;
  bool one_node_ = true;

 private:
  Slot put(std::span<const std::byte> bytes) {
    Core& core = *hub_.base().core();
    return core.put(encode_value(core, scratch(), Array<std::byte>(bytes)));
  }
  std::uint64_t number_ = 0;
};

}  // namespace detail

Communicator::Communicator() = default;
Communicator::Communicator(Communicator&&) noexcept = default;
Communicator& Communicator::operator=(Communicator&&) noexcept = default;
Communicator::~Communicator() = default;
Communicator::Communicator(std::unique_ptr<detail::CollectiveMember> member) : member_(std::move(member)) {}

namespace {
const detail::CollectiveMember& checked(const std::unique_ptr<detail::CollectiveMember>& member) {
  if (member) return *member;
  throw TaskError({.code = ErrorCode::invalid,
                   .message = "this Communicator belongs to no collective: it comes from Collective::join(rank)"});
}
}  // namespace

int Communicator::rank() const {
  return static_cast<int>(checked(member_).rank_);
}
int Communicator::size() const {
  return static_cast<int>(checked(member_).size_);
}
bool Communicator::one_node() const {
  return checked(member_).one_node_;
}
bool Communicator::small(std::size_t bytes) {
  return bytes <= detail::small_bytes;
}

void Communicator::barrier() {
  exchange({}, {});
}

detail::CollectiveParts Communicator::exchange(detail::CollectiveAsk what, const Spans& mine) {
  checked(member_);
  if (what.root >= size() || what.root < -1) {
    throw TaskError(
        {.code = ErrorCode::invalid,
         .message = fmt::format("{} with root {}: the ranks are 0 to {}",
                                detail::operations[static_cast<std::size_t>(what.operation)], what.root, size() - 1)});
  }
  return member_->exchange(what, mine);
}

Collective::Collective(const Runtime& rt, int size, const CollectiveOptions& options)
    : size_(static_cast<std::uint32_t>(size)) {
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
  auto member = std::make_unique<detail::CollectiveMember>(hub_, static_cast<std::uint32_t>(rank), size_);
  member->join();
  return Communicator(std::move(member));
}

}  // namespace mobula
