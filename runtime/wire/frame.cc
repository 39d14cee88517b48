#include <cstring>

#include "runtime/wire/codec.h"

namespace mobula::wire {

namespace {

Error bad_frame(std::string what) {
  Error error;
  error.code = ErrorCode::bad_message;
  error.message = std::move(what);
  return error;
}

std::byte* put(std::byte* to, const void* from, std::size_t bytes) {
  if (bytes != 0) std::memcpy(to, from, bytes);
  // Padding is written, so that no byte of a frame is undefined.
  const std::size_t end = padded(bytes);
  for (std::size_t i = bytes; i < end; ++i) to[i] = std::byte{0};
  return to + end;
}

// Takes `bytes` (and their padding) off the front; false if they are not there.
bool take(std::span<const std::byte>& from, std::uint64_t bytes, std::span<const std::byte>& out) {
  if (bytes > from.size() || padded(bytes) > from.size()) return false;
  out = from.first(bytes);
  from = from.subspan(padded(bytes));
  return true;
}

}  // namespace

Bytes encode_location(const ObjectLocation& location) {
  return Bytes({reinterpret_cast<const std::byte*>(&location), sizeof location});
}

Result<ObjectLocation> decode_location(std::span<const std::byte> bytes) {
  ObjectLocation location;
  if (bytes.size() != sizeof location) {
    return bad_frame("decoding an object's location: " + std::to_string(bytes.size()) + " bytes instead of " +
                     std::to_string(sizeof location));
  }
  std::memcpy(&location, bytes.data(), sizeof location);
  return location;
}

Dependency CallFrame::next_dependency() {
  DependencyHeader dependency;
  std::memcpy(&dependency, dependency_table.data(), sizeof dependency);
  const auto bytes = dependency_table.subspan(sizeof dependency, dependency.bytes);
  dependency_table = dependency_table.subspan(sizeof dependency + padded(dependency.bytes));
  return {dependency.kind, dependency.ref, bytes};
}

Result<CallFrame> parse_call(std::span<const std::byte> frame) {
  CallFrame call;
  const std::size_t size = frame.size();
  std::span<const std::byte> rest = frame;
  std::span<const std::byte> part;
  if (!take(rest, sizeof(CallHeader), part)) {
    return bad_frame("decoding a call: " + std::to_string(size) + " bytes are too few for its header");
  }
  std::memcpy(&call.header, part.data(), sizeof(CallHeader));
  if (call.header.version != envelope_version) {
    return bad_frame("decoding a call: envelope version " + std::to_string(call.header.version) +
                     ", this build reads " + std::to_string(envelope_version));
  }
  if (call.header.kind > CallKind::actor_call) return bad_frame("decoding a call: unknown kind");
  if (!take(rest, call.header.args_bytes, call.args)) return bad_frame("decoding a call: its arguments are cut off");
  call.dependency_table = rest;
  for (std::uint32_t i = 0; i < call.header.deps; ++i) {
    DependencyHeader dependency;
    if (!take(rest, sizeof dependency, part)) return bad_frame("decoding a call: its dependencies are cut off");
    std::memcpy(&dependency, part.data(), sizeof dependency);
    if (dependency.kind > DependencyKind::error) return bad_frame("decoding a call: unknown kind of dependency");
    if (!take(rest, dependency.bytes, part)) return bad_frame("decoding a call: a dependency's bytes are cut off");
  }
  if (!rest.empty()) return bad_frame("decoding a call: " + std::to_string(rest.size()) + " bytes too many");
  return call;
}

Result<ReplyFrame> parse_reply(std::span<const std::byte> frame) {
  ReplyFrame reply;
  std::span<const std::byte> rest = frame;
  std::span<const std::byte> part;
  if (!take(rest, sizeof(ReplyHeader), part)) {
    return bad_frame("decoding a reply: " + std::to_string(frame.size()) + " bytes are too few for its header");
  }
  if (reinterpret_cast<std::uintptr_t>(frame.data()) % 8 != 0) return bad_frame("decoding a reply: it is not aligned");
  std::memcpy(&reply.header, part.data(), sizeof(ReplyHeader));
  if (reply.header.version != envelope_version) {
    return bad_frame("decoding a reply: envelope version " + std::to_string(reply.header.version) +
                     ", this build reads " + std::to_string(envelope_version));
  }
  if (reply.header.kind > ReplyKind::argument_lost) return bad_frame("decoding a reply: unknown kind");
  if (!take(rest, reply.header.bytes, reply.payload)) return bad_frame("decoding a reply: its payload is cut off");
  if (rest.size() != std::uint64_t{reply.header.contained_refs} * sizeof(RefId)) {
    return bad_frame("decoding a reply: " + std::to_string(rest.size()) + " bytes for " +
                     std::to_string(reply.header.contained_refs) + " refs");
  }
  reply.contained = {reinterpret_cast<const RefId*>(rest.data()), reply.header.contained_refs};
  return reply;
}

namespace {
struct PartHeader {
  std::uint32_t object, contained, bytes, reserved;
};
}  // namespace

void append_part(std::vector<std::byte>& payload, const Part& part) {
  const PartHeader header{part.object, part.contained, static_cast<std::uint32_t>(part.bytes.size()), 0};
  const std::size_t at = payload.size();
  payload.resize(at + sizeof header + padded(part.bytes.size()));
  put(put(payload.data() + at, &header, sizeof header), part.bytes.data(), part.bytes.size());
}

std::vector<Part> parse_values(std::span<const std::byte> payload) {
  std::vector<Part> parts;
  std::span<const std::byte> bytes;
  while (take(payload, sizeof(PartHeader), bytes)) {
    PartHeader header;
    std::memcpy(&header, bytes.data(), sizeof header);
    if (!take(payload, header.bytes, bytes)) break;
    parts.push_back({header.object != 0, header.contained, bytes});
  }
  return parts;
}

std::size_t call_size(const CallHeader& header, std::span<const Dependency> deps) {
  std::size_t size = sizeof header + padded(header.args_bytes);
  for (const Dependency& dependency : deps) size += sizeof(DependencyHeader) + padded(dependency.bytes.size());
  return size;
}

void write_call(const CallHeader& header, std::span<const std::byte> args, std::span<const Dependency> deps,
                std::byte* out) {
  out = put(out, &header, sizeof header);
  out = put(out, args.data(), args.size());
  for (const Dependency& dependency : deps) {
    const DependencyHeader entry{dependency.kind, 0, dependency.ref, dependency.bytes.size()};
    out = put(out, &entry, sizeof entry);
    out = put(out, dependency.bytes.data(), dependency.bytes.size());
  }
}

std::size_t reply_size(const ReplyHeader& header) {
  return sizeof header + padded(header.bytes) + header.contained_refs * sizeof(RefId);
}

void write_reply(const ReplyHeader& header, std::span<const std::byte> payload, std::span<const RefId> contained,
                 std::byte* out) {
  out = put(out, &header, sizeof header);
  out = put(out, payload.data(), payload.size());
  put(out, contained.data(), contained.size_bytes());
}

}  // namespace mobula::wire
