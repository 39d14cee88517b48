#pragma once

#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include <mobula/result.h>

namespace mobula::object {

/// Where an object lies in its node's arena. The generation tells it from earlier and later objects at the same place.
struct Location {
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t generation = 0;
  auto operator<=>(const Location&) const = default;
};

struct ArenaOptions {
  std::uint64_t cap_bytes = 0;  ///< of all objects together; 0: 30 % of the memory that is available now
  std::uint32_t slots = 1024;   ///< as in the node's net::Segment
};

struct ArenaUsage {
  std::uint64_t cap_bytes = 0;
  std::uint64_t used_bytes = 0;    ///< by objects, in whole blocks
  std::uint64_t backed_bytes = 0;  ///< memory taken from the system, for objects and for their successors
  std::uint64_t largest_free = 0;  ///< the largest object that fits now
  std::uint64_t objects = 0;
};

/// One object of the arena, as residents() finds it.
struct Resident {
  Location location;
  std::uint64_t room = 0;    ///< what it takes, in whole blocks
  std::uint32_t holder = 0;  ///< slot of the process that answers for it
  std::uint64_t used = 0;    ///< when it was made or last pinned: larger is later
  bool movable = false;      ///< sealed, adopted, and pinned by nobody
};

class Arena;

/// Keeps an object where it is, and its bytes readable. One pin counts once, and is given back by the destructor, or by
/// the node at the process's death. Must not outlive the Arena.
class Pin {
 public:
  Pin() = default;
  Pin(Pin&& other) noexcept { swap(other); }
  Pin& operator=(Pin&& other) noexcept {
    Pin(std::move(other)).swap(*this);
    return *this;
  }
  ~Pin();

  /// Read-only memory: writing to it is a segmentation fault in the process that tries, not a corrupt object in all of
  /// them.
  std::span<const std::byte> bytes() const { return bytes_; }
  explicit operator bool() const { return arena_ != nullptr; }
  void swap(Pin& other) noexcept;

 private:
  friend class Arena;
  Pin(Arena* arena, std::uint32_t record, std::span<const std::byte> bytes)
      : arena_(arena), record_(record), bytes_(bytes) {}

  Arena* arena_ = nullptr;
  std::uint32_t record_ = 0;
  std::span<const std::byte> bytes_;
};

/// An object being written, by its creator alone.
struct Draft {
  Location location;
  std::span<std::byte> bytes;  ///< aligned to 16 KiB; what it holds is left from earlier objects
};

/// The large objects of one node: one memfd that all its processes map, in which each creates objects without asking
/// anyone, seals them once, and reads them without a copy.
///
/// Every object has a holder, the process that answers for it: the creator at first, then whoever adopt()s it. When a
/// process dies the node calls reclaim(): what it held is freed and what it pinned is unpinned. An object that is freed
/// while others have it pinned stays until the last of them lets go. What was adopted may leave the arena while nobody
/// reads it (evict(), by the node, which has written it to disk): pin() then fails as for an object that was freed, and
/// the node knows better.
///
/// A process may be killed at any instruction. The table of objects alone says what is in use, and each object comes
/// and goes by one store; the list of free parts is derived from it, guarded by a robust mutex, and rebuilt by the next
/// who locks after a holder of the mutex has died. Pins are records in the pinning process's own table, so there is no
/// count that a death could leave wrong.
///
/// Memory is taken from the system (fallocate) before it is handed out, so no access ends in SIGBUS, and it is handed
/// out lowest address first and kept when freed: a `put` writes into pages that an earlier one has touched.
/// Thread-safe. One Arena for each slot; a forked child makes its own.
class Arena {
 public:
  static constexpr std::uint64_t block_bytes = 16 * 1024;

  /// Makes the arena of a node. `slot` is this process's. Throws std::system_error if the system refuses.
  Arena(const ArenaOptions& options, std::uint32_t slot);

  /// Maps the arena of this node as the process in `slot`. The descriptor is taken over. Throws std::runtime_error if
  /// it is no arena of this version.
  Arena(int descriptor, std::uint32_t slot);
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  int descriptor() const { return descriptor_; }  ///< close-on-exec

  /// An object to be written. Fails with out_of_memory, naming the sizes, when the cap is reached; then `full`, if
  /// given, says whether others have to leave first (true), or it can never fit or the system has no memory (false).
  Result<Draft> create(std::uint64_t bytes, bool* full = nullptr);

  /// Whether it would fit now.
  bool has_room(std::uint64_t bytes) { return bytes <= usage().largest_free; }

  /// From now on the object never changes. Only now can others pin it.
  void seal(const Location& draft);

  /// Where a pinned object can be written, for objects that are channels between processes and not values.
  std::byte* writable(const Location& pinned) const { return base_ + data_at_ + pinned.offset; }

  /// Takes an object that was not sealed back.
  void discard(const Location& draft);

  /// Pins a sealed object. Fails with object_lost when it was freed (or its holder died), with unavailable when this
  /// process has too many pins. One that is being evicted counts as freed.
  Result<Pin> pin(const Location& location);

  /// Makes this process the holder, for example of the result that a worker has written and announced. From now on the
  /// object may be evicted. False if the object is gone: its creator died before that.
  bool adopt(const Location& location);

  /// Gives the object back once nobody has it pinned. False if it is not here (any more): freed or evicted.
  bool free(const Location& location);

  /// For the node: takes an object out that others have adopted and whose bytes it has elsewhere.
  enum class Eviction { gone, in_use, done };
  Eviction evict(const Location& location, std::uint32_t* holder = nullptr);

  /// For the node: all that is here, by address.
  std::vector<Resident> residents();

  /// For the node, after the death of the process in `slot` and before the slot is used again.
  void reclaim(std::uint32_t slot);

  /// Takes memory from the system, and touches it, ahead of objects of `bytes` in all. Takes 0.4 to 0.9 s a GiB the
  /// first time.
  Result<void> prepare(std::uint64_t bytes);

  /// Gives memory that no object uses back to the system, but for `keep_bytes`.
  void trim(std::uint64_t keep_bytes);

  ArenaUsage usage();

 private:
  friend class Pin;
  struct Header;
  struct Entry;
  struct Extent;
  struct PinTable;
  class Lock;

  void map(bool fresh, const ArenaOptions& options);
  void release();
  void rebuild();
  std::optional<std::uint32_t> take_blocks(std::uint32_t blocks, std::uint64_t bytes);
  void carve(std::uint32_t first, std::uint32_t blocks, std::uint64_t bytes);
  void give_blocks(std::uint32_t first);
  bool back(std::uint32_t first, std::uint32_t blocks);
  bool pinned(std::uint32_t first, std::uint32_t generation) const;
  void free_if_unpinned(std::uint32_t first, std::uint32_t generation);
  void unpin(std::uint32_t record);
  Header& header() const { return *reinterpret_cast<Header*>(base_); }
  Entry& entry(std::uint32_t block) const;
  Entry* entry_of(const Location& location) const;
  Extent* extents() const;
  PinTable& pins(std::uint32_t slot) const;
  std::atomic<std::uint8_t>& backed(std::uint32_t block) const;

  const std::uint32_t slot_;
  int descriptor_ = -1;
  std::byte* base_ = nullptr;  ///< tables, then the objects, writable
  std::size_t bytes_ = 0;
  std::byte* readable_ = nullptr;  ///< the objects again, read-only
  std::size_t data_at_ = 0;

  std::mutex mutex_;                         ///< guards what follows
  std::vector<std::uint32_t> free_records_;  ///< of this process's pin table
  std::uint32_t records_used_ = 0;
};

}  // namespace mobula::object
