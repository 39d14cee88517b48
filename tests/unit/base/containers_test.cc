#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>

#include <mobula/random.h>

#include "runtime/base/bytes.h"
#include "runtime/base/resources.h"
#include "runtime/base/ring_queue.h"
#include "runtime/base/slab.h"

namespace mobula {
namespace {

TEST(Slab, AHandleToAnErasedEntryIsRecognised) {
  Slab<std::string> slab;
  const SlabHandle first = slab.emplace("first");
  slab.erase(first);
  const SlabHandle second = slab.emplace("second");
  EXPECT_EQ(second.index, first.index) << "positions are reused";
  EXPECT_EQ(slab.find(first), nullptr);
  ASSERT_NE(slab.find(second), nullptr);
  EXPECT_EQ(*slab.find(second), "second");
}

TEST(Slab, UnknownHandlesFindNothing) {
  Slab<int> slab;
  EXPECT_EQ(slab.find({}), nullptr);
  EXPECT_EQ(slab.find({123456, 1}), nullptr);
  slab.emplace(1);
  EXPECT_EQ(slab.find({0, 7}), nullptr);
}

TEST(Slab, EntriesKeepTheirAddressWhileItGrows) {
  Slab<int> slab;
  const SlabHandle handle = slab.emplace(42);
  const int* address = &slab[handle];
  for (int i = 0; i < 10000; ++i) slab.emplace(i);
  EXPECT_EQ(&slab[handle], address);
  EXPECT_EQ(*address, 42);
}

TEST(Slab, AgreesWithAMapOverRandomInsertionsAndErasures) {
  Random random(7, Stream::user);
  Slab<std::string> slab;
  std::map<SlabHandle, std::string> expected;
  for (int step = 0; step < 20000; ++step) {
    if (expected.empty() || random.below(5) < 3) {
      const std::string value = std::to_string(step);
      expected[slab.emplace(value)] = value;
    } else {
      auto victim = expected.begin();
      std::advance(victim, random.below(static_cast<std::uint32_t>(std::min<std::size_t>(expected.size(), 50))));
      slab.erase(victim->first);
      EXPECT_EQ(slab.find(victim->first), nullptr);
      expected.erase(victim);
    }
  }
  EXPECT_EQ(slab.size(), expected.size());
  std::map<SlabHandle, std::string> found;
  slab.for_each([&](SlabHandle handle, std::string& value) { found[handle] = value; });
  EXPECT_EQ(found, expected);
  slab.for_each([&](SlabHandle handle, std::string&) { slab.erase(handle); });
  EXPECT_TRUE(slab.empty());
}

TEST(RingQueue, AgreesWithADequeAtBothEnds) {
  Random random(11, Stream::user);
  RingQueue<int> ring;
  std::deque<int> expected;
  for (int step = 0; step < 20000; ++step) {
    switch (random.below(expected.empty() ? 2 : 5)) {
      case 0:
        ring.push_front(step), expected.push_front(step);
        break;
      case 1:
      case 2:
        ring.push_back(step), expected.push_back(step);
        break;
      case 3:
        ring.pop_front(), expected.pop_front();
        break;
      default:
        ring.pop_back(), expected.pop_back();
        break;
    }
    ASSERT_EQ(ring.size(), expected.size());
    if (expected.empty()) continue;
    ASSERT_EQ(ring.front(), expected.front());
    ASSERT_EQ(ring.back(), expected.back());
    const auto i = random.below(static_cast<std::uint32_t>(expected.size()));
    ASSERT_EQ(ring[i], expected[i]);
  }
}

TEST(Bytes, CopiesAndMovesShortAndLongOnes) {
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{1}, Bytes::in_place, Bytes::in_place + 1, std::size_t{5000}}) {
    Bytes bytes;
    std::byte* data = bytes.resize_for_overwrite(size);
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<std::byte>(i);
    Bytes copy = bytes;
    EXPECT_EQ(copy, bytes);
    const Bytes moved = std::move(copy);
    EXPECT_EQ(moved, bytes);
    copy = moved;
    EXPECT_EQ(copy.size(), size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(moved.data()) % 8, 0u);
  }
}

TEST(Resources, GivingBackWhatWasTakenRestoresThemExactly) {
  Resources all = Resources::cpus(4);
  all.set("gpu", 2 * Resources::unit);
  Resources third = Resources::cpus(1.0 / 3.0);
  third.set("gpu", Resources::unit / 3);
  Resources left = all;
  for (int i = 0; i < 6; ++i) left -= third;
  EXPECT_FALSE(left.covers(Resources::cpus(3)));
  for (int i = 0; i < 6; ++i) left += third;
  EXPECT_EQ(left, all);
}

TEST(Resources, NothingIsCoveredByNothingAndBelowZeroCoversNothingMore) {
  Resources none;
  EXPECT_TRUE(none.covers({}));
  EXPECT_FALSE(none.covers(Resources::cpus(0.0001)));
  none -= Resources::cpus(1);
  EXPECT_TRUE(none.covers({}));
  EXPECT_FALSE(none.covers(Resources::cpus(1)));
  EXPECT_EQ(to_string(Resources::cpus(1.5)), "cpu 1.5");
  EXPECT_EQ(to_string(Resources{}), "nothing");
}

}  // namespace
}  // namespace mobula
