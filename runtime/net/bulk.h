#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace mobula::net {

/// Of one connection that carries one object, and thrown away with it.
using BulkKey = std::array<std::byte, 32>;

/// A key that nobody can guess, from the system's random source.
BulkKey random_bulk_key();

/// AES-256-GCM (NIST SP 800-38D), piece by piece in order. The nonce is the number of the piece, so a key must seal one
/// object only; a piece that was changed, left out, repeated or moved does not open.
class BulkCipher {
 public:
  static constexpr std::size_t tag_bytes = 16;

  enum class Way { seal, open };
  BulkCipher(const BulkKey& key, Way way);  ///< throws std::runtime_error where the library has no AES
  ~BulkCipher();
  BulkCipher(const BulkCipher&) = delete;
  BulkCipher& operator=(const BulkCipher&) = delete;

  /// `sealed` has room for the piece and its tag.
  void seal(std::span<const std::byte> piece, std::span<std::byte> sealed);
  /// False, and nothing that may be used in `piece`, if it was not sealed with this key as the piece of this number.
  [[nodiscard]] bool open(std::span<const std::byte> sealed, std::span<std::byte> piece);

 private:
  struct Context;
  void next_nonce();
  std::unique_ptr<Context> context_;
  std::uint64_t number_ = 0;
};

/// Writes an object to a connected stream socket, sealed with `key`; in the clear if there is none. Blocks, as long as
/// the socket's SO_SNDTIMEO. False: the connection broke.
[[nodiscard]] bool send_bulk(int socket, std::span<const std::byte> object, const BulkKey* key);

/// Reads what send_bulk() wrote at the other end, `object.size()` bytes. False: the connection broke, or the bytes are
/// not what was sent.
[[nodiscard]] bool receive_bulk(int socket, std::span<std::byte> object, const BulkKey* key);

/// All of a few bytes, or false.
[[nodiscard]] bool send_all(int socket, std::span<const std::byte> bytes);
[[nodiscard]] bool receive_all(int socket, std::span<std::byte> bytes);

}  // namespace mobula::net
