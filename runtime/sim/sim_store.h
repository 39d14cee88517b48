// The arena and the disk of a simulated node. The arena has room for so many objects, all of one size, at places that
// are used again; the disk is slow, may be full, fails, and loses what it was given.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "runtime/node/spills.h"
#include "runtime/sim/world.h"

namespace mobula::sim {

class SimStore {
 public:
  static constexpr std::uint64_t object_bytes = 100000;
  enum class Freed { yes, was_freed, by_the_dead };

  SimStore(World& world, NodeId node) : world_(world), node_(node) {}

  /// None if the arena is full.
  std::optional<wire::ObjectLocation> create(const ProcessId& holder);
  bool has(const wire::ObjectLocation& location) const;
  /// The holder answers for it: an object dies with its holder.
  bool adopt(const wire::ObjectLocation& location, const ProcessId& holder);
  bool free(const wire::ObjectLocation& location);
  /// So that it neither leaves nor is replaced; false if it is not here.
  bool pin(const wire::ObjectLocation& location, const ProcessId& reader);
  void unpin(const wire::ObjectLocation& location, const ProcessId& reader);
  /// Frees what it held and lets go of what it read; the objects that went.
  std::vector<std::uint64_t> reclaim(const ProcessId& process);
  std::size_t objects() const;
  std::string describe() const;  // of each: who answers for it
  std::optional<ProcessId> holder(const wire::ObjectLocation& location) const;

  bool has_room() const {
    return world_.options().store_objects == 0 || objects_.size() < world_.options().store_objects;
  }
  SpillSink::Store store() const;
  SpillSink::Eviction evict(const wire::ObjectLocation& location, std::uint32_t& holder);

  // ---- the disk
  std::vector<SpillPlace> write(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects);
  bool disk_has_room(std::size_t objects) const;
  std::uint64_t read(const SpillPlace& place) const { return files_.at(place.file).at(place.offset); }
  void remove(std::uint64_t file) { files_.erase(file); }
  std::size_t files() const { return files_.size(); }

 private:
  struct Object {
    wire::ObjectLocation location;
    ProcessId holder;
    std::uint64_t used = 0;
    bool adopted = false;
    bool doomed = false;  // freed while it is read
    std::multiset<ProcessId> readers;
  };
  Object* find(const wire::ObjectLocation& location);
  void let_go(Object& object);

  World& world_;
  const NodeId node_;
  std::map<std::uint64_t, Object> objects_;  // by generation, which no two have in common
  std::set<std::uint64_t> places_;           // that are taken
  std::uint64_t last_ = 0;
  std::uint64_t clock_ = 0;
  std::map<std::uint64_t, std::vector<std::uint64_t>> files_;
};

}  // namespace mobula::sim
