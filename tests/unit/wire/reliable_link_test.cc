#include <gtest/gtest.h>

#include <cstring>
#include <queue>
#include <set>

#include <mobula/random.h>

#include "runtime/wire/reliable_link.h"

namespace mobula::wire {
namespace {

using std::chrono::milliseconds;

Bytes number(std::uint64_t value) {
  return Bytes(std::as_bytes(std::span(&value, 1)));
}

struct End final : LinkSink {
  std::vector<Bytes> sent;
  std::vector<std::uint64_t> received;
  void transmit(NodeId, std::span<const std::byte> datagram) override { sent.emplace_back(datagram); }
  void deliver(NodeId, std::span<const std::byte> payload) override {
    std::uint64_t value = 0;
    std::memcpy(&value, payload.data(), sizeof value);
    received.push_back(value);
  }
};

struct Pair {
  End left_end, right_end;
  ReliableLink left, right;
  explicit Pair(LinkOptions options = {})
      : left(NodeId{1}, NodeId{2}, options, left_end), right(NodeId{2}, NodeId{1}, options, right_end) {}
};

Time at(int ms) {
  return Time{} + milliseconds(ms);
}

TEST(ReliableLink, DeliversInOrderWhenNothingHappens) {
  Pair pair;
  for (std::uint64_t i = 0; i < 5; ++i) pair.left.send(number(i), at(0));
  for (const Bytes& datagram : std::exchange(pair.left_end.sent, {})) pair.right.on_datagram(datagram.span(), at(1));
  EXPECT_EQ(pair.right_end.received, (std::vector<std::uint64_t>{0, 1, 2, 3, 4}));
  // The acknowledgement waits for something to ride on, but not for long.
  EXPECT_TRUE(pair.right_end.sent.empty());
  EXPECT_EQ(pair.right.next_timer(), at(11));
  pair.right.on_timer(at(11));
  ASSERT_EQ(pair.right_end.sent.size(), 1u);
  pair.left.on_datagram(pair.right_end.sent.front().span(), at(12));
  EXPECT_TRUE(pair.left.idle());
  EXPECT_EQ(pair.left.next_timer(), never);
}

TEST(ReliableLink, AFrameTheOtherWayCarriesTheAcknowledgement) {
  Pair pair;
  pair.left.send(number(1), at(0));
  pair.right.on_datagram(pair.left_end.sent.front().span(), at(1));
  pair.right.send(number(2), at(2));
  pair.left.on_datagram(pair.right_end.sent.front().span(), at(3));
  EXPECT_EQ(pair.left.unacknowledged(), 0u);
  EXPECT_EQ(pair.right.next_timer(), at(102)) << "only its own frame waits for an acknowledgement now";
}

TEST(ReliableLink, SendsAgainWithGrowingPatience) {
  Pair pair;
  pair.left.send(number(1), at(0));
  std::vector<Time> times;
  for (int i = 0; i < 6; ++i) {
    times.push_back(pair.left.next_timer());
    pair.left.on_timer(times.back());
  }
  EXPECT_EQ(times, (std::vector{at(100), at(300), at(500), at(700), at(900), at(1100)}));
  EXPECT_EQ(pair.left_end.sent.size(), 7u);
  EXPECT_EQ(pair.left.counts().retransmitted, 6u);
  // All seven arrive at last: one is delivered.
  for (const Bytes& datagram : pair.left_end.sent) pair.right.on_datagram(datagram.span(), at(3000));
  EXPECT_EQ(pair.right_end.received.size(), 1u);
  EXPECT_EQ(pair.right.counts().duplicates, 6u);
}

TEST(ReliableLink, TheWindowHoldsBackWhatIsTooFarAhead) {
  Pair pair({.window = 4});
  for (std::uint64_t i = 0; i < 10; ++i) pair.left.send(number(i), at(0));
  EXPECT_EQ(pair.left_end.sent.size(), 4u);
  for (const Bytes& datagram : std::exchange(pair.left_end.sent, {})) pair.right.on_datagram(datagram.span(), at(1));
  pair.right.on_timer(at(11));
  pair.left.on_datagram(pair.right_end.sent.back().span(), at(12));
  EXPECT_EQ(pair.left_end.sent.size(), 4u) << "the next four";
}

TEST(ReliableLink, SaysWhenMoreWouldBeTooMuch) {
  Pair pair({.window = 1, .queue_bytes = 100});
  for (int i = 0; i < 12; ++i) pair.left.send(number(1), at(0));
  EXPECT_FALSE(pair.left.full());
  pair.left.send(number(1), at(0));
  EXPECT_TRUE(pair.left.full());
}

TEST(ReliableLink, NothingOfAnEarlierIncarnationIsDelivered) {
  Pair pair;
  pair.left.send(number(1), at(0));
  End other_end;
  ReliableLink other(NodeId{2}, NodeId{3}, {}, other_end);  // the peer came back under a new id
  EXPECT_FALSE(other.on_datagram(pair.left_end.sent.front().span(), at(1)));
  ReliableLink reborn(NodeId{4}, NodeId{1}, {}, other_end);  // we did
  EXPECT_FALSE(reborn.on_datagram(pair.left_end.sent.front().span(), at(1)));
  EXPECT_TRUE(other_end.received.empty());
  EXPECT_EQ(ReliableLink::sender_of(pair.left_end.sent.front().span()), NodeId{1});
}

TEST(ReliableLink, AHostileAcknowledgementChangesNothing) {
  Pair pair;
  pair.left.send(number(1), at(0));
  pair.right.on_datagram(pair.left_end.sent.front().span(), at(1));
  pair.right.on_timer(at(11));
  Bytes acknowledgement = pair.right_end.sent.front();
  const std::uint64_t never_sent = 1000;
  std::memcpy(acknowledgement.data() + acknowledgement.size() - 8, &never_sent, 8);
  EXPECT_FALSE(pair.left.on_datagram(acknowledgement.span(), at(12)));
  EXPECT_EQ(pair.left.unacknowledged(), 1u);
  EXPECT_EQ(pair.left.counts().rejected, 1u);
}

TEST(ReliableLink, SurvivesRandomBytes) {
  Random random(6, Stream::user);
  Pair pair;
  pair.left.send(number(1), at(0));
  const Bytes real = pair.left_end.sent.front();
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = real;
    for (std::uint32_t flips = 1 + random.below(4); flips > 0; --flips) {
      bytes.data()[random.below(static_cast<std::uint32_t>(bytes.size()))] = static_cast<std::byte>(random.below(256));
    }
    const std::size_t size = random.below(static_cast<std::uint32_t>(bytes.size()) + 1);
    pair.right.on_datagram(bytes.span().first(size), at(round));
    pair.left.on_datagram(bytes.span().first(size), at(round));
  }
  EXPECT_LE(pair.right_end.received.size(), 2u);
}

TEST(ReliableLink, ReconnectingSendsAtOnce) {
  Pair pair;
  pair.left.send(number(1), at(0));
  pair.left.on_timer(at(100));
  pair.left.on_timer(at(300));
  pair.left.on_reconnected(at(310));
  EXPECT_EQ(pair.left.next_timer(), at(310));
}

// The promise, over a network that does everything wrong at once.
TEST(ReliableLink, DeliversEverythingOnceAndInOrderOverABadNetwork) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    Random random(seed, Stream::user);
    Pair pair;
    struct Flight {
      Time when;
      std::uint64_t order;
      bool to_right;
      Bytes bytes;
      bool operator<(const Flight& other) const { return std::pair(when, order) > std::pair(other.when, other.order); }
    };
    std::priority_queue<Flight> network;
    std::uint64_t order = 0;
    Time now{};
    const auto pick_up = [&](End& end, bool to_right) {
      for (Bytes& datagram : std::exchange(end.sent, {})) {
        if (random.below(3) == 0) continue;
        const int copies = random.below(4) == 0 ? 2 : 1;
        for (int i = 0; i < copies; ++i) {
          network.push({now + std::chrono::microseconds(random.below(40000)), ++order, to_right, datagram});
        }
      }
    };
    std::uint64_t sent_left = 0, sent_right = 0;
    while (pair.left_end.received.size() < 200 || pair.right_end.received.size() < 200) {
      if (sent_left < 200 && random.below(3) == 0) pair.left.send(number(sent_left++), now);
      if (sent_right < 200 && random.below(3) == 0) pair.right.send(number(sent_right++), now);
      pick_up(pair.left_end, true);
      pick_up(pair.right_end, false);
      Time next = std::min(pair.left.next_timer(), pair.right.next_timer());
      if (!network.empty()) next = std::min(next, network.top().when);
      if (sent_left < 200 || sent_right < 200) next = std::min(next, now + milliseconds(1));
      ASSERT_NE(next, never) << "seed " << seed;
      now = std::max(now, next);
      while (!network.empty() && network.top().when <= now) {
        const Flight flight = network.top();
        network.pop();
        (flight.to_right ? pair.right : pair.left).on_datagram(flight.bytes.span(), now);
      }
      if (now >= pair.left.next_timer()) pair.left.on_timer(now);
      if (now >= pair.right.next_timer()) pair.right.on_timer(now);
      ASSERT_LT(now, at(600000)) << "seed " << seed;
    }
    for (std::uint64_t i = 0; i < 200; ++i) {
      ASSERT_EQ(pair.left_end.received[i], i) << "seed " << seed;
      ASSERT_EQ(pair.right_end.received[i], i) << "seed " << seed;
    }
    EXPECT_GT(pair.left.counts().retransmitted + pair.right.counts().retransmitted, 0u);
    EXPECT_GT(pair.left.counts().reordered, 0u);
    EXPECT_GT(pair.left.counts().duplicates, 0u);
  }
}

}  // namespace
}  // namespace mobula::wire
