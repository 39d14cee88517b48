// Who and what messages talk about. All ids are trivially copyable, ordered, hashable and printable, and none is looked
// up by name: a slot or slab index finds the entry, the generation tells whether it is still the one that was meant.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <type_traits>

namespace mobula {

/// A machine's share of the cluster, drawn at random when its node starts; a node that was declared dead comes back
/// under a new one. 0 is nobody.
struct NodeId {
  std::uint64_t value = 0;
  explicit operator bool() const { return value != 0; }
  auto operator<=>(const NodeId&) const = default;
};

/// A process of a node: its slot in the node's process table and how often the slot was used before.
/// Slot 0 is the node itself, and its generation is 0.
struct ProcessId {
  NodeId node;
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  explicit operator bool() const { return static_cast<bool>(node); }
  auto operator<=>(const ProcessId&) const = default;
};

/// The address of a node's own state machine (and of the head's, which shares the process of one node).
inline ProcessId node_process(NodeId node) {
  return {node, 0, 0};
}

/// A value that a process owns: its index in the owner's slab. A task's id is the id of its result.
struct RefId {
  ProcessId owner;
  std::uint32_t index = 0;
  std::uint32_t generation = 0;  // never 0 in a valid id
  explicit operator bool() const { return generation != 0; }
  auto operator<=>(const RefId&) const = default;
};

/// An actor. It shares the slab of its creator's refs, so that a handle is counted, borrowed and released as a ref is.
struct ActorId {
  ProcessId owner;
  std::uint32_t index = 0;
  std::uint32_t generation = 0;
  explicit operator bool() const { return generation != 0; }
  RefId ref() const { return {owner, index, generation}; }
  auto operator<=>(const ActorId&) const = default;
};
inline ActorId as_actor(const RefId& ref) {
  return {ref.owner, ref.index, ref.generation};
}

/// A node's promise of one of its worker processes (and its resources) to one owner.
struct LeaseId {
  NodeId node;
  std::uint64_t number = 0;
  explicit operator bool() const { return number != 0; }
  auto operator<=>(const LeaseId&) const = default;
};

/// Code: the hash of its module's build-id and its offset there.
struct FunctionId {
  std::uint64_t module = 0;
  std::uint64_t offset = 0;
  explicit operator bool() const { return offset != 0; }
  auto operator<=>(const FunctionId&) const = default;
};

std::string to_string(NodeId id);             // "n5f3a"
std::string to_string(const ProcessId& id);   // "n5f3a/3.1"
std::string to_string(const RefId& id);       // "n5f3a/3.1#17.2"
std::string to_string(const ActorId& id);     // "actor n5f3a/3.1#17.2"
std::string to_string(const LeaseId& id);     // "lease n5f3a:12"
std::string to_string(const FunctionId& id);  // "code 8c1e...+0x1234"

/// Mixes a word into a hash (the finaliser of splitmix64).
inline std::uint64_t hash_mix(std::uint64_t seed, std::uint64_t word) {
  std::uint64_t x = seed ^ (word + 0x9e3779b97f4a7c15ULL + (seed << 6) + (seed >> 2));
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace mobula

template <>
struct std::hash<mobula::NodeId> {
  std::size_t operator()(const mobula::NodeId& id) const { return mobula::hash_mix(1, id.value); }
};
template <>
struct std::hash<mobula::ProcessId> {
  std::size_t operator()(const mobula::ProcessId& id) const {
    return mobula::hash_mix(id.node.value, static_cast<std::uint64_t>(id.slot) << 32 | id.generation);
  }
};
template <>
struct std::hash<mobula::RefId> {
  std::size_t operator()(const mobula::RefId& id) const {
    return mobula::hash_mix(std::hash<mobula::ProcessId>()(id.owner),
                            static_cast<std::uint64_t>(id.index) << 32 | id.generation);
  }
};
template <>
struct std::hash<mobula::ActorId> {
  std::size_t operator()(const mobula::ActorId& id) const { return std::hash<mobula::RefId>()(id.ref()); }
};
template <>
struct std::hash<mobula::LeaseId> {
  std::size_t operator()(const mobula::LeaseId& id) const { return mobula::hash_mix(id.node.value, id.number); }
};
template <>
struct std::hash<mobula::FunctionId> {
  std::size_t operator()(const mobula::FunctionId& id) const { return mobula::hash_mix(id.module, id.offset); }
};

static_assert(std::is_trivially_copyable_v<mobula::RefId> && sizeof(mobula::RefId) == 24);
static_assert(std::is_trivially_copyable_v<mobula::ProcessId> && sizeof(mobula::ProcessId) == 16);
