#include "runtime/net/bulk.h"

#include <openssl/evp.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <vector>

namespace mobula::net {

namespace {
/// Sealed and opened while it is in the core's own cache.
constexpr std::size_t piece_bytes = std::size_t{256} * 1024;

unsigned char* raw(std::byte* at) {
  return reinterpret_cast<unsigned char*>(at);
}
const unsigned char* raw(const std::byte* at) {
  return reinterpret_cast<const unsigned char*>(at);
}
}  // namespace

BulkKey random_bulk_key() {
  BulkKey key;
  if (getrandom(key.data(), key.size(), 0) != static_cast<ssize_t>(key.size())) {
    throw std::system_error(errno, std::generic_category(), "getting random bytes for a key");
  }
  return key;
}

struct BulkCipher::Context {
  EVP_CIPHER_CTX* const evp = EVP_CIPHER_CTX_new();
  Context() = default;
  ~Context() { EVP_CIPHER_CTX_free(evp); }
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
};

BulkCipher::BulkCipher(const BulkKey& key, Way way) : context_(std::make_unique<Context>()) {
  const int seals = way == Way::seal ? 1 : 0;
  if (context_->evp == nullptr ||
      EVP_CipherInit_ex(context_->evp, EVP_aes_256_gcm(), nullptr, raw(key.data()), nullptr, seals) != 1) {
    throw std::runtime_error("encrypting objects: the OpenSSL library has no AES-256-GCM");
  }
}

BulkCipher::~BulkCipher() = default;

void BulkCipher::next_nonce() {
  std::array<unsigned char, 12> nonce{};
  std::memcpy(nonce.data(), &number_, sizeof(number_));
  ++number_;
  EVP_CipherInit_ex(context_->evp, nullptr, nullptr, nullptr, nonce.data(), -1);
}

void BulkCipher::seal(std::span<const std::byte> piece, std::span<std::byte> sealed) {
  next_nonce();
  int length = 0;
  std::byte* const tag = sealed.data() + piece.size();
  if (EVP_EncryptUpdate(context_->evp, raw(sealed.data()), &length, raw(piece.data()),
                        static_cast<int>(piece.size())) != 1 ||
      EVP_EncryptFinal_ex(context_->evp, raw(tag), &length) != 1 ||
      EVP_CIPHER_CTX_ctrl(context_->evp, EVP_CTRL_GCM_GET_TAG, tag_bytes, tag) != 1) {
    throw std::runtime_error("encrypting an object failed");
  }
}

bool BulkCipher::open(std::span<const std::byte> sealed, std::span<std::byte> piece) {
  next_nonce();
  int length = 0;
  std::array<std::byte, tag_bytes> tag;
  std::memcpy(tag.data(), sealed.data() + piece.size(), tag_bytes);
  return EVP_DecryptUpdate(context_->evp, raw(piece.data()), &length, raw(sealed.data()),
                           static_cast<int>(piece.size())) == 1 &&
         EVP_CIPHER_CTX_ctrl(context_->evp, EVP_CTRL_GCM_SET_TAG, tag_bytes, tag.data()) == 1 &&
         EVP_DecryptFinal_ex(context_->evp, nullptr, &length) == 1;
}

bool send_all(int socket, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(sent));
  }
  return true;
}

bool receive_all(int socket, std::span<std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t received = ::recv(socket, bytes.data(), bytes.size(), MSG_WAITALL);
    if (received < 0 && errno == EINTR) continue;
    if (received <= 0) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(received));
  }
  return true;
}

bool send_bulk(int socket, std::span<const std::byte> object, const BulkKey* key) {
  if (key == nullptr) return send_all(socket, object);
  BulkCipher cipher(*key, BulkCipher::Way::seal);
  std::vector<std::byte> sealed(piece_bytes + BulkCipher::tag_bytes);
  while (!object.empty()) {
    const auto piece = object.first(std::min(piece_bytes, object.size()));
    const std::span to = std::span(sealed).first(piece.size() + BulkCipher::tag_bytes);
    cipher.seal(piece, to);
    if (!send_all(socket, to)) return false;
    object = object.subspan(piece.size());
  }
  return true;
}

bool receive_bulk(int socket, std::span<std::byte> object, const BulkKey* key) {
  if (key == nullptr) return receive_all(socket, object);
  BulkCipher cipher(*key, BulkCipher::Way::open);
  std::vector<std::byte> sealed(piece_bytes + BulkCipher::tag_bytes);
  while (!object.empty()) {
    const auto piece = object.first(std::min(piece_bytes, object.size()));
    const std::span from = std::span(sealed).first(piece.size() + BulkCipher::tag_bytes);
    if (!receive_all(socket, from) || !cipher.open(from, piece)) return false;
    object = object.subspan(piece.size());
  }
  return true;
}

}  // namespace mobula::net
