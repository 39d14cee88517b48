// Large objects between two nodes that live in this process, over the loopback interface.
#include "runtime/daemon/bulk.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace mobula::daemon {
namespace {

constexpr NodeId here{1}, there{2};

class BulkTest : public testing::Test {
 protected:
  struct Side {
    Side() : arena(object::ArenaOptions{.cap_bytes = 64 << 20, .slots = 16}, 0) {}
    object::Arena arena;
    std::unique_ptr<Bulk> bulk;
  };

  void make(bool receiver_trusts, bool sender_trusts) {
    // The sender first: one whose receiver ends before it has said that all is there would wake us once more.
    sender.bulk.reset();
    receiver.bulk.reset();
    {
      const std::lock_guard lock(mutex_);
      seen_ = wakes_;
    }
    receiver.bulk = side({.self = here, .host = "127.0.0.1", .trusted = receiver_trusts}, receiver.arena);
    sender.bulk = side({.self = there, .host = "127.0.0.1", .trusted = sender_trusts}, sender.arena);
  }

  std::unique_ptr<Bulk> side(const BulkOptions& options, object::Arena& arena) {
    return std::make_unique<Bulk>(options, arena, [this] {
      const std::lock_guard lock(mutex_);
      ++wakes_;
      woken_.notify_all();
    });
  }

  /// Until something has come of what was begun; called once for each wake.
  void wait() {
    std::unique_lock lock(mutex_);
    ASSERT_TRUE(woken_.wait_for(lock, std::chrono::seconds(20), [this] { return wakes_ > seen_; }));
    ++seen_;
  }

  /// A value in the sender's arena.
  wire::ObjectLocation put(std::size_t bytes) {
    const auto draft = sender.arena.create(bytes);
    EXPECT_TRUE(draft.ok());
    for (std::size_t i = 0; i < bytes; ++i) draft->bytes[i] = static_cast<std::byte>(i * 7 >> 4);
    sender.arena.seal(draft->location);
    return {there, draft->location.offset, draft->location.bytes, draft->location.generation};
  }
  /// Of the receiver, for a value that it has made room for.
  BulkOffer offer_of(const wire::ObjectLocation& value) {
    const auto draft = receiver.arena.create(value.bytes);
    EXPECT_TRUE(draft.ok());
    return receiver.bulk->offer(value, *draft);
  }
  object::Pin pin(const wire::ObjectLocation& at, object::Arena& arena) {
    return std::move(arena.pin({at.offset, at.bytes, at.generation})).value();
  }
  void send(const wire::ObjectLocation& value, const BulkOffer& offer) {
    sender.bulk->send(here, pin(value, sender.arena), offer);
  }
  void expect_arrived(const wire::ObjectLocation& value) {
    wait();
    const auto received = receiver.bulk->received();
    ASSERT_EQ(received.size(), 1u);
    EXPECT_EQ(received[0].asked, value);
    EXPECT_EQ(received[0].local.node, here);
    const object::Pin arrived = pin(received[0].local, receiver.arena), sent = pin(value, sender.arena);
    EXPECT_TRUE(std::ranges::equal(arrived.bytes(), sent.bytes()));
    EXPECT_TRUE(sender.bulk->unsent().empty());
  }
  void expect_unsent(const wire::ObjectLocation& value) {
    wait();
    const auto unsent = sender.bulk->unsent();
    ASSERT_EQ(unsent.size(), 1u);
    EXPECT_EQ(unsent[0].location, value);
    EXPECT_EQ(unsent[0].to, here);
    EXPECT_TRUE(receiver.bulk->received().empty());
  }

  Side receiver, sender;

 private:
  std::mutex mutex_;
  std::condition_variable woken_;
  int wakes_ = 0, seen_ = 0;
};

constexpr std::size_t three_megabytes = 3'000'001;

TEST_F(BulkTest, AnObjectArrives) {
  make(false, false);
  const auto value = put(three_megabytes);
  const BulkOffer offer = offer_of(value);
  EXPECT_TRUE(offer);
  EXPECT_EQ(offer.object, value);
  EXPECT_EQ(offer.plain, 0u);
  send(value, offer);
  expect_arrived(value);
}

TEST_F(BulkTest, ItTravelsInTheClearOnlyIfBothTrustTheNetwork) {
  for (const auto& [one, other] : {std::pair(true, true), {true, false}, {false, true}}) {
    make(one, other);
    const auto value = put(three_megabytes);
    const BulkOffer offer = offer_of(value);
    EXPECT_EQ(offer.plain, one ? 1u : 0u);
    send(value, offer);
    expect_arrived(value);
  }
}

TEST_F(BulkTest, ASmallObjectGoesAsMessages) {
  make(false, false);
  EXPECT_FALSE(receiver.bulk->offer(put(1000), {}));
}

TEST_F(BulkTest, WhoHasNoKeyDeliversNothing) {
  make(false, false);
  const auto value = put(three_megabytes);
  BulkOffer offer = offer_of(value);
  offer.key[5] ^= std::byte{1};
  send(value, offer);
  expect_unsent(value);
  EXPECT_EQ(receiver.arena.usage().objects, 0u) << "what had come is given back";
}

TEST_F(BulkTest, AnOfferServesOnce) {
  make(false, false);
  const auto value = put(three_megabytes);
  const BulkOffer offer = offer_of(value);
  send(value, offer);
  expect_arrived(value);
  send(value, offer);
  expect_unsent(value);
}

TEST_F(BulkTest, APlainConnectionIsRefusedWhereTheNetworkIsNotTrusted) {
  make(false, true);
  const auto value = put(three_megabytes);
  BulkOffer offer = offer_of(value);
  offer.plain = 1;
  send(value, offer);
  expect_unsent(value);
}

TEST_F(BulkTest, WithNobodyToConnectToItIsSentAsMessages) {
  make(false, false);
  const auto value = put(three_megabytes);
  BulkOffer offer = offer_of(value);
  receiver.bulk.reset();  // its port is closed now
  make(false, false);
  send(value, offer);
  expect_unsent(value);
}

TEST_F(BulkTest, ASenderThatDiesInTheMiddleLeavesNothing) {
  make(false, false);
  const auto value = put(three_megabytes);
  const BulkOffer offer = offer_of(value);
  const std::string address = offer.address.data();
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  ASSERT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
  std::vector<std::byte> begun(16 + 100'000);
  std::memcpy(begun.data(), &offer.token, sizeof(offer.token));
  ASSERT_EQ(write(fd, begun.data(), begun.size()), static_cast<ssize_t>(begun.size()));
  close(fd);
  const auto next = put(three_megabytes);  // the same receiver goes on
  send(next, offer_of(next));
  expect_arrived(next);
  receiver.bulk.reset();  // waits for its threads
  EXPECT_EQ(receiver.arena.usage().objects, 1u);
}

// Else a connection and messages would write into the same place.
TEST_F(BulkTest, TheRoomComesBackUnlessAConnectionHasIt) {
  make(false, false);
  const auto value = put(three_megabytes), other = put(three_megabytes);
  const BulkOffer offer = offer_of(value);
  const auto draft = receiver.bulk->withdraw(value);
  ASSERT_TRUE(draft);
  EXPECT_EQ(draft->bytes.size(), three_megabytes);
  receiver.arena.discard(draft->location);
  EXPECT_FALSE(receiver.bulk->withdraw(value)) << "once";
  send(value, offer);
  expect_unsent(value);
  send(other, offer_of(other));
  expect_arrived(other);
  EXPECT_FALSE(receiver.bulk->withdraw(other));
}

TEST_F(BulkTest, ANodeThatDiedIsSentNothingMore) {
  make(false, false);
  const auto value = put(three_megabytes);
  const BulkOffer offer = offer_of(value);
  sender.bulk->node_died(here);
  send(value, offer);
  sender.bulk.reset();
  EXPECT_TRUE(receiver.bulk->withdraw(value)) << "nobody has taken it up";
}

}  // namespace
}  // namespace mobula::daemon
