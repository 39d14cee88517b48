#pragma once

#include <sys/types.h>

#include <array>
#include <atomic>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/net/doorbell.h"
#include "runtime/net/ring.h"

namespace mobula::net {

/// A process of this node: its slot in the process table and which of the slot's successive processes is meant.
struct Peer {
  std::uint32_t slot = 0;
  std::uint32_t generation = 0;
  auto operator<=>(const Peer&) const = default;
};

enum class LaneKind : std::uint32_t { messages = 0, calls = 1 };

struct SegmentOptions {
  std::uint32_t slots = 1024;              ///< processes of the node at one time, at most 4096
  std::uint32_t lanes = 8192;              ///< open directions between processes at one time
  std::uint32_t ring_bytes = 1024 * 1024;  ///< of each lane, a power of two; a frame takes up to half of it
};

/// What a process inherits in order to map the segment. Slots 0 (the node) and 1 (the driver) have an eventfd each, for
/// the processes whose loop waits in epoll; all others are woken by futex.
struct SegmentDescriptors {
  int memory = -1;
  std::array<int, 2> doorbells{-1, -1};
};

/// The shared memory through which the processes of one node talk: the process table and a pool of lanes, in one memfd
/// that disappears with its last process. It is sparse: making it takes microseconds, and memory is used as it is
/// touched.
///
/// Thread-safe, and safe against the death of any process at any instruction: all that is shared changes by single
/// atomic operations. Only the node allocates, marks dead and releases slots.
class Segment {
 public:
  static constexpr std::size_t crash_bytes = 4096;
  static constexpr std::size_t task_name_bytes = 184;

  /// Makes a new segment. Throws std::system_error, or std::invalid_argument for options out of range.
  explicit Segment(const SegmentOptions& options = {});

  /// Maps the segment of another process. The descriptors are taken over. Throws std::runtime_error when the memory is
  /// not a segment of this version.
  explicit Segment(const SegmentDescriptors& descriptors);
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  /// Close-on-exec is set on all of them; the one who executes another program clears it there.
  SegmentDescriptors descriptors() const { return descriptors_; }

  // The process table.

  /// A free slot, from now on alive under a new generation (the node's own, slot 0, and the driver's, slot 1, are the
  /// first two). Empty when all are taken. The slot that was released longest ago is taken first.
  std::optional<Peer> allocate_slot();

  /// For the node, once the process is reaped: sends to it end with `dead`, its ends of lanes are closed, and every
  /// process is woken to notice. What it has published can still be read.
  void mark_dead(Peer peer);

  /// Gives the slot of a dead process back, with its crash area cleared.
  void release_slot(Peer peer);

  bool alive(Peer peer) const;
  std::uint32_t slots() const;
  void set_pid(Peer peer, pid_t pid);
  pid_t pid(Peer peer) const;  ///< 0 if unknown or another generation

  /// What the process is running, for people: the name in front of its output. Cut to task_name_bytes.
  void set_task_name(Peer self, std::string_view name);
  std::string task_name(std::uint32_t slot) const;

  /// What the process does, for people who ask: how many calls are on their way in it, and since when (of the steady
  /// clock, in ns) the one that began last. Two stores to its own cache line.
  void set_running(Peer self, std::uint32_t calls, std::int64_t since);
  struct Running {
    std::uint32_t calls = 0;
    std::int64_t since = 0;
  };
  Running running(std::uint32_t slot) const;

  /// A call that has ended, as timelines show it. Times are of the steady clock, in ns.
  struct TraceEvent {
    std::int64_t begin = 0;
    std::int64_t end = 0;
    std::int32_t pid = 0;
    std::uint32_t attempt = 0;
    char name[104] = {};  ///< zero-terminated, cut
  };
  static constexpr std::size_t trace_events = 4096;  ///< of each slot; older ones are written over
  /// While tracing, workers write down the calls that end: a flag for all of them.
  void set_tracing(bool on);
  bool tracing() const;
  void trace(Peer self, const TraceEvent& event);
  /// The events of a slot from number `from` on; sets `from` to the next one. Adds those that were written over before
  /// they were read to `missed`. One reader at a time need not be the only one.
  void read_trace(std::uint32_t slot, std::uint64_t& from, std::vector<TraceEvent>& events,
                  std::uint64_t& missed) const;

  /// Memory in which a dying process leaves its last words; nothing in it but zeros until then. Plain memory, so that a
  /// signal handler may write it.
  std::span<std::byte, crash_bytes> crash_area(std::uint32_t slot);

  /// Asks the process to stop the running call known to both by `key` (a hash of its RefId). A flag in memory, so that
  /// it reaches a task that computes. The last four requests of a process are remembered.
  void request_stop(Peer peer, std::uint64_t key);
  bool stop_requested(std::uint32_t own_slot, std::uint64_t key) const;

  // For Endpoint.

  struct OpenLane {
    std::uint32_t index = 0;
    std::uint32_t generation = 0;
    Peer from;
    Peer to;
    LaneKind kind = LaneKind::messages;
  };
  /// Opens a lane and announces it to its reader. Empty when the pool is used up.
  std::optional<OpenLane> open_lane(Peer from, Peer to, LaneKind kind);
  /// The open lane number `index` if it leads to `slot` (of whatever generation).
  std::optional<OpenLane> lane_to(std::uint32_t slot, std::uint32_t index) const;
  std::uint32_t lanes_used() const;  ///< lanes above this number were never opened
  void close_writer(const OpenLane& lane);
  void close_reader(const OpenLane& lane);
  RingWriter writer(const OpenLane& lane);
  RingReader reader(const OpenLane& lane);
  Doorbell& doorbell(std::uint32_t slot);
  int doorbell_fd(std::uint32_t slot) const { return slot < 2 ? descriptors_.doorbells[slot] : -1; }
  /// The slot that lane `index` leads to, while it is open in this generation.
  std::optional<std::uint32_t> reader_slot(std::uint32_t index, std::uint32_t generation) const;
  /// Makes a process look up although no lane of its holds anything for it.
  void notify(Peer peer);
  void ring(std::uint32_t slot) { doorbell(slot).ring(doorbell_fd(slot)); }
  std::uint32_t deaths() const;  ///< counts; a change means that some process died or left
  std::uint32_t ring_bytes() const;
  void leave(Peer peer);  ///< a process that ends its part itself

 private:
  struct Header;
  struct Slot;
  struct Lane;
  struct Trace;
  Trace& trace_of(std::uint32_t index) const;
  void create(const SegmentOptions& options);
  void map_existing();
  void map(std::size_t bytes);
  void release();
  Header& header() const { return *reinterpret_cast<Header*>(base_); }
  Slot& slot(std::uint32_t index) const;
  Lane& lane(std::uint32_t index) const;
  std::byte* ring_memory(std::uint32_t index) const;
  std::atomic<std::uint64_t>& word(std::uint32_t index) const;  ///< the state of a lane
  void close(std::uint32_t index, std::uint32_t generation, std::uint32_t ends);

  SegmentDescriptors descriptors_;
  std::byte* base_ = nullptr;
  std::size_t bytes_ = 0;
};

}  // namespace mobula::net
