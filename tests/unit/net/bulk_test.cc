// Objects over a socket of their own: what arrives is what was sent, or nothing.
#include "runtime/net/bulk.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

namespace mobula::net {
namespace {

std::vector<std::byte> some_bytes(std::size_t size) {
  std::vector<std::byte> out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::byte>(i * 31 >> 3);
  return out;
}

struct SocketPair {
  std::array<int, 2> ends{};
  SocketPair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0); }
  ~SocketPair() {
    for (const int end : ends) close(end);
  }
};

constexpr std::size_t several_pieces = 700'001;

TEST(BulkCipher, OpensWhatItSealedAndNothingElse) {
  const BulkKey key = random_bulk_key();
  const std::vector<std::byte> piece = some_bytes(1000);
  std::vector<std::byte> sealed(piece.size() + BulkCipher::tag_bytes), opened(piece.size());
  BulkCipher(key, BulkCipher::Way::seal).seal(piece, sealed);
  EXPECT_NE(std::vector(sealed.begin(), sealed.begin() + 1000), piece);
  EXPECT_TRUE(BulkCipher(key, BulkCipher::Way::open).open(sealed, opened));
  EXPECT_EQ(opened, piece);
  EXPECT_FALSE(BulkCipher(random_bulk_key(), BulkCipher::Way::open).open(sealed, opened)) << "another key";
  for (const std::size_t at : {std::size_t{0}, std::size_t{999}, sealed.size() - 1}) {
    std::vector<std::byte> changed = sealed;
    changed[at] ^= std::byte{1};
    EXPECT_FALSE(BulkCipher(key, BulkCipher::Way::open).open(changed, opened)) << at;
  }
}

TEST(BulkCipher, PiecesOpenInTheirOrderOnly) {
  const BulkKey key = random_bulk_key();
  const std::vector<std::byte> piece = some_bytes(64);
  std::vector<std::byte> first(64 + BulkCipher::tag_bytes), second = first, opened(64);
  BulkCipher seal(key, BulkCipher::Way::seal);
  seal.seal(piece, first);
  seal.seal(piece, second);
  EXPECT_NE(first, second) << "equal pieces do not look equal";
  BulkCipher moved(key, BulkCipher::Way::open);
  EXPECT_FALSE(moved.open(second, opened));
  BulkCipher repeated(key, BulkCipher::Way::open);
  EXPECT_TRUE(repeated.open(first, opened));
  EXPECT_FALSE(repeated.open(first, opened));
}

TEST(Bulk, AnObjectGoesOverASocketSealedOrInTheClear) {
  const BulkKey key = random_bulk_key();
  const std::vector<std::byte> object = some_bytes(several_pieces);
  for (const BulkKey* with : {&key, static_cast<const BulkKey*>(nullptr)}) {
    const SocketPair pair;
    std::vector<std::byte> arrived(object.size());
    std::thread sender([&] { EXPECT_TRUE(send_bulk(pair.ends[0], object, with)); });
    EXPECT_TRUE(receive_bulk(pair.ends[1], arrived, with));
    sender.join();
    EXPECT_EQ(arrived, object);
  }
}

TEST(Bulk, AConnectionThatEndsEarlyIsNoObject) {
  const BulkKey key = random_bulk_key();
  const std::vector<std::byte> object = some_bytes(several_pieces);
  const SocketPair pair;
  std::vector<std::byte> arrived(object.size() + 1);  // one more than will come
  std::thread sender([&] {
    EXPECT_TRUE(send_bulk(pair.ends[0], object, &key));
    shutdown(pair.ends[0], SHUT_WR);
  });
  EXPECT_FALSE(receive_bulk(pair.ends[1], arrived, &key));
  sender.join();
}

}  // namespace
}  // namespace mobula::net
