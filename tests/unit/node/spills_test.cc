#include "runtime/node/spills.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace mobula {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

const NodeId here{0x1111};
const ProcessId driver{here, 1, 1};
const ProcessId worker{here, 2, 1};

wire::ObjectLocation at(std::uint64_t offset, std::uint64_t bytes = 10, std::uint64_t generation = 1) {
  return {here, offset, bytes, generation};
}

// ---- which ones leave

struct ChooseToSpill : testing::Test {
  std::vector<SpillCandidate> objects;
  void object(std::uint64_t offset, std::uint64_t used, bool movable = true) {
    objects.push_back({at(offset), 10, used, movable});
  }
};

TEST_F(ChooseToSpill, TheLeastRecentlyUsedThatMakeRoomInOnePiece) {
  for (std::uint64_t i = 0; i < 5; ++i) object(i * 10, i == 3 ? 1 : 10 + i);  // 50 bytes, full
  EXPECT_THAT(choose_to_spill(objects, 50, 10, 0), ElementsAre(at(30)));
  // 20 in one piece: the oldest are 30, 0, 10. The first two that touch are 0 and 10.
  EXPECT_THAT(choose_to_spill(objects, 50, 20, 0), ElementsAre(at(0), at(10)));
}

TEST_F(ChooseToSpill, FreeRoomBesideCounts) {
  object(0, 5);
  object(20, 1);
  object(30, 9);
  EXPECT_THAT(choose_to_spill(objects, 40, 20, 0), ElementsAre(at(20))) << "with the gap before it";
  EXPECT_TRUE(choose_to_spill(objects, 40, 10, 0).empty()) << "there is room";
}

TEST_F(ChooseToSpill, OthersJoinUpToTheSizeOfAFile) {
  for (std::uint64_t i = 0; i < 5; ++i) object(i * 10, i);
  EXPECT_THAT(choose_to_spill(objects, 50, 10, 35), ElementsAre(at(0), at(10), at(20)));
}

TEST_F(ChooseToSpill, WhatIsReadStays) {
  object(0, 1);
  object(10, 2, false);
  object(20, 3);
  EXPECT_THAT(choose_to_spill(objects, 30, 10, 0), ElementsAre(at(0)));
  EXPECT_TRUE(choose_to_spill(objects, 30, 20, 0).empty()) << "no choice makes 20 in one piece";
}

// ---- waiting for room, leaving and coming back

/// An arena for three objects of 10 bytes, and a disk that does what the test says.
struct SpillsTest : testing::Test, SpillSink {
  std::map<std::uint64_t, SpillCandidate> arena;  // by offset
  std::uint64_t generations = 0, clock = 0;
  std::vector<std::pair<std::uint64_t, std::vector<wire::ObjectLocation>>> writes;
  std::vector<wire::ObjectLocation> reads, freed;
  std::vector<std::uint64_t> removed;
  Time now{};
  SpillOptions options{.directory = "/spill", .file_bytes = 0, .patience = seconds(10)};
  std::unique_ptr<Spills> spills = std::make_unique<Spills>(options, *this);
  std::vector<std::string> log;

  std::optional<std::uint64_t> place() const {
    for (std::uint64_t offset = 0; offset < 30; offset += 10) {
      if (!arena.contains(offset)) return offset;
    }
    return std::nullopt;
  }
  wire::ObjectLocation put(bool movable = true) {
    const std::uint64_t offset = place().value();
    arena[offset] = {at(offset, 10, ++generations), 10, ++clock, movable};
    return arena[offset].location;
  }
  bool is_here(const wire::ObjectLocation& location) const {
    const auto found = arena.find(location.offset);
    return found != arena.end() && found->second.location == location;
  }

  bool has_room(std::uint64_t bytes) override { return bytes <= 10 && place().has_value(); }
  Store store() override {
    Store all{30, {}};
    for (const auto& [offset, object] : arena) all.objects.push_back(object);
    return all;
  }
  void write_spill(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects) override {
    writes.emplace_back(file, objects);
  }
  Eviction evict(const wire::ObjectLocation& location, std::uint32_t& holder) override {
    if (!is_here(location)) return Eviction::gone;
    if (!arena[location.offset].movable) return Eviction::in_use;
    holder = 1;
    arena.erase(location.offset);
    return Eviction::done;
  }
  Result<bool> read_spill(const wire::ObjectLocation& name, const SpillPlace&) override {
    if (!place()) return false;
    reads.push_back(name);
    return true;
  }
  void remove_spill(std::uint64_t file) override { removed.push_back(file); }
  void free_object(const wire::ObjectLocation& location) override {
    freed.push_back(location);
    if (is_here(location)) arena.erase(location.offset);
  }

  void want_room(const std::string& who, std::uint64_t bytes = 10) {
    spills->want_room(
        driver, bytes,
        [this, who](const Error& error, Time) {
          log.push_back(error.code == ErrorCode::none ? who + " has room" : who + ": " + error.message);
        },
        now);
  }
  void want(const wire::ObjectLocation& name, const std::string& who, const ProcessId& process = driver) {
    spills->want_object(
        process, name,
        [this, who](const Result<wire::ObjectLocation>& local) {
          log.push_back(local.ok() ? who + " reads at " + std::to_string(local->offset)
                                   : who + ": " + std::string(to_string(local.error().code)));
        },
        now);
  }
  /// The latest write succeeds.
  void written() {
    const auto [file, objects] = writes.back();
    std::vector<SpillPlace> places;
    for (const auto& object : objects) places.push_back({file, places.size() * 10, object.bytes, 7});
    spills->on_written(file, places, now);
  }
  wire::ObjectLocation read_back() {
    const wire::ObjectLocation name = reads.back(), local = put();
    spills->on_read(name, local, now);
    return local;
  }
};

TEST_F(SpillsTest, ThereIsRoomOnceTheOldestIsOnDisk) {
  const auto first = put();
  put(), put();
  want_room("a");
  EXPECT_TRUE(log.empty());
  ASSERT_EQ(writes.size(), 1u);
  EXPECT_THAT(writes[0].second, ElementsAre(first));
  EXPECT_TRUE(is_here(first)) << "nothing goes before the file is complete";
  written();
  EXPECT_THAT(log, ElementsAre("a has room"));
  EXPECT_FALSE(is_here(first));
  EXPECT_EQ(spills->bytes(), 10u);
  EXPECT_TRUE(spills->knows(first));
}

TEST_F(SpillsTest, AnObjectComesBackAndLeavesAgainWithoutBeingWritten) {
  const auto first = put();
  put(), put();
  want_room("a");
  written();
  want(first, "b");
  want(first, "c");
  ASSERT_EQ(reads.size(), 1u);
  const auto local = read_back();
  EXPECT_THAT(log, ElementsAre("a has room", "b reads at 0", "c reads at 0"));
  // Used last and just back, it leaves last.
  want_room("d");
  EXPECT_NE(writes.back().second.front(), local);
  written();
  now += seconds(1);
  for (auto& [offset, object] : arena) object.movable = object.location == local;
  put();
  want_room("e");
  EXPECT_EQ(writes.size(), 2u) << "its copy on disk is still there";
  EXPECT_EQ(log.back(), "e has room");
  EXPECT_FALSE(is_here(local));
  want(first, "f");
  EXPECT_EQ(reads.size(), 2u);
}

TEST_F(SpillsTest, ComingBackMayHaveToWaitForRoomToo) {
  const auto first = put();
  put(), put();
  want_room("a");
  written();
  put();
  want(first, "b");
  EXPECT_TRUE(reads.empty());
  ASSERT_EQ(writes.size(), 2u);
  written();
  ASSERT_EQ(reads.size(), 1u);
  read_back();
  EXPECT_EQ(log.back(), "b reads at 10");
}

TEST_F(SpillsTest, WhatIsReadOrFreedMeanwhileStaysOrGoes) {
  const auto first = put();
  put(), put();
  want_room("a");
  arena[first.offset].movable = false;  // someone began to read it
  written();
  EXPECT_TRUE(is_here(first));
  EXPECT_THAT(removed, ElementsAre(1u)) << "the file is of no use";
  ASSERT_EQ(writes.size(), 2u) << "the next oldest";
  arena.erase(writes[1].second.front().offset);  // freed by its owner
  written();
  EXPECT_THAT(removed, ElementsAre(1u, 2u));
  EXPECT_THAT(log, ElementsAre("a has room"));
  EXPECT_TRUE(spills->idle());
}

TEST_F(SpillsTest, FreeingRemovesTheFileWithItsLastObject) {
  options.file_bytes = 20;
  spills = std::make_unique<Spills>(options, *this);
  const auto first = put();
  put(), put();
  want_room("a", 10);
  written();
  ASSERT_EQ(writes[0].second.size(), 1u) << "an eighth of the arena is the most that goes along";
  want(first, "b");
  EXPECT_TRUE(spills->free(first)) << "while it is read: another reader had found it damaged";
  EXPECT_THAT(log, ElementsAre("a has room", "b: object_lost")) << "nobody waits for ever";
  want(first, "c");
  EXPECT_EQ(log.back(), "c: object_lost");
  EXPECT_TRUE(removed.empty());
  const auto local = read_back();
  EXPECT_THAT(freed, ElementsAre(local));
  EXPECT_THAT(removed, ElementsAre(1u));
  EXPECT_EQ(log.size(), 3u) << "each was answered once";
  EXPECT_TRUE(spills->idle());
  EXPECT_FALSE(spills->free(first));
}

TEST_F(SpillsTest, TheDeadWaitForNothingAndHoldNothing) {
  const auto first = put();
  put(), put();
  want_room("a");
  written();
  spills->process_died({here, 1, 1});  // its holder
  EXPECT_FALSE(spills->knows(first));
  EXPECT_THAT(removed, ElementsAre(1u));
  put();
  want_room("b");
  spills->process_died(driver);
  written();
  EXPECT_EQ(log, std::vector<std::string>{"a has room"});
}

TEST_F(SpillsTest, AFullDiskIsTriedWithLessAndThenAnErrorToAllWhoWait) {
  put(), put(), put();
  want_room("a");
  want_room("b");
  const Error full{.code = ErrorCode::disk_full, .message = "writing to /spill failed"};
  spills->on_written(1, full, now);
  ASSERT_EQ(writes.size(), 2u);
  EXPECT_TRUE(log.empty());
  spills->on_written(2, full, now);
  ASSERT_EQ(log.size(), 2u);
  EXPECT_EQ(log[0], "a: making room for an object of 0.0 MB: writing to /spill failed");
  EXPECT_EQ(arena.size(), 3u) << "all is still there";
  want_room("c");
  EXPECT_EQ(writes.size(), 3u) << "the next one tries again";
}

TEST_F(SpillsTest, WaitingForReadersIsBounded) {
  put(false), put(false), put(false);
  want_room("a");
  EXPECT_TRUE(writes.empty());
  ASSERT_EQ(spills->next_timer(), now + milliseconds(10)) << "they may let go without telling";
  now += milliseconds(10);
  arena[10].movable = true;
  spills->on_timer(now);
  ASSERT_EQ(writes.size(), 1u);
  written();
  EXPECT_THAT(log, ElementsAre("a has room"));
  put(false);
  want_room("b");
  now += seconds(10);
  spills->on_timer(now);
  EXPECT_THAT(log.back(), HasSubstr("b: making room for an object of 0.0 MB: this node's objects take"));
  EXPECT_THAT(log.back(), HasSubstr("are being read or made"));
  EXPECT_EQ(spills->next_timer(), never);
}

TEST_F(SpillsTest, WithoutADirectoryThereIsAnErrorAtOnce) {
  options.directory.clear();
  spills = std::make_unique<Spills>(options, *this);
  put(), put(), put();
  want_room("a");
  ASSERT_EQ(log.size(), 1u);
  EXPECT_THAT(log[0], HasSubstr("spill_directory in StartOptions"));
}

TEST_F(SpillsTest, DamageIsToldToWhoReads) {
  const auto first = put();
  put(), put();
  want_room("a");
  written();
  want(first, "b");
  spills->on_read(first, Error{.code = ErrorCode::object_lost, .message = "the checksum is wrong"}, now);
  EXPECT_EQ(log.back(), "b: object_lost");
  want(first, "c");
  EXPECT_EQ(reads.size(), 2u) << "the next one tries again";
}

}  // namespace
}  // namespace mobula
