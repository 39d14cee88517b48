#include "runtime/net/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>

#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/net/processes.h"

namespace mobula::net {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using tests::fork_child;
using tests::reap;

Endpoint::Bytes bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}
std::string text_of(Endpoint::Bytes frame) {
  return {reinterpret_cast<const char*>(frame.data()), frame.size()};
}
auto in(std::chrono::milliseconds time) {
  return Endpoint::Clock::now() + time;
}

class EndpointTest : public testing::Test {
 protected:
  EndpointTest() {
    node_ = *segment_.allocate_slot();
    a_ = *segment_.allocate_slot();
    b_ = *segment_.allocate_slot();
  }

  static std::vector<std::string> messages(Endpoint& endpoint) {
    std::vector<std::string> texts;
    endpoint.poll([&](Peer, Endpoint::Bytes frame) { texts.push_back(text_of(frame)); });
    return texts;
  }

  /// Waits for the next message; "nothing" after five seconds.
  static std::string await_message(Endpoint& endpoint) {
    std::string text = "nothing";
    const auto deadline = in(5s);
    while (endpoint.poll([&](Peer, Endpoint::Bytes frame) { text = text_of(frame); }, 1) == 0) {
      if (!endpoint.wait(deadline, Endpoint::Interest::messages)) break;
    }
    return text;
  }

  Segment segment_{SegmentOptions{.slots = 8, .lanes = 32, .ring_bytes = 64 * 1024}};
  Peer node_, a_, b_;
};

TEST_F(EndpointTest, PartsArriveAsOneFrameWithTheirSender) {
  Endpoint a(segment_, a_), b(segment_, b_);
  EXPECT_EQ(a.send(b_, {bytes_of("head "), {}, bytes_of("and body")}), SendStatus::ok);
  Peer from;
  std::string text;
  EXPECT_EQ(b.poll([&](Peer sender, Endpoint::Bytes frame) { from = sender, text = text_of(frame); }), 1u);
  EXPECT_EQ(from, a_);
  EXPECT_EQ(text, "head and body");
}

TEST_F(EndpointTest, WhatIsEncodedInPlaceMayBeSmallerThanReserved) {
  Endpoint a(segment_, a_), b(segment_, b_);
  const auto place = a.reserve(b_, LaneKind::messages, 1000);
  ASSERT_NE(place.data, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(place.data) % 16, 0u);
  std::memcpy(place.data, "abc", 3);
  a.commit(3);
  a.send(b_, {bytes_of("next")});
  EXPECT_THAT(messages(b), ElementsAre("abc", "next"));
}

TEST_F(EndpointTest, SaysTooLargeDeadAndFull) {
  Endpoint a(segment_, a_);
  {
    Endpoint b(segment_, b_);
    const std::string large(a.max_frame_bytes() + 1, 'x');
    EXPECT_EQ(a.send(b_, {bytes_of(large)}), SendStatus::too_large);
    EXPECT_EQ(a.send(b_, {bytes_of(large).first(a.max_frame_bytes())}), SendStatus::ok);
    EXPECT_EQ(a.send({b_.slot, b_.generation + 1}, {bytes_of("you")}), SendStatus::dead);
    EXPECT_EQ(a.send({7, 1}, {bytes_of("nobody")}), SendStatus::dead);
    EXPECT_EQ(a.send({700, 1}, {bytes_of("nobody")}), SendStatus::dead);
    while (a.send(b_, {bytes_of("more")}) == SendStatus::ok) {
    }
    EXPECT_EQ(a.send(b_, {bytes_of("more")}), SendStatus::full);
  }
  EXPECT_EQ(a.send(b_, {bytes_of("are you there")}), SendStatus::dead) << "an endpoint that leaves is gone";
}

TEST_F(EndpointTest, AFullSenderIsWokenWhenThereIsRoom) {
  Endpoint a(segment_, a_), b(segment_, b_);
  std::size_t sent = 0, received = 0;
  while (a.send(b_, {bytes_of("filling")}) == SendStatus::ok) ++sent;
  std::thread reader([&] {
    while (segment_.doorbell(a_.slot).state.load() != Doorbell::in_futex) std::this_thread::yield();
    received = messages(b).size();
  });
  while (a.send(b_, {bytes_of("the last")}) != SendStatus::ok) ASSERT_TRUE(a.wait(in(5s)));
  reader.join();
  received += messages(b).size();
  EXPECT_EQ(received, sent + 1);
}

TEST_F(EndpointTest, MessagesPassQueuedCalls) {
  Endpoint a(segment_, a_), b(segment_, b_);
  a.post_call(b_, {bytes_of("work")});
  a.send(b_, {bytes_of("urgent")});
  EXPECT_TRUE(b.ready(Endpoint::Interest::messages));
  EXPECT_THAT(messages(b), ElementsAre("urgent"));
  EXPECT_FALSE(b.wait(in(1ms), Endpoint::Interest::messages)) << "a queued call must not wake who waits for messages";
  EXPECT_TRUE(b.wait(in(1ms)));
}

TEST_F(EndpointTest, CallersTakeTurnsAndEachIsServedInOrder) {
  Endpoint a(segment_, a_), b(segment_, b_), node(segment_, node_);
  for (const char* text : {"a1", "a2", "a3"}) a.post_call(b_, {bytes_of(text)});
  for (const char* text : {"n1", "n2"}) node.post_call(b_, {bytes_of(text)});
  std::vector<std::string> order;
  while (b.next_call([&](const Call& call) { order.push_back(text_of(call.frame)); })) {
  }
  EXPECT_THAT(order, ElementsAre("a1", "n1", "a2", "n2", "a3"));
}

TEST_F(EndpointTest, AWithdrawnCallNeverRuns) {
  Endpoint a(segment_, a_), b(segment_, b_);
  const auto first = a.post_call(b_, {bytes_of("first")});
  const auto second = a.post_call(b_, {bytes_of("second")});
  const auto third = a.post_call(b_, {bytes_of("third")});
  const auto taken = b.take_call();
  ASSERT_TRUE(taken.has_value());
  EXPECT_FALSE(a.withdraw(first.ticket));
  EXPECT_TRUE(a.withdraw(second.ticket));
  b.finish_call(*taken);
  std::string next;
  b.next_call([&](const Call& call) { next = text_of(call.frame); });
  EXPECT_EQ(next, "third");
  EXPECT_FALSE(a.withdraw(third.ticket));
  EXPECT_FALSE(b.take_call().has_value());
}

TEST_F(EndpointTest, FurtherCallsCanBeTakenWhileOneIsInUse) {
  Endpoint a(segment_, a_), b(segment_, b_);
  for (const char* text : {"outer", "inner", "later"}) a.post_call(b_, {bytes_of(text)});
  const auto outer = b.take_call();
  const auto inner = b.take_call();
  b.finish_call(*inner);
  EXPECT_EQ(text_of(outer->frame), "outer");
  b.finish_call(*outer);
  EXPECT_EQ(text_of(b.take_call()->frame), "later");
}

TEST_F(EndpointTest, CorkedFramesAreShownByFlush) {
  Endpoint a(segment_, a_), b(segment_, b_);
  a.cork();
  for (int i = 0; i < 3; ++i) a.send(b_, {bytes_of("batched")});
  a.send(node_, {bytes_of("other")});
  EXPECT_THAT(messages(b), ElementsAre());
  a.flush();
  EXPECT_EQ(messages(b).size(), 3u);
  a.cork();
  std::size_t sent = 0;
  while (a.send(b_, {bytes_of("never flushed")}) == SendStatus::ok) ++sent;
  EXPECT_EQ(messages(b).size(), sent) << "a full lane shows what it holds, or nobody could go on";
  a.flush();
}

TEST_F(EndpointTest, AHandlerMaySendAndHearOutTheDead) {
  Endpoint a(segment_, a_), b(segment_, b_), node(segment_, node_);
  node.send(a_, {bytes_of("b died")});
  b.send(a_, {bytes_of("my last word")});
  std::vector<std::string> order;
  a.poll([&](Peer from, Endpoint::Bytes frame) {
    if (from == node_) {
      a.drain(b_, [&](Peer, Endpoint::Bytes last) { order.push_back(text_of(last)); });
      a.send(node_, {bytes_of("noted")});
    }
    order.push_back(text_of(frame));
  });
  EXPECT_THAT(order, ElementsAre("my last word", "b died"));
  EXPECT_THAT(messages(node), ElementsAre("noted"));
}

TEST_F(EndpointTest, WaitEndsAtItsDeadlineAndByWake) {
  Endpoint a(segment_, a_);
  const auto begin = Endpoint::Clock::now();
  while (a.wait(begin + 30ms)) {
  }
  EXPECT_GE(Endpoint::Clock::now() - begin, 30ms);
  std::thread other([&] { a.wake(); });
  EXPECT_TRUE(a.wait(in(10s)));
  other.join();
}

TEST_F(EndpointTest, ALoopInEpollIsWokenByItsEventfd) {
  Endpoint node(segment_, node_), a(segment_, a_);
  pollfd event{node.event_fd(), POLLIN, 0};
  EXPECT_TRUE(node.arm());
  EXPECT_EQ(::poll(&event, 1, 0), 0);
  a.send(node_, {bytes_of("one")});
  a.send(node_, {bytes_of("two")});
  EXPECT_EQ(::poll(&event, 1, 5000), 1);
  node.disarm();
  EXPECT_EQ(::poll(&event, 1, 0), 0);
  EXPECT_FALSE(node.arm()) << "there is something to read already";
  EXPECT_THAT(messages(node), ElementsAre("one", "two"));
  EXPECT_TRUE(node.arm());
}

TEST_F(EndpointTest, TwoProcessesPlayPingPong) {
  constexpr int rounds = 20000;
  const pid_t child = fork_child([&] {
    Endpoint b(segment_, b_);
    for (int i = 0; i < rounds; ++i) {
      const std::string text = await_message(b);
      b.send(a_, {bytes_of(text)});
    }
    await_message(b);
  });
  Endpoint a(segment_, a_);
  for (int i = 0; i < rounds; ++i) {
    const std::string text = std::to_string(i);
    ASSERT_EQ(a.send(b_, {bytes_of(text)}), SendStatus::ok);
    ASSERT_EQ(await_message(a), text);
  }
  a.send(b_, {bytes_of("done")});
  EXPECT_EQ(reap(child), 0);
}

// The reader sleeps between any two messages, so each send meets it at another point of falling asleep.
TEST_F(EndpointTest, NoWakeUpIsLostWhateverTheMoment) {
  constexpr int messages_sent = 3000;
  const pid_t child = fork_child([&] {
    Endpoint b(segment_, b_);
    for (int i = 0; i < messages_sent; ++i) {
      if (await_message(b) != "tick") _exit(1);
      if (b.send(a_, {bytes_of("tock")}) != SendStatus::ok) _exit(2);
    }
    while (b.wait(in(5s)) && messages(b).empty()) {
    }
  });
  Endpoint a(segment_, a_);
  std::mt19937 random(11);
  for (int i = 0; i < messages_sent; ++i) {
    const auto until = Endpoint::Clock::now() + std::chrono::nanoseconds(random() % 60000);
    while (Endpoint::Clock::now() < until) {
    }
    a.send(b_, {bytes_of("tick")});
    ASSERT_EQ(await_message(a), "tock") << "message " << i;
  }
  a.send(b_, {bytes_of("done")});
  EXPECT_EQ(reap(child), 0);
}

TEST_F(EndpointTest, WhatADeadProcessPublishedIsReadAndThenItIsGone) {
  const pid_t child = fork_child([&] {
    Endpoint b(segment_, b_);
    b.send(a_, {bytes_of("published")});
    tests::die_at("ring.committed");
    b.send(a_, {bytes_of("torn")});
  });
  Endpoint a(segment_, a_);
  EXPECT_EQ(reap(child), -SIGKILL);
  segment_.mark_dead(b_);
  EXPECT_THAT(messages(a), ElementsAre("published"));
  EXPECT_EQ(a.send(b_, {bytes_of("hello?")}), SendStatus::dead);
  EXPECT_FALSE(segment_.lane_to(a_.slot, 0).has_value()) << "its lane is free again";
}

TEST_F(EndpointTest, AfterADeathItIsKnownWhichCallsHadBegun) {
  const pid_t child = fork_child([&] {
    Endpoint b(segment_, b_);
    b.next_call([](const Call&) {});
    tests::die_at("call.claimed");
    while (b.wait(in(5s))) b.next_call([](const Call&) {});
  });
  Endpoint a(segment_, a_);
  const auto done = a.post_call(b_, {bytes_of("done")});
  const auto begun = a.post_call(b_, {bytes_of("begun")});
  const auto queued = a.post_call(b_, {bytes_of("queued")});
  const int status = reap(child);
  segment_.mark_dead(b_);
  ASSERT_TRUE(status == -SIGKILL || status == 0);
  EXPECT_EQ(a.post_call(b_, {bytes_of("late")}).status, SendStatus::dead);
  if (status == -SIGKILL) {
    EXPECT_FALSE(a.withdraw(done.ticket) && a.withdraw(begun.ticket));
    EXPECT_TRUE(a.withdraw(queued.ticket));
  }
  a.forget(b_);
  EXPECT_FALSE(a.withdraw(queued.ticket));
}

TEST_F(EndpointTest, CallsOfTheDeadAreDropped) {
  Endpoint a(segment_, a_);
  {
    Endpoint b(segment_, b_);
    b.post_call(a_, {bytes_of("nobody wants this any more")});
    b.send(a_, {bytes_of("but this is true")});
  }
  EXPECT_FALSE(a.take_call().has_value());
  EXPECT_THAT(messages(a), ElementsAre("but this is true"));
}

TEST_F(EndpointTest, AProcessKilledWhileItWakesAnotherLeavesItWakeable) {
  Endpoint a(segment_, a_), node(segment_, node_);
  const pid_t child = fork_child([&] {
    Endpoint b(segment_, b_);
    while (segment_.doorbell(a_.slot).state.load() != Doorbell::in_futex) {
    }
    tests::die_at("doorbell.exchanged");
    b.send(a_, {bytes_of("published, and the bell half rung")});
  });
  std::string text;
  std::thread reader([&] { text = await_message(a); });
  EXPECT_EQ(reap(child), -SIGKILL);
  segment_.mark_dead(b_);
  reader.join();
  EXPECT_EQ(text, "published, and the bell half rung");
}

TEST_F(EndpointTest, ANewProcessInASlotGetsNothingMeantForTheOldOne) {
  Endpoint a(segment_, a_);
  EXPECT_EQ(a.send(b_, {bytes_of("for the old one")}), SendStatus::ok);
  segment_.mark_dead(b_);
  segment_.release_slot(b_);
  Peer next{};
  while (next.slot != b_.slot) next = *segment_.allocate_slot();
  Endpoint b(segment_, next);
  EXPECT_THAT(messages(b), ElementsAre());
  EXPECT_EQ(a.send(b_, {bytes_of("old")}), SendStatus::dead);
  EXPECT_EQ(a.send(next, {bytes_of("new")}), SendStatus::ok);
  EXPECT_THAT(messages(b), ElementsAre("new"));
}

// Writers are killed at each point two hundred times, in slots and lanes that are used again and again. Each frame
// carries its number: a reader sees an unbroken run from each of them, and nothing torn.
TEST_F(EndpointTest, SurvivesWritersThatAreKilledAtAnyPoint) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  Endpoint a(segment_, a_);
  segment_.mark_dead(b_);
  segment_.release_slot(b_);
  const std::vector<const char*> points = {
      "ring.committed", "ring.published", "ring.pad_written",   "lane.taken",   "lane.counted",
      "lane.opened",    "lane.announced", "doorbell.exchanged", "call.claimed", "ring.giving_back"};
  std::map<std::string, int> deaths;
  for (std::size_t life = 0; life < 400 * points.size(); ++life) {
    const char* point = points[life % points.size()];
    if (deaths[point] == 200) continue;
    const Peer self = *segment_.allocate_slot();
    // (What happens once in a life, or with each frame.)
    const bool rare = std::string(point).starts_with("lane.");
    const int count = rare ? 1 : 1 + static_cast<int>(random() % 20);
    const std::uint64_t child_seed = random();
    const pid_t child = fork_child([&] {
      std::mt19937_64 own(child_seed);
      tests::die_at(point, count);
      Endpoint endpoint(segment_, self);
      for (std::uint32_t number = 0; number < 2000; ++number) {
        std::vector<std::uint32_t> frame(1 + own() % 200, number);
        while (endpoint.send(a_, {std::as_bytes(std::span(frame))}) == SendStatus::full) endpoint.wait(in(5s));
        endpoint.next_call([](const Call&) {});
      }
      _exit(7);  // it never came to its point
    });
    std::uint32_t expected = 0;
    const auto check = [&](Peer from, Endpoint::Bytes frame) {
      ASSERT_EQ(from, self);
      ASSERT_EQ(frame.size() % 4, 0u);
      for (std::size_t i = 0; i < frame.size(); i += 4) {
        std::uint32_t number = 0;
        std::memcpy(&number, frame.data() + i, 4);
        ASSERT_EQ(number, expected);
      }
      ++expected;
    };
    std::vector<CallTicket> tickets;
    int status = 0;
    while (waitpid(child, &status, WNOHANG) == 0) {
      a.poll(check, 50);
      const auto posted = a.post_call(self, {bytes_of("call")});
      if (posted.status == SendStatus::ok && random() % 2 == 0) a.withdraw(posted.ticket);
      a.wait(in(1ms));
    }
    const bool died = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    ASSERT_TRUE(died || WEXITSTATUS(status) == 7) << status;
    if (died) ++deaths[point];
    segment_.mark_dead(self);
    a.poll(check);
    a.forget(self);
    segment_.release_slot(self);
    if (HasFatalFailure()) return;
  }
  for (const char* point : points) EXPECT_EQ(deaths[point], 200) << point;
  std::size_t open = 0;
  for (std::uint32_t lane = 0; lane < segment_.lanes_used(); ++lane)
    open += segment_.lane_to(a_.slot, lane).has_value();
  EXPECT_EQ(open, 0u) << "lanes that no death gave back";
  EXPECT_LE(segment_.lanes_used(), 4u);
}

}  // namespace
}  // namespace mobula::net
