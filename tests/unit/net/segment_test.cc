#include "runtime/net/segment.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <chrono>
#include <cstring>
#include <set>
#include <stdexcept>
#include <vector>

#include "tests/unit/net/processes.h"

namespace mobula::net {
namespace {

using testing::HasSubstr;

TEST(Segment, IsMadeQuicklyAndTouchesLittle) {
  double best_ms = 1e9;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto begin = std::chrono::steady_clock::now();
    Segment segment;
    segment.allocate_slot();
    segment.allocate_slot();
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - begin;
    best_ms = std::min(best_ms, took.count());
    struct stat status {};
    ASSERT_EQ(fstat(segment.descriptors().memory, &status), 0);
    EXPECT_LE(status.st_blocks * 512, 64 * 1024) << "memory in use";
  }
  EXPECT_LT(best_ms, 1.0);
}

TEST(Segment, RefusesOptionsOutOfRangeByName) {
  try {
    Segment segment({.slots = 16, .lanes = 16, .ring_bytes = 100000});
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("100000"));
    EXPECT_THAT(error.what(), HasSubstr("power of two"));
  }
}

TEST(Segment, IsMappedByAnotherProcessFromItsDescriptors) {
  Segment segment;
  const Peer node = *segment.allocate_slot();
  segment.set_task_name(node, "the node");
  const pid_t child = tests::fork_child([&] {
    Segment mapped(SegmentDescriptors{dup(segment.descriptors().memory), {-1, -1}});
    _exit(mapped.alive(node) && mapped.task_name(0) == "the node" ? 42 : 1);
  });
  EXPECT_EQ(tests::reap(child), 42);
}

TEST(Segment, RefusesToMapWhatIsNoSegment) {
  const int file = memfd_create("other", MFD_CLOEXEC);
  const SegmentDescriptors empty{dup(file), {-1, -1}};
  EXPECT_THROW(Segment{empty}, std::runtime_error);
  EXPECT_EQ(fcntl(empty.memory, F_GETFD), -1) << "the descriptor was taken over, and must not leak";
  ASSERT_EQ(ftruncate(file, 1 << 20), 0);
  try {
    Segment segment(SegmentDescriptors{file, {-1, -1}});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("found version 0"));
  }
}

TEST(Segment, NobodyCanCutItOff) {
  Segment segment;
  EXPECT_EQ(ftruncate(segment.descriptors().memory, 4096), -1);
}

TEST(Segment, TheNodeIsSlotZeroAndSlotsComeBackUnderANewGeneration) {
  Segment segment({.slots = 3, .lanes = 8, .ring_bytes = 4096});
  EXPECT_EQ(*segment.allocate_slot(), (Peer{0, 0}));
  const Peer driver = *segment.allocate_slot();
  EXPECT_EQ(driver, (Peer{1, 1}));
  const Peer worker = *segment.allocate_slot();
  EXPECT_EQ(worker, (Peer{2, 1}));
  EXPECT_FALSE(segment.allocate_slot().has_value());

  segment.mark_dead(worker);
  EXPECT_FALSE(segment.alive(worker));
  EXPECT_FALSE(segment.allocate_slot().has_value()) << "dead, but its crash area may still be read";
  segment.release_slot(worker);
  EXPECT_EQ(*segment.allocate_slot(), (Peer{2, 2}));
  EXPECT_FALSE(segment.alive(worker));
  segment.mark_dead(worker);
  EXPECT_TRUE(segment.alive({2, 2})) << "a late report about the earlier process changes nothing";
}

TEST(Segment, ManySlotsCanBeTaken) {
  Segment segment;
  std::set<std::uint32_t> slots;
  while (const auto peer = segment.allocate_slot()) slots.insert(peer->slot);
  EXPECT_EQ(slots.size(), 1024u);
}

TEST(Segment, CrashAreaIsEmptyForEachNewProcess) {
  Segment segment;
  segment.allocate_slot();
  const Peer first = *segment.allocate_slot();
  const pid_t child = tests::fork_child([&] {
    std::memcpy(segment.crash_area(first.slot).data(), "SIGSEGV at 0x0", 15);
    kill(getpid(), SIGKILL);
  });
  EXPECT_EQ(tests::reap(child), -SIGKILL);
  EXPECT_STREQ(reinterpret_cast<const char*>(segment.crash_area(first.slot).data()), "SIGSEGV at 0x0");
  segment.mark_dead(first);
  segment.release_slot(first);
  for (const std::byte byte : segment.crash_area(first.slot)) ASSERT_EQ(byte, std::byte{0});
}

TEST(Segment, LongTaskNamesAreCut) {
  Segment segment;
  const Peer node = *segment.allocate_slot();
  const std::string name(500, 'n');
  segment.set_task_name(node, name);
  EXPECT_EQ(segment.task_name(0), name.substr(0, Segment::task_name_bytes));
  segment.set_task_name(node, "short");
  EXPECT_EQ(segment.task_name(0), "short");
  segment.set_task_name(node, "exactly8");
  EXPECT_EQ(segment.task_name(0), "exactly8");
  segment.set_task_name(node, "");
  EXPECT_EQ(segment.task_name(0), "");
}

TEST(Segment, StopReachesTheRunningCallAndNoOther) {
  Segment segment;
  segment.allocate_slot();
  const Peer worker = *segment.allocate_slot();
  segment.request_stop(worker, 77);
  EXPECT_TRUE(segment.stop_requested(worker.slot, 77));
  EXPECT_FALSE(segment.stop_requested(worker.slot, 78));
  segment.request_stop({worker.slot, worker.generation + 1}, 78);
  EXPECT_FALSE(segment.stop_requested(worker.slot, 78)) << "meant for another process";
}

TEST(Segment, ClosedLanesAreUsedAgainUnderANewGeneration) {
  Segment segment({.slots = 4, .lanes = 2, .ring_bytes = 4096});
  const Peer a = *segment.allocate_slot();
  const Peer b = *segment.allocate_slot();
  const auto first = segment.open_lane(a, b, LaneKind::calls);
  ASSERT_TRUE(first.has_value() && segment.open_lane(b, a, LaneKind::messages).has_value());
  EXPECT_FALSE(segment.open_lane(a, b, LaneKind::messages).has_value()) << "the pool is used up";
  segment.close_writer(*first);
  segment.close_reader(*first);
  const auto third = segment.open_lane(a, b, LaneKind::messages);
  ASSERT_TRUE(third.has_value());
  EXPECT_EQ(third->index, first->index);
  EXPECT_EQ(third->generation, first->generation + 1);
  segment.close_writer(*first);
  segment.close_reader(*first);
  EXPECT_TRUE(segment.lane_to(b.slot, third->index).has_value())
      << "closing the old lane again must not hit the new one";
}

// A process is killed at each point of opening a lane, two hundred times; nothing of it may stay, whether or not its
// reader had seen it.
TEST(Segment, ALaneWhoseWriterDiesWhileOpeningItIsFreed) {
  for (const char* point : {"lane.taken", "lane.counted", "lane.opened", "lane.announced"}) {
    Segment segment({.slots = 4, .lanes = 1, .ring_bytes = 4096});
    segment.allocate_slot();
    const Peer reader = *segment.allocate_slot();
    for (int death = 0; death < 200; ++death) {
      const Peer writer = *segment.allocate_slot();
      const pid_t child = tests::fork_child([&] {
        tests::die_at(point);
        segment.open_lane(writer, reader, LaneKind::messages);
      });
      ASSERT_EQ(tests::reap(child), -SIGKILL) << point;
      segment.mark_dead(writer);
      if (const auto lane = segment.lane_to(reader.slot, 0)) segment.close_reader(*lane);
      segment.release_slot(writer);
      const auto lane = segment.open_lane({0, 0}, reader, LaneKind::messages);
      ASSERT_TRUE(lane.has_value()) << point << ", death " << death;
      segment.close_writer(*lane);
      segment.close_reader(*lane);
    }
  }
}

TEST(Segment, TellsWhatAProcessRunsUntilItsSlotIsReleased) {
  Segment segment({.slots = 8, .lanes = 8, .ring_bytes = 4096});
  const Peer worker = *segment.allocate_slot();
  EXPECT_EQ(segment.running(worker.slot).calls, 0u);
  segment.set_running(worker, 2, 1234567890123);
  EXPECT_EQ(segment.running(worker.slot).calls, 2u);
  EXPECT_EQ(segment.running(worker.slot).since, 1234567890123);
  segment.mark_dead(worker);
  segment.release_slot(worker);
  EXPECT_EQ(segment.running(worker.slot).calls, 0u);
}

TEST(Segment, KeepsTheLatestEventsOfEachSlotAndCountsTheOthers) {
  Segment segment({.slots = 8, .lanes = 8, .ring_bytes = 4096});
  EXPECT_FALSE(segment.tracing());
  segment.set_tracing(true);
  EXPECT_TRUE(segment.tracing());
  const Peer worker = *segment.allocate_slot(), other = *segment.allocate_slot();
  std::int64_t next = 0;
  const auto write = [&](std::size_t events) {
    for (std::size_t i = 0; i < events; ++i) {
      Segment::TraceEvent event{.begin = next++};
      std::strcpy(event.name, "square");
      segment.trace(worker, event);
    }
  };
  std::uint64_t from = 0, missed = 0;
  std::vector<Segment::TraceEvent> events;
  write(3);
  segment.read_trace(worker.slot, from, events, missed);
  ASSERT_EQ(events.size(), 3u);
  EXPECT_STREQ(events[2].name, "square");
  EXPECT_EQ(events[2].begin, 2);
  EXPECT_EQ(missed, 0u);
  events.clear();
  segment.read_trace(worker.slot, from, events, missed);
  EXPECT_TRUE(events.empty()) << "they were read";
  write(Segment::trace_events + 10);
  segment.read_trace(worker.slot, from, events, missed);
  // The place that is written next counts as being written.
  EXPECT_EQ(events.size(), Segment::trace_events - 1);
  EXPECT_EQ(missed, 11u);
  EXPECT_EQ(events.back().begin, next - 1);
  std::uint64_t other_from = 0;
  events.clear();
  segment.read_trace(other.slot, other_from, events, missed);
  EXPECT_TRUE(events.empty());
}

}  // namespace
}  // namespace mobula::net
