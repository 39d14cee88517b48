#include "runtime/object/arena.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <atomic>
#include <cstring>
#include <map>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/net/processes.h"

namespace mobula::object {
namespace {

using testing::HasSubstr;
using tests::fork_child;
using tests::reap;

constexpr std::uint64_t MB = 1 << 20;

class ArenaTest : public testing::Test {
 protected:
  static constexpr std::uint32_t node = 0, worker = 2, reader = 3;

  ArenaTest() : arena_({.cap_bytes = 16 * MB, .slots = 8}, node) {}

  Location put(Arena& arena, std::uint64_t bytes, int fill) {
    const Draft draft = *arena.create(bytes);
    std::memset(draft.bytes.data(), fill, bytes);
    arena.seal(draft.location);
    return draft.location;
  }

  /// What a process in `slot` does with the arena; its exit status.
  int in_process(std::uint32_t slot, const std::function<void(Arena&)>& body) {
    return reap(fork_child([&] {
      Arena mine(dup(arena_.descriptor()), slot);
      body(mine);
      _exit(0);
    }));
  }

  static bool holds(const Pin& pin, int fill) {
    for (const std::byte byte : pin.bytes()) {
      if (byte != std::byte(fill)) return false;
    }
    return true;
  }

  Arena arena_;
};

TEST_F(ArenaTest, AnObjectIsReadInAnotherProcessWithoutACopy) {
  const Location object = put(arena_, 100000, 7);
  EXPECT_EQ(in_process(reader,
                       [&](Arena& mine) {
                         const Result<Pin> pin = mine.pin(object);
                         if (!pin || pin->bytes().size() != 100000 || !holds(*pin, 7)) _exit(1);
                       }),
            0);
}

TEST_F(ArenaTest, AnObjectIsUnknownUntilItIsSealed) {
  const Draft draft = *arena_.create(70000);
  EXPECT_EQ(arena_.pin(draft.location).error().code, ErrorCode::object_lost);
  arena_.seal(draft.location);
  EXPECT_TRUE(arena_.pin(draft.location).ok());
}

TEST_F(ArenaTest, ReadersCannotWrite) {
  const Location object = put(arena_, 70000, 1);
  EXPECT_EQ(in_process(reader,
                       [&](Arena& mine) {
                         const Pin pin = *mine.pin(object);
                         signal(SIGSEGV, SIG_DFL);  // a sanitiser's own handler would turn it into an exit
                         const_cast<std::byte&>(pin.bytes()[0]) = std::byte{9};
                       }),
            -SIGSEGV);
  EXPECT_TRUE(holds(*arena_.pin(object), 1));
}

TEST_F(ArenaTest, AFreedPlaceIsUsedAgainUnderANewGeneration) {
  const Location first = put(arena_, MB, 1);
  arena_.free(first);
  const std::uint64_t backed = arena_.usage().backed_bytes;
  const Location second = put(arena_, MB, 2);
  EXPECT_EQ(second.offset, first.offset) << "the touched memory comes first";
  EXPECT_EQ(arena_.usage().backed_bytes, backed);
  EXPECT_EQ(arena_.pin(first).error().code, ErrorCode::object_lost);
  EXPECT_FALSE(arena_.adopt(first));
  arena_.free(first);
  EXPECT_TRUE(holds(*arena_.pin(second), 2)) << "freeing the first again must not hit the second";
}

TEST_F(ArenaTest, AFreedObjectStaysWhileItIsPinned) {
  const Location object = put(arena_, MB, 5);
  Pin first = *arena_.pin(object);
  Pin second = *arena_.pin(object);
  arena_.free(object);
  EXPECT_FALSE(arena_.pin(object).ok()) << "it is on its way out";
  put(arena_, MB, 6);
  EXPECT_TRUE(holds(first, 5));
  first = Pin();
  EXPECT_EQ(arena_.usage().objects, 2u);
  EXPECT_TRUE(holds(second, 5));
  second = Pin();
  EXPECT_EQ(arena_.usage().objects, 1u);
}

TEST_F(ArenaTest, ReachingTheCapIsAnErrorThatNamesTheSizes) {
  const Location first = put(arena_, 10 * MB, 1);
  const Result<Draft> second = arena_.create(8 * MB);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code, ErrorCode::out_of_memory);
  EXPECT_THAT(second.error().message, HasSubstr("8.4 MB"));
  EXPECT_THAT(second.error().message, HasSubstr("10.5 MB of at most 16.8 MB"));
  EXPECT_THAT(second.error().message, HasSubstr("largest free part is 6.3 MB"));
  EXPECT_FALSE(arena_.create(std::uint64_t{1} << 60).ok());
  arena_.free(first);
  EXPECT_TRUE(arena_.create(8 * MB).ok());
}

TEST_F(ArenaTest, FreePartsGrowTogether) {
  std::vector<Location> objects;
  for (int i = 0; i < 16; ++i) objects.push_back(put(arena_, MB, i));
  EXPECT_FALSE(arena_.create(1).ok());
  for (const int i : {3, 5, 4, 15, 0, 1, 2}) arena_.free(objects[i]);
  EXPECT_EQ(arena_.usage().largest_free, 6 * MB);
  EXPECT_TRUE(arena_.create(6 * MB).ok());
  EXPECT_EQ(arena_.usage().largest_free, MB);
}

TEST_F(ArenaTest, MemoryIsTakenBeforeItIsUsedAndGivenBackByTrim) {
  struct stat before {
  }, after{};
  fstat(arena_.descriptor(), &before);
  const Location object = put(arena_, 8 * MB, 1);
  const Location kept = put(arena_, MB, 3);
  fstat(arena_.descriptor(), &after);
  EXPECT_GE((after.st_blocks - before.st_blocks) * 512, static_cast<long>(9 * MB));
  arena_.free(object);
  arena_.trim(2 * MB);
  EXPECT_EQ(arena_.usage().backed_bytes, 3 * MB);
  fstat(arena_.descriptor(), &after);
  EXPECT_LE((after.st_blocks - before.st_blocks) * 512, static_cast<long>(3 * MB + 128 * 1024));
  EXPECT_TRUE(holds(*arena_.pin(kept), 3));
  EXPECT_TRUE(holds(*arena_.pin(put(arena_, 8 * MB, 4)), 4));
}

TEST_F(ArenaTest, PrepareTakesMemoryAhead) {
  ASSERT_TRUE(arena_.prepare(4 * MB).ok());
  EXPECT_EQ(arena_.usage().backed_bytes, 4 * MB);
  EXPECT_EQ(arena_.usage().objects, 0u);
  EXPECT_EQ(arena_.prepare(40 * MB).error().code, ErrorCode::out_of_memory);
}

TEST_F(ArenaTest, WhatAProcessHeldAndPinnedGoesWithIt) {
  const Location shared = put(arena_, MB, 1);
  ASSERT_EQ(in_process(worker,
                       [&](Arena& mine) {
                         put(mine, MB, 2);
                         mine.create(MB).value();
                         new Pin(*mine.pin(shared));
                       }),
            0);
  arena_.free(shared);
  EXPECT_EQ(arena_.usage().objects, 3u);
  arena_.reclaim(worker);
  EXPECT_EQ(arena_.usage().objects, 0u);
}

TEST_F(ArenaTest, AnAdoptedResultOutlivesItsCreator) {
  Location results[2];
  int pipes[2];
  ASSERT_EQ(pipe(pipes), 0);
  ASSERT_EQ(in_process(worker,
                       [&](Arena& mine) {
                         for (const int fill : {1, 2}) {
                           const Location result = put(mine, MB, fill);
                           if (write(pipes[1], &result, sizeof(result)) != sizeof(result)) _exit(1);
                         }
                       }),
            0);
  ASSERT_EQ(read(pipes[0], results, sizeof(results)), static_cast<ssize_t>(sizeof(results)));
  EXPECT_TRUE(arena_.adopt(results[0]));
  arena_.reclaim(worker);
  EXPECT_TRUE(holds(*arena_.pin(results[0]), 1));
  EXPECT_FALSE(arena_.adopt(results[1])) << "nobody answered for it in time";
  close(pipes[0]);
  close(pipes[1]);
}

TEST_F(ArenaTest, OnlyWhatWasAdoptedAndIsNotReadCanLeave) {
  const Location object = put(arena_, 100000, 7);
  EXPECT_EQ(arena_.evict(object), Arena::Eviction::in_use) << "nobody answers for it yet: it may be on its way";
  ASSERT_TRUE(arena_.adopt(object));
  {
    const Pin pin = *arena_.pin(object);
    EXPECT_EQ(arena_.evict(object), Arena::Eviction::in_use);
    EXPECT_TRUE(holds(pin, 7));
  }
  EXPECT_TRUE(arena_.pin(object).ok()) << "it stayed";
  std::uint32_t holder = 99;
  EXPECT_EQ(arena_.evict(object, &holder), Arena::Eviction::done);
  EXPECT_EQ(holder, node);
  EXPECT_EQ(arena_.usage().objects, 0u);
  EXPECT_EQ(arena_.pin(object).error().code, ErrorCode::object_lost);
  EXPECT_FALSE(arena_.free(object)) << "whoever frees it learns that it is not here";
  EXPECT_EQ(arena_.evict(object), Arena::Eviction::gone);
}

TEST_F(ArenaTest, WhatWasFreedWhileItWasReadDoesNotLeaveForTheDisk) {
  const Location object = put(arena_, 100000, 7);
  arena_.adopt(object);
  {
    const Pin pin = *arena_.pin(object);
    EXPECT_TRUE(arena_.free(object));
    EXPECT_EQ(arena_.evict(object), Arena::Eviction::gone);
    EXPECT_TRUE(holds(pin, 7));
  }
  EXPECT_EQ(arena_.usage().objects, 0u);
}

TEST_F(ArenaTest, ResidentsTellTheLeastRecentlyUsed) {
  const Location first = put(arena_, 100000, 1), second = put(arena_, 200000, 2), third = put(arena_, 300000, 3);
  for (const Location& object : {first, second}) arena_.adopt(object);
  { const Pin read = *arena_.pin(first); }
  const Pin held = *arena_.pin(second);
  const auto all = arena_.residents();
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(all[0].location, first);
  EXPECT_EQ(all[0].room, 7 * Arena::block_bytes);
  EXPECT_TRUE(all[0].movable);
  EXPECT_GT(all[0].used, all[1].used - 2) << "read after the second was made";
  EXPECT_FALSE(all[1].movable) << "it is read";
  EXPECT_EQ(all[2].location, third);
  EXPECT_FALSE(all[2].movable) << "it was not adopted";
}

// Two processes: one frees what the other takes out. Whatever the order, exactly one of them has it.
TEST_F(ArenaTest, AnObjectIsEitherFreedOrEvicted) {
  constexpr int rounds = 2000;
  Arena mine(dup(arena_.descriptor()), worker);
  std::vector<Location> objects;
  std::atomic<int> at{-1}, freed{0};
  std::thread other([&] {
    for (int i = 0; i < rounds; ++i) {
      while (at.load() < i) std::this_thread::yield();
      if (arena_.free(objects[static_cast<std::size_t>(i)])) ++freed;
      at.store(i + rounds);
      while (at.load() >= rounds) std::this_thread::yield();
    }
  });
  int evicted = 0;
  objects.reserve(rounds);
  for (int i = 0; i < rounds; ++i) {
    objects.push_back(put(mine, 20000, i));
    mine.adopt(objects.back());
    at.store(i);
    evicted += mine.evict(objects.back()) == Arena::Eviction::done;
    while (at.load() < i + rounds) std::this_thread::yield();
    at.store(i);
  }
  other.join();
  EXPECT_EQ(evicted + freed, rounds);
  EXPECT_EQ(arena_.usage().objects, 0u);
  EXPECT_EQ(arena_.usage().largest_free, arena_.usage().cap_bytes);
}

TEST_F(ArenaTest, RefusesToMapWhatIsNoArena) {
  const int file = memfd_create("other", MFD_CLOEXEC);
  ASSERT_EQ(ftruncate(file, MB), 0);
  EXPECT_THROW(Arena(file, node), std::runtime_error);
  EXPECT_EQ(fcntl(file, F_GETFD), -1);
}

// Killed at each point, alone, two hundred times: what was in use before still is, nothing else is, and the next one is
// not held up.
TEST_F(ArenaTest, NoDeathAtAnyPointLosesMemoryOrObjects) {
  const Location before = put(arena_, MB, 1);
  for (const char* point : {"arena.taking", "arena.taken", "arena.listed", "arena.backing", "arena.sealed",
                            "arena.doomed", "arena.given", "arena.pinning", "arena.unpinned"}) {
    for (int death = 0; death < 200; ++death) {
      const int status = in_process(worker, [&](Arena& mine) {
        tests::die_at(point);
        const Location object = put(mine, 2 * MB, 2);
        { const Pin pin = *mine.pin(before); }
        mine.free(object);
      });
      ASSERT_EQ(status, -SIGKILL) << point;
      arena_.reclaim(worker);
      ASSERT_EQ(arena_.usage().objects, 1u) << point;
      ASSERT_EQ(arena_.usage().largest_free, 15 * MB) << point;
      ASSERT_TRUE(holds(*arena_.pin(before), 1)) << point;
    }
  }
}

// Three processes put, pin and free at random while one after the other is killed at a random point; the survivor's
// objects keep their bytes, and at the end the arena is empty.
TEST_F(ArenaTest, SurvivesRandomDeaths) {
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const std::vector<const char*> points = {"arena.taking",  "arena.taken",   "arena.listed",
                                           "arena.backing", "arena.sealed",  "arena.doomed",
                                           "arena.given",   "arena.pinning", "arena.unpinned"};
  const auto work = [](Arena& arena, std::uint64_t own_seed, int steps) {
    std::mt19937_64 own(own_seed);
    std::vector<std::pair<Location, int>> mine;
    std::vector<std::pair<Pin, int>> pins;
    for (int step = 0; step < steps; ++step) {
      const auto choice = own() % 4;
      if (choice < 2) {
        const std::uint64_t bytes = 1 + own() % (MB / 2);
        Result<Draft> draft = arena.create(bytes);
        if (draft) {
          const int fill = static_cast<int>(own() % 256);
          std::memset(draft->bytes.data(), fill, bytes);
          arena.seal(draft->location);
          mine.emplace_back(draft->location, fill);
        }
      }
      if (!mine.empty() && choice == 2) {
        const auto& [location, fill] = mine[own() % mine.size()];
        Result<Pin> pin = arena.pin(location);
        if (!pin) return false;
        pins.emplace_back(std::move(*pin), fill);
      }
      if (choice == 3 || mine.size() > 8) {
        if (!mine.empty()) {
          arena.free(mine.front().first);
          mine.erase(mine.begin());
        }
        if (pins.size() > 4) {
          if (!holds(pins.front().first, pins.front().second)) return false;
          pins.erase(pins.begin());
        }
      }
    }
    for (const auto& [pin, fill] : pins) {
      if (!holds(pin, fill)) return false;
    }
    pins.clear();
    for (const auto& object : mine) arena.free(object.first);
    return true;
  };
  for (int round = 0; round < 30; ++round) {
    std::map<pid_t, std::uint32_t> children;
    for (const std::uint32_t slot : {worker, reader}) {
      const char* point = points[random() % points.size()];
      const int count = 1 + static_cast<int>(random() % 40);
      const std::uint64_t child_seed = random();
      children[fork_child([&] {
        Arena own(dup(arena_.descriptor()), slot);
        tests::die_at(point, count);
        _exit(work(own, child_seed, 1000) ? 0 : 1);
      })] = slot;
    }
    EXPECT_TRUE(work(arena_, random(), 100));
    for (const auto& [child, slot] : children) {
      const int status = reap(child);
      EXPECT_TRUE(status == -SIGKILL || status == 0) << status;
      arena_.reclaim(slot);
    }
    ASSERT_EQ(arena_.usage().objects, 0u) << "round " << round;
    ASSERT_EQ(arena_.usage().largest_free, 16 * MB);
  }
}

TEST_F(ArenaTest, ThreadsShareIt) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const Location object = put(arena_, 20000 + 1000 * t, t);
        const Pin pin = *arena_.pin(object);
        arena_.free(object);
        EXPECT_TRUE(holds(pin, t));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(arena_.usage().objects, 0u);
}

}  // namespace
}  // namespace mobula::object
