#include "runtime/client/collective_hub.h"

#include <algorithm>

#include <fmt/format.h>

namespace mobula::detail {

namespace {
constexpr const char* operations[] = {"barrier",    "all_reduce", "reduce",         "broadcast",
                                      "all_gather", "gather",     "reduce_scatter", "scatter"};
}  // namespace

const char* describe(CollectiveAsk::Operation operation) {
  return operations[static_cast<std::size_t>(operation)];
}

std::string describe(const CollectiveAsk& ask) {
  std::string text = describe(ask.operation);
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

CollectiveHub::CollectiveHub(std::uint32_t size, std::chrono::nanoseconds timeout)
    : size_(size), timeout_(timeout), members_(size) {}

Task<std::vector<std::uint32_t>> CollectiveHub::join(std::uint32_t rank, std::string node) {
  check();
  if (members_[rank].joined) {
    end_now(fmt::format("a second member joined with rank {}", rank));
    check();
  }
  members_[rank].joined = true;
  members_[rank].node = std::move(node);
  if (++joined_ == size_) changed_.notify_all();
  const Deadline deadline = deadline_after(timeout_);
  while (joined_ < size_ && !broken_) {
    const bool in_time = co_await wait(rank, deadline);
    if (!in_time && joined_ < size_ && !broken_) {
      end_now(fmt::format("after {} not all had joined: rank {} is missing", text_of_timeout(),
                          missing([&](std::size_t r) { return members_[r].joined; })));
    }
  }
  check();
  std::vector<std::uint32_t> told;
  for (const Member& member : members_) {
    const auto first = std::ranges::find(members_, member.node, &Member::node);
    told.push_back(static_cast<std::uint32_t>(first - members_.begin()));
  }
  co_return told;
}

Task<Ref<Array<std::byte>>> CollectiveHub::memory(std::uint32_t rank, std::uint32_t first_there,
                                                  Ref<Array<std::byte>> given) {
  if (rank == first_there) {
    members_[rank].memory = std::move(given);
    changed_.notify_all();
  }
  while (!members_[first_there].memory && !broken_) co_await wait(rank, Deadline::max());
  check();
  co_return members_[first_there].memory;
}

Task<void> CollectiveHub::tie(std::uint32_t rank) {
  try {
    while (!members_[rank].left && !broken_) co_await members_[rank].leaving->wait();
  } catch (const TaskError& e) {
    // (In-process nothing dies alone, and nothing can wait.)
    if (e.code() == ErrorCode::cancelled) end_now(fmt::format("rank {} has died", rank));
  }
}

Task<void> CollectiveHub::leave(std::uint32_t rank) {
  members_[rank].left = true;
  members_[rank].leaving->notify_all();
  end_now(fmt::format("rank {} has left", rank));
  co_return;
}

Task<void> CollectiveHub::end(std::string why) {
  end_now(std::move(why));
  co_return;
}

Task<void> CollectiveHub::why() {
  check();
  co_return;
}

Task<std::vector<CollectivePart>> CollectiveHub::exchange(std::uint64_t number, CollectiveAsk ask,
                                                          CollectiveBrought brought) {
  check();
  const std::uint32_t rank = brought.ranks.front();
  Round& round = rounds_[number];
  if (round.arrived == 0) {
    round.ask = ask;
    round.first = rank;
    round.parts.resize(size_);
    round.came.resize(size_);
  } else if (!agree(round.ask, ask)) {
    end_now(
        fmt::format("rank {} called {}, but rank {} called {}", round.first, describe(round.ask), rank, describe(ask)));
    check();
  }
  for (std::size_t i = 0; i < brought.ranks.size(); ++i) {
    round.parts[brought.ranks[i]] = std::move(brought.parts[i]);
    round.came[brought.ranks[i]] = true;
    ++round.arrived;
  }
  if (round.arrived == size_) changed_.notify_all();
  const Deadline deadline = deadline_after(timeout_);
  while (round.arrived < size_ && !broken_) {
    const bool in_time = co_await wait(rank, deadline);
    if (!in_time && round.arrived < size_ && !broken_) {
      end_now(fmt::format("rank {} waited {} in {}, and rank {} did not come", rank, text_of_timeout(), describe(ask),
                          missing([&](std::size_t r) { return round.came[r]; })));
    }
  }
  if (round.arrived < size_) check();
  std::vector<CollectivePart> told = share_of(round, brought.ranks);
  round.told += static_cast<std::uint32_t>(brought.ranks.size());
  if (round.told == size_) rounds_.erase(number);
  co_return told;
}

// A wait of a call from this member: cancelled, it has died.
Task<bool> CollectiveHub::wait(std::uint32_t rank, Deadline deadline) {
  try {
    const bool notified = co_await changed_.wait(time_left(deadline));
    co_return notified;
  } catch (const TaskError& e) {
    if (e.code() == ErrorCode::cancelled) end_now(fmt::format("rank {} has died", rank));
    throw;
  }
}

std::vector<CollectivePart> CollectiveHub::share_of(const Round& round, const std::vector<std::uint32_t>& ranks) {
  using Deliver = CollectiveAsk::Deliver;
  std::vector<CollectivePart> out;
  const auto root = static_cast<std::uint32_t>(round.ask.root);
  const bool has_root = std::ranges::find(ranks, root) != ranks.end();
  switch (round.ask.deliver) {
    case Deliver::all_to_root:
      if (!has_root) break;
      [[fallthrough]];
    case Deliver::all_to_all:
      for (const auto& parts : round.parts) out.insert(out.end(), parts.begin(), parts.end());
      break;
    case Deliver::root_to_all:
      if (!has_root) out = round.parts[root];
      break;
    case Deliver::mine_of_each:
      for (const auto& parts : round.parts) out.push_back(parts[ranks.front()]);
      break;
    case Deliver::mine_of_root:
      out.push_back(round.parts[root][ranks.front()]);
      break;
  }
  return out;
}

std::string CollectiveHub::text_of_timeout() const {
  return fmt::format("{} ms", std::chrono::duration_cast<std::chrono::milliseconds>(timeout_).count());
}

void CollectiveHub::end_now(std::string why) {
  if (broken_) return;
  broken_ = std::move(why);
  changed_.notify_all();
  for (Member& member : members_) member.leaving->notify_all();
}

void CollectiveHub::check() const {
  if (!broken_) return;
  throw TaskError({.code = ErrorCode::collective_broken,
                   .message = fmt::format("the collective of {} members has ended: {}. Make a new Collective, and "
                                          "join it on all members",
                                          size_, *broken_)});
}

}  // namespace mobula::detail
