// Bytes of messages, errors and frames. Decoding is safe for any input: bytes that are not a message are an Error
// (bad_message), never a crash, and never more memory than the input is long (times a small constant).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/bytes.h"
#include "runtime/wire/envelope.h"
#include "runtime/wire/message.h"

namespace mobula::wire {

/// The message in Cap'n Proto's flat form; a multiple of 8 bytes.
Bytes encode(const Message& message);
Result<Message> decode(std::span<const std::byte> bytes);

/// Errors alone: payloads of replies and dependencies.
Bytes encode_error(const Error& error);
Error decode_error(std::span<const std::byte> bytes);  // what was encoded; a bad_message error if it was no error

Bytes encode_location(const ObjectLocation& location);
Result<ObjectLocation> decode_location(std::span<const std::byte> bytes);

/// A call frame taken apart: views into the frame.
struct CallFrame {
  CallHeader header;
  std::span<const std::byte> args;
  std::span<const std::byte> dependency_table;  // checked: next_dependency never runs over

  /// Cuts the next dependency off the table; call it header.deps times.
  Dependency next_dependency();
};
Result<CallFrame> parse_call(std::span<const std::byte> frame);

struct ReplyFrame {
  ReplyHeader header;
  std::span<const std::byte> payload;
  std::span<const RefId> contained;
};
/// `frame` must be aligned to 8 bytes, as frames in lanes and in received messages are.
Result<ReplyFrame> parse_reply(std::span<const std::byte> frame);

/// One of several results in the payload of ReplyKind::values.
struct Part {
  bool object = false;          // bytes: an ObjectLocation; else: the encoded value
  std::uint32_t contained = 0;  // so many of the reply's contained refs, after those of the parts before, are its own
  std::span<const std::byte> bytes;
};
void append_part(std::vector<std::byte>& payload, const Part& part);
/// Views into the payload; ends early where it cannot be read.
std::vector<Part> parse_values(std::span<const std::byte> payload);

/// Size of a frame, and the frame written to `out` (which has that size).
std::size_t call_size(const CallHeader& header, std::span<const Dependency> deps);
void write_call(const CallHeader& header, std::span<const std::byte> args, std::span<const Dependency> deps,
                std::byte* out);
std::size_t reply_size(const ReplyHeader& header);
void write_reply(const ReplyHeader& header, std::span<const std::byte> payload, std::span<const RefId> contained,
                 std::byte* out);

}  // namespace mobula::wire
