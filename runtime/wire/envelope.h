// The packed, fixed part of every call and every reply: the only bytes on the path of a task. Everything rarer is a
// wire::Message. Envelopes travel between processes of one build only, so native layout and byte order are the format;
// `version` catches mistakes.
//
// A call frame:  CallHeader, args_bytes of arguments, then `deps` dependencies:
//                  DependencyHeader, then its bytes (inline value: the encoded value; object: an ObjectLocation;
//                  error: an encoded mobula::Error), each padded to 8 bytes.
// A reply frame: ReplyHeader, bytes of payload (padded to 8), then contained_refs RefIds.
// Arguments are padded to 8 bytes as well, so that everything in a frame is aligned for a scalar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "runtime/base/ids.h"

namespace mobula::wire {

inline constexpr std::uint16_t envelope_version = 3;

/// Bytes of a value in a node's arena.
struct ObjectLocation {
  NodeId node;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t generation = 0;
  auto operator<=>(const ObjectLocation&) const = default;
};

enum class CallKind : std::uint8_t { task, actor_create, actor_call };

/// CallHeader::flags. The lower four bits are the shell's: they travel untouched.
inline constexpr std::uint8_t call_logged = 0x10;    // actor_create: replies tell the order of execution
inline constexpr std::uint8_t call_restores = 0x20;  // actor_create: the last dependency is a saved state to load
inline constexpr std::uint8_t call_replays = 0x40;   // actor_call: it has run in an earlier life; nobody waits for it
inline constexpr std::uint8_t call_saves = 0x80;     // actor_call: asks for the actor's state, of `function`'s class

struct CallHeader {
  std::uint16_t version = envelope_version;
  CallKind kind = CallKind::task;
  std::uint8_t flags = 0;
  std::uint32_t depth = 0;  // nesting: a driver's tasks have 1
  ProcessId caller;         // whom to reply to
  std::uint32_t index = 0;  // (index, generation): the caller's slab entry of the result
  std::uint32_t generation = 0;
  FunctionId function;
  std::uint32_t attempt = 0;      // 1 for the first; a reply to another attempt than the current one is ignored
  std::uint32_t incarnation = 0;  // actors: which life of the actor is meant
  ProcessId actor_owner;          // actors: with the two below, the ActorId
  std::uint32_t actor_index = 0;
  std::uint32_t actor_generation = 0;
  // actor calls: grows by at least one per caller and incarnation; actor_create: the order of the last logged call
  std::uint64_t sequence = 0;
  LeaseId lease;
  std::uint32_t args_bytes = 0;
  std::uint32_t deps = 0;
  std::uint32_t group = 0;       // actor calls: hash of the concurrency group's name; 0: none
  std::uint32_t first_item = 0;  // streams: earlier items have arrived in an earlier attempt

  ActorId actor() const { return {actor_owner, actor_index, actor_generation}; }
  RefId result() const { return {caller, index, generation}; }
};

enum class ReplyKind : std::uint8_t {
  value_inline,  // payload: the encoded value
  value_object,  // payload: an ObjectLocation
  error,         // payload: an encoded mobula::Error
  not_started,   // the call was refused before it had any effect (the actor has another incarnation); send it again
  cancelled,     // it will not run, or ran under a raised stop flag; payload: an encoded mobula::Error or nothing
  item_inline,   // one item of a stream: the call goes on; otherwise as value_inline
  item_object,   // ... as value_object
  values,  // several results: payload: for each a u32 kind (0 inline, 1 object), a u32 size, the bytes padded to 8
  argument_lost,  // it did not run: the bytes of dependency `item` are gone; payload: the ObjectLocation they had
};

/// ReplyHeader::flags of an error: an exception that the options count among what is tried again.
inline constexpr std::uint8_t reply_may_retry = 1;

struct ReplyHeader {
  std::uint16_t version = envelope_version;
  ReplyKind kind = ReplyKind::value_inline;
  std::uint8_t flags = 0;
  std::uint32_t index = 0;  // the caller's entry, as in the call
  std::uint32_t generation = 0;
  std::uint32_t attempt = 0;
  std::uint32_t contained_refs = 0;
  std::uint32_t bytes = 0;
  std::uint32_t item = 0;  // of a stream: its number; in the last reply: how many there were
  std::uint32_t reserved = 0;
  std::uint64_t order = 0;  // of a logged actor's call: when it ran, among all its calls; of a save: the last of them
};

enum class DependencyKind : std::uint32_t { inline_value, object, error };

struct DependencyHeader {
  DependencyKind kind = DependencyKind::inline_value;
  std::uint32_t contained_refs = 0;  // reserved: 0
  RefId ref;                         // of which value these bytes are: what is decoded from them is covered by it
  std::uint64_t bytes = 0;
};

static_assert(std::is_trivially_copyable_v<CallHeader> && sizeof(CallHeader) % 8 == 0);
static_assert(std::is_trivially_copyable_v<ReplyHeader> && sizeof(ReplyHeader) % 8 == 0);
static_assert(std::is_trivially_copyable_v<DependencyHeader> && sizeof(DependencyHeader) % 8 == 0);

inline constexpr std::size_t padded(std::size_t bytes) {
  return (bytes + 7) & ~std::size_t{7};
}

/// A resolved dependency as the owner hands it to a frame, and as a worker finds it there. A view: the bytes belong to
/// the owner's table, or to the frame.
struct Dependency {
  DependencyKind kind = DependencyKind::inline_value;
  RefId ref;
  std::span<const std::byte> bytes;
};

/// Values up to this many bytes travel in frames; larger ones are objects in an arena.
inline constexpr std::size_t inline_limit = 64 * 1024;

}  // namespace mobula::wire
