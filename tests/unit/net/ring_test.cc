#include "runtime/net/ring.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace mobula::net {
namespace {

class RingTest : public testing::Test {
 protected:
  static constexpr std::uint64_t capacity = 64 * 1024;

  bool write(std::string_view text) {
    std::byte* place = writer_.reserve(text.size());
    if (place == nullptr) return false;
    if (!text.empty()) std::memcpy(place, text.data(), text.size());
    last_position_ = writer_.commit(text.size());
    return true;
  }

  std::string read() {
    FrameHeader* frame = reader_.peek();
    if (frame == nullptr) return "nothing";
    std::string text(reinterpret_cast<char*>(frame->payload()), frame->bytes);
    reader_.step(*frame);
    return text;
  }

  struct Free {
    void operator()(std::byte* memory) const { std::free(memory); }
  };
  RingState state_{};
  std::unique_ptr<std::byte, Free> memory_{static_cast<std::byte*>(std::aligned_alloc(64, capacity))};
  RingWriter writer_{&state_, memory_.get(), capacity};
  RingReader reader_{&state_, memory_.get(), capacity};
  std::uint64_t last_position_ = 0;
};

TEST_F(RingTest, ShowsNothingBeforeItIsPublished) {
  ASSERT_TRUE(write("half a thought"));
  EXPECT_FALSE(reader_.ready());
  EXPECT_EQ(read(), "nothing");
  writer_.publish();
  EXPECT_TRUE(reader_.ready());
  EXPECT_EQ(read(), "half a thought");
}

TEST_F(RingTest, KeepsOrderAndBytesOverManyRounds) {
  std::mt19937 random(7);
  std::vector<std::string> sent;
  std::size_t received = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text(random() % (round % 50 == 0 ? 20000 : 300), static_cast<char>('a' + random() % 26));
    if (write(text)) sent.push_back(text);
    if (random() % 3 == 0) writer_.publish();
    for (int n = random() % 4; n > 0 && reader_.ready(); --n) ASSERT_EQ(read(), sent[received++]);
    if (random() % 2 == 0) reader_.give_back_read();
  }
  writer_.publish();
  while (reader_.ready()) ASSERT_EQ(read(), sent[received++]);
  EXPECT_EQ(received, sent.size());
  EXPECT_GT(received, 10000u);
}

TEST_F(RingTest, IsFullUntilTheReaderGivesRoomBack) {
  const std::string text(1000, 'x');
  int frames = 0;
  while (write(text)) ++frames;
  writer_.publish();
  EXPECT_GE(frames, static_cast<int>(capacity / 1024) - 1);
  EXPECT_TRUE(writer_.wait_for_room());
  EXPECT_EQ(read(), text);
  EXPECT_FALSE(write(text)) << "reading alone gives no room: the frame may still be in use";
  EXPECT_TRUE(reader_.give_back_read()) << "the writer asked to be told";
  EXPECT_TRUE(write(text));
  EXPECT_EQ(read(), text);
  EXPECT_FALSE(reader_.give_back_read()) << "asked once, told once";
}

TEST_F(RingTest, CallsThatComeOneAtATimeKeepToTheBeginningOfTheMemory) {
  std::memset(memory_.get(), 0, capacity);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_TRUE(
        write("a call of some hundred bytes, give or take a few, as they are in practice when arguments are small"));
    writer_.publish();
    read();
    reader_.give_back_read();
  }
  std::size_t touched = 0;
  for (std::size_t i = 0; i < capacity; ++i) touched += memory_.get()[i] != std::byte{0};
  EXPECT_LT(touched, capacity / 2 + 1024);
}

TEST_F(RingTest, ACallIsEitherClaimedOrWithdrawn) {
  ASSERT_TRUE(write("first"));
  const auto first = last_position_;
  ASSERT_TRUE(write("second"));
  const auto second = last_position_;
  writer_.publish();
  FrameHeader* frame = reader_.peek();
  frame->claim.store(Claim::claimed);
  reader_.step(*frame);
  EXPECT_FALSE(writer_.withdraw(first));
  EXPECT_TRUE(writer_.withdraw(second));
  EXPECT_FALSE(writer_.withdraw(second)) << "only once";
  EXPECT_EQ(reader_.peek()->claim.load(), Claim::withdrawn);
}

TEST_F(RingTest, AnOldTicketNamesNothing) {
  ASSERT_TRUE(write("long gone"));
  const auto old = last_position_;
  for (int i = 0; i < 3000; ++i) {
    writer_.publish();
    FrameHeader* frame = reader_.peek();
    frame->claim.store(Claim::done);
    reader_.step(*frame);
    reader_.give_back_done();
    ASSERT_TRUE(write(std::string(50, 'y')));
  }
  EXPECT_FALSE(writer_.withdraw(old));
}

TEST_F(RingTest, RoomComesBackInOrderWhateverOrderCallsEndIn) {
  for (const char* text : {"one", "two", "three"}) ASSERT_TRUE(write(text));
  writer_.publish();
  std::vector<FrameHeader*> taken;
  while (FrameHeader* frame = reader_.peek()) {
    taken.push_back(frame);
    reader_.step(*frame);
  }
  taken[1]->claim.store(Claim::done);
  reader_.give_back_done();
  EXPECT_EQ(state_.head.load(), 0u) << "the first is still in use";
  taken[0]->claim.store(Claim::done);
  reader_.give_back_done();
  EXPECT_EQ(state_.head.load(), 64u);
  taken[2]->claim.store(Claim::done);
  reader_.give_back_done();
  EXPECT_EQ(state_.head.load(), 96u);
}

TEST_F(RingTest, SaysWhenTheMemoryWasWrittenOver) {
  ASSERT_TRUE(write("sound"));
  writer_.publish();
  std::memset(memory_.get(), 0x5a, 64);
  try {
    reader_.peek();
    FAIL() << "read a frame that no writer wrote";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("written over the shared segment"));
  }
}

TEST_F(RingTest, TwoThreadsAgreeOnEveryByte) {
  constexpr int frames = 200000;
  std::thread writer([&] {
    for (std::uint32_t i = 0; i < frames;) {
      const std::size_t bytes = 4 + i % 97;
      std::byte* place = writer_.reserve(bytes);
      if (place == nullptr) {
        std::this_thread::yield();
        continue;
      }
      std::memset(place, static_cast<int>(i & 0xff), bytes);
      std::memcpy(place, &i, 4);
      writer_.commit(bytes);
      writer_.publish();
      ++i;
    }
  });
  for (std::uint32_t expected = 0; expected < frames;) {
    FrameHeader* frame = reader_.peek();
    if (frame == nullptr) {
      std::this_thread::yield();
      continue;
    }
    std::uint32_t number = 0;
    std::memcpy(&number, frame->payload(), 4);
    ASSERT_EQ(number, expected);
    ASSERT_EQ(frame->bytes, 4 + expected % 97);
    reader_.step(*frame);
    reader_.give_back_read();
    ++expected;
  }
  writer.join();
}

}  // namespace
}  // namespace mobula::net
