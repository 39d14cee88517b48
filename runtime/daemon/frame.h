#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <type_traits>

#include "runtime/base/ids.h"

// What lies in the frames of the lanes. A `calls` lane carries bare call frames (runtime/wire/envelope.h: they name
// their caller). A `messages` lane carries a LaneHeader, then for frames that cross machines a Relay, then the payload.
//
// To a process of another node a process sends through its own node: a frame with a Relay on the messages lane to slot
// 0. The node carries it unchanged, and at the other end it arrives from slot 0: a call on the calls lane, bare; a
// message or reply on the messages lane with the Relay, which then tells the true sender.
namespace mobula::daemon {

enum class FrameKind : std::uint8_t {
  message = 1,  // wire::encode(Message)
  reply = 2,    // a reply frame
  call = 3,     // a call frame, on its way to another node
  output = 4,   // from node to node: lines that a worker printed for a driver there
  offer = 5,    // from node to node: a BulkOffer, ahead of the FetchObject that it is for
  ask = 6,      // to a node, from another one or from a command: a Question (runtime/daemon/inquiry.h)
  answer = 7,   // ... and back: its Answer
};

struct LaneHeader {
  FrameKind kind = FrameKind::message;
  std::uint8_t relayed = 0;  // 1: a Relay follows
  std::uint16_t reserved = 0;
  std::uint32_t reserved_too = 0;
};

struct Relay {
  ProcessId from;
  ProcessId to;
};

static_assert(sizeof(LaneHeader) == 8 && sizeof(Relay) == 32 && std::is_trivially_copyable_v<Relay>);

struct LaneFrame {
  LaneHeader header;
  std::optional<Relay> relay;
  std::span<const std::byte> payload;  // aligned to 8 if the frame is
};

// Takes a frame apart; nothing if it is too short to be one.
inline std::optional<LaneFrame> parse_lane_frame(std::span<const std::byte> bytes) {
  LaneFrame frame;
  if (bytes.size() < sizeof(LaneHeader)) return {};
  std::memcpy(&frame.header, bytes.data(), sizeof(LaneHeader));
  bytes = bytes.subspan(sizeof(LaneHeader));
  if (frame.header.relayed != 0) {
    if (bytes.size() < sizeof(Relay)) return {};
    frame.relay.emplace();
    std::memcpy(&*frame.relay, bytes.data(), sizeof(Relay));
    bytes = bytes.subspan(sizeof(Relay));
  }
  frame.payload = bytes;
  return frame;
}

template <class T>
std::span<const std::byte> as_part(const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  return {reinterpret_cast<const std::byte*>(&value), sizeof(T)};
}

}  // namespace mobula::daemon
