#include "runtime/wire/codec.h"

#include <capnp/message.h>
#include <capnp/serialize.h>
#include <kj/exception.h>

#include <cstring>

#include "runtime/wire/convert.h"

namespace mobula::wire {

namespace {

Error bad_message(std::string what) {
  Error error;
  error.code = ErrorCode::bad_message;
  error.message = std::move(what);
  return error;
}

template <class Root, class T>
Bytes encode_root(const T& value) {
  capnp::word scratch[128] = {};  // most messages fit: one segment, no allocation
  capnp::MallocMessageBuilder builder(kj::arrayPtr(scratch, 128));
  convert::write(builder.initRoot<Root>(), value);
  const auto words = capnp::messageToFlatArray(builder);
  const auto bytes = words.asBytes();
  return Bytes({reinterpret_cast<const std::byte*>(bytes.begin()), bytes.size()});
}

// Calls use(root) for the message in `bytes`; the Error if there is none, or if use() finds it malformed.
template <class Root, class Use>
Result<void> with_root(std::span<const std::byte> bytes, const char* what, Use&& use) {
  if (bytes.empty() || bytes.size() % sizeof(capnp::word) != 0) {
    return bad_message(std::string("decoding ") + what + ": its size, " + std::to_string(bytes.size()) +
                       " bytes, is not a positive multiple of 8");
  }
  const std::size_t words = bytes.size() / sizeof(capnp::word);
  try {
    capnp::ReaderOptions limits;
    // What we write is read once, so a message that wants to be read several times over is hostile.
    limits.traversalLimitInWords = 2 * words + 16;
    limits.nestingLimit = 100;
    kj::Array<capnp::word> copy;
    kj::ArrayPtr<const capnp::word> view;
    if (reinterpret_cast<std::uintptr_t>(bytes.data()) % alignof(capnp::word) == 0) {
      view = kj::arrayPtr(reinterpret_cast<const capnp::word*>(bytes.data()), words);
    } else {
      copy = kj::heapArray<capnp::word>(words);
      std::memcpy(copy.begin(), bytes.data(), bytes.size());
      view = copy;
    }
    capnp::FlatArrayMessageReader reader(view, limits);
    use(reader.getRoot<Root>());
    return {};
  } catch (const kj::Exception& e) {
    return bad_message(std::string("decoding ") + what + ": " + e.getDescription().cStr());
  } catch (const convert::Malformed& e) {
    return bad_message(std::string("decoding ") + what + ": " + e.what);
  }
}

}  // namespace

Bytes encode(const Message& message) {
  return encode_root<schema::Message>(message);
}
Result<Message> decode(std::span<const std::byte> bytes) {
  Message message;
  const auto read = with_root<schema::Message>(bytes, "a message", [&](auto root) { message = convert::read(root); });
  if (!read.ok()) return read.error();
  return message;
}

Bytes encode_error(const Error& error) {
  return encode_root<schema::Error>(error);
}
Error decode_error(std::span<const std::byte> bytes) {
  Error error;
  const auto read = with_root<schema::Error>(bytes, "an error", [&](auto root) { error = convert::read(root); });
  if (!read.ok()) return read.error();
  // A failure must never look like success.
  if (error.code == ErrorCode::none) return bad_message("decoding an error: it says that there is none");
  return error;
}

}  // namespace mobula::wire
