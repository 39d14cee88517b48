// The packed frames of the lanes: calls, replies, parts of replies, errors, locations. The first byte of the input says
// which is tried.
#include <algorithm>

#include "runtime/daemon/frame.h"
#include "runtime/wire/codec.h"
#include "tests/fuzz/target.h"

namespace mobula::fuzz {
namespace {

constexpr int kKinds = 6;

// Each byte is read, so that a span that runs over is seen.
void read_all(std::span<const std::byte> bytes) {
  static volatile unsigned sum;
  for (const std::byte b : bytes) sum = sum + static_cast<unsigned>(b);
}

void run_frame(int kind, std::span<const std::byte> frame) {
  switch (kind) {
    case 0:
      if (auto call = wire::parse_call(frame)) {
        read_all(call->args);
        for (std::uint32_t k = 0; k < call->header.deps; ++k) read_all(call->next_dependency().bytes);
      }
      break;
    case 1:
      if (const auto reply = wire::parse_reply(frame)) {
        read_all(reply->payload);
        read_all(std::as_bytes(reply->contained));
      }
      break;
    case 2:
      for (const auto& part : wire::parse_values(frame)) read_all(part.bytes);
      break;
    case 3:
      if (const auto lane = daemon::parse_lane_frame(frame)) read_all(lane->payload);
      break;
    case 4:
      require(wire::decode_error(frame).code != ErrorCode::none);
      break;
    default:
      static_cast<void>(wire::decode_location(frame));
  }
}

Input framed(int kind, std::span<const std::byte> frame) {
  Input input{static_cast<std::byte>(kind)};
  input.insert(input.end(), frame.begin(), frame.end());
  return input;
}

}  // namespace

void run(std::span<const std::byte> input) {
  if (input.empty()) return;
  // Frames lie aligned in lanes and in received messages.
  std::vector<std::uint64_t> aligned((input.size() + 6) / 8);
  const auto frame = std::as_writable_bytes(std::span(aligned)).first(input.size() - 1);
  std::copy(input.begin() + 1, input.end(), frame.begin());
  run_frame(static_cast<int>(input[0]) % kKinds, frame);
}

std::vector<Input> seeds() {
  const std::vector<std::byte> value(24, std::byte{7});
  const std::vector<wire::Dependency> dependencies{{wire::DependencyKind::inline_value, {}, value},
                                                   {wire::DependencyKind::error, {}, {}}};
  wire::CallHeader call;
  call.args_bytes = 24;
  call.deps = 2;
  std::vector<std::byte> call_frame(wire::call_size(call, dependencies));
  wire::write_call(call, value, dependencies, call_frame.data());

  const std::vector<RefId> contained(2);
  wire::ReplyHeader reply;
  reply.bytes = 24;
  reply.contained_refs = 2;
  std::vector<std::byte> reply_frame(wire::reply_size(reply));
  wire::write_reply(reply, value, contained, reply_frame.data());

  std::vector<std::byte> parts;
  wire::append_part(parts, {.object = false, .contained = 1, .bytes = value});
  wire::append_part(parts, {.object = true, .contained = 0, .bytes = value});

  std::vector<std::byte> lane(sizeof(daemon::LaneHeader) + sizeof(daemon::Relay) + 8, std::byte{1});

  Error error;
  error.code = ErrorCode::exception;
  error.message = "it broke";
  error.causes.resize(1);
  return {framed(0, call_frame),
          framed(1, reply_frame),
          framed(2, parts),
          framed(3, lane),
          framed(4, wire::encode_error(error)),
          framed(5, wire::encode_location({}))};
}

}  // namespace mobula::fuzz
