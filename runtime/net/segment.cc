#include "runtime/net/segment.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

#include "runtime/base/fault_point.h"

namespace mobula::net {

namespace {

constexpr std::uint64_t segment_magic = 0x4d6f62756c615367;  // "MobulaSg"
constexpr std::uint32_t segment_version = 2;
constexpr std::size_t page = 4096;
/// A closed lane that has moved more than this gives its memory back to the system.
constexpr std::uint64_t keep_touched = 256 * 1024;

std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// A slot's identity: generation in the upper half, state in the lower one.
enum SlotState : std::uint32_t { slot_free = 0, slot_alive = 1, slot_dead = 2 };
constexpr std::uint64_t identity(std::uint32_t generation, SlotState state) {
  return (std::uint64_t{generation} << 32) | state;
}

// A lane's word: all of its life in one, so that each step is one compare-and-swap that holds for one generation only.
enum LaneFlag : std::uint32_t { in_use = 1, is_open = 2, writer_closed = 4, reader_closed = 8, of_calls = 16 };
constexpr std::uint64_t lane_word(std::uint32_t generation, std::uint32_t from, std::uint32_t to, std::uint32_t flags) {
  return (std::uint64_t{generation} << 32) | (std::uint64_t{from} << 20) | (std::uint64_t{to} << 8) | flags;
}
constexpr std::uint32_t generation_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32);
}
constexpr std::uint32_t from_of(std::uint64_t word) {
  return (word >> 20) & 0xfff;
}
constexpr std::uint32_t to_of(std::uint64_t word) {
  return (word >> 8) & 0xfff;
}
constexpr std::uint32_t flags_of(std::uint64_t word) {
  return word & 0xff;
}

}  // namespace

// Zero is the state of fresh memory: no slot, no lane, so nothing has to be written to make a segment but this header.
struct alignas(64) Segment::Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slots;
  std::uint32_t lanes;
  std::uint32_t ring_bytes;
  std::atomic<std::uint32_t> lanes_used;
  std::atomic<std::uint32_t> deaths;
  std::atomic<std::uint32_t> tracing;
  std::atomic<std::uint64_t> releases;  // orders free slots by the time of their release
};

struct alignas(64) Segment::Slot {
  std::atomic<std::uint64_t> identity;
  std::atomic<std::int32_t> pid;
  std::uint64_t released;  // the node's
  alignas(64) Doorbell doorbell;
  alignas(64) std::atomic<std::uint32_t> stops;
  std::array<std::atomic<std::uint64_t>, 4> stop_keys;
  std::atomic<std::uint32_t> name_version;  // odd while the name is being written
  std::array<std::atomic<std::uint64_t>, task_name_bytes / 8> name;
  alignas(64) std::atomic<std::int64_t> running_since;
  std::atomic<std::uint32_t> running;
};

// Grows through all processes of the slot.
struct Segment::Trace {
  alignas(64) std::atomic<std::uint64_t> written;
  alignas(64) std::array<TraceEvent, trace_events> events;
};

struct Segment::Lane {
  RingState ring;
  alignas(64) std::atomic<std::uint32_t> from_generation;
  std::atomic<std::uint32_t> to_generation;
};

namespace {

struct Layout {
  std::size_t slots, words, crash, lanes, rings, traces, bytes;
};

}  // namespace

static Layout layout(std::size_t slots, std::size_t lanes, std::size_t ring_bytes) {
  Layout at{};
  at.slots = page;
  at.words = round_up(at.slots + slots * 512, page);
  at.crash = round_up(at.words + lanes * sizeof(std::uint64_t), page);
  at.lanes = at.crash + slots * Segment::crash_bytes;
  at.rings = round_up(at.lanes + lanes * 256, page);
  at.traces = at.rings + lanes * ring_bytes;
  at.bytes = at.traces + slots * round_up(64 + Segment::trace_events * sizeof(Segment::TraceEvent), page);
  return at;
}

Segment::Segment(const SegmentOptions& options) {
  static_assert(sizeof(Header) <= page && sizeof(Slot) <= 512 && sizeof(Lane) <= 256);
  if (options.slots < 2 || options.slots > 4096 || options.lanes < 1 || options.lanes > (1u << 20) ||
      !std::has_single_bit(options.ring_bytes) || options.ring_bytes < page) {
    throw std::invalid_argument("making a shared segment: found " + std::to_string(options.slots) + " slots, " +
                                std::to_string(options.lanes) + " lanes of " + std::to_string(options.ring_bytes) +
                                " bytes; use 2 to 4096 slots, up to 1048576 lanes and a power of two from 4096 bytes");
  }
  try {
    create(options);
  } catch (...) {
    release();
    throw;
  }
}

Segment::Segment(const SegmentDescriptors& descriptors) : descriptors_(descriptors) {
  try {
    map_existing();
  } catch (...) {
    release();
    throw;
  }
}

Segment::~Segment() {
  release();
}

void Segment::create(const SegmentOptions& options) {
  descriptors_.memory = memfd_create("mobula-segment", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptors_.memory < 0) throw_errno("making a shared segment: memfd_create");
  const Layout at = layout(options.slots, options.lanes, options.ring_bytes);
  if (ftruncate(descriptors_.memory, static_cast<off_t>(at.bytes)) != 0) {
    throw_errno("making a shared segment of " + std::to_string(at.bytes) + " bytes: ftruncate");
  }
  // Nobody who inherits it can cut it off under the others.
  fcntl(descriptors_.memory, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  for (int& fd : descriptors_.doorbells) {
    fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) throw_errno("making a shared segment: eventfd");
  }
  map(at.bytes);
  header().slots = options.slots;
  header().lanes = options.lanes;
  header().ring_bytes = options.ring_bytes;
  header().version = segment_version;
  header().magic = segment_magic;
}

void Segment::map_existing() {
  struct stat status {};
  if (fstat(descriptors_.memory, &status) != 0) throw_errno("mapping a shared segment: fstat of its descriptor");
  if (static_cast<std::size_t>(status.st_size) < page) {
    throw std::runtime_error("mapping a shared segment: the descriptor holds " + std::to_string(status.st_size) +
                             " bytes, less than a header; was it inherited from another kind of file?");
  }
  map(static_cast<std::size_t>(status.st_size));
  const Header& found = header();
  if (found.magic != segment_magic || found.version != segment_version ||
      layout(found.slots, found.lanes, found.ring_bytes).bytes != bytes_) {
    throw std::runtime_error("mapping a shared segment: found version " + std::to_string(found.version) +
                             ", this program reads " + std::to_string(segment_version) +
                             "; all processes of a node must run the same build");
  }
}

void Segment::release() {
  if (base_ != nullptr) munmap(base_, bytes_);
  if (descriptors_.memory >= 0) ::close(descriptors_.memory);
  for (const int fd : descriptors_.doorbells) {
    if (fd >= 0) ::close(fd);
  }
}

void Segment::map(std::size_t bytes) {
  bytes_ = bytes;
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptors_.memory, 0);
  if (memory == MAP_FAILED) throw_errno("mapping a shared segment of " + std::to_string(bytes) + " bytes");
  base_ = static_cast<std::byte*>(memory);
  madvise(base_, bytes_, MADV_DONTDUMP);
}

Segment::Slot& Segment::slot(std::uint32_t index) const {
  return *reinterpret_cast<Slot*>(base_ + page + std::size_t{index} * 512);
}

Segment::Lane& Segment::lane(std::uint32_t index) const {
  const Layout at = layout(header().slots, header().lanes, header().ring_bytes);
  return *reinterpret_cast<Lane*>(base_ + at.lanes + std::size_t{index} * 256);
}

std::byte* Segment::ring_memory(std::uint32_t index) const {
  const Layout at = layout(header().slots, header().lanes, header().ring_bytes);
  return base_ + at.rings + std::size_t{index} * header().ring_bytes;
}

std::atomic<std::uint64_t>& Segment::word(std::uint32_t index) const {
  const Layout at = layout(header().slots, header().lanes, header().ring_bytes);
  return *reinterpret_cast<std::atomic<std::uint64_t>*>(base_ + at.words + std::size_t{index} * 8);
}

std::uint32_t Segment::slots() const {
  return header().slots;
}
std::uint32_t Segment::ring_bytes() const {
  return header().ring_bytes;
}
std::uint32_t Segment::deaths() const {
  return header().deaths.load(std::memory_order_seq_cst);
}
std::uint32_t Segment::lanes_used() const {
  return header().lanes_used.load(std::memory_order_acquire);
}
Doorbell& Segment::doorbell(std::uint32_t index) {
  return slot(index).doorbell;
}

std::optional<Peer> Segment::allocate_slot() {
  std::optional<std::uint32_t> oldest;
  for (std::uint32_t i = 0; i < slots(); ++i) {
    const Slot& candidate = slot(i);
    if (static_cast<std::uint32_t>(candidate.identity.load()) != slot_free) continue;
    // Slots that were never used come in order, without touching the table behind them.
    if (candidate.released == 0) {
      if (!oldest) oldest = i;
      break;
    }
    if (!oldest || candidate.released < slot(*oldest).released) oldest = i;
  }
  if (!oldest) return std::nullopt;
  Slot& taken = slot(*oldest);
  // The node itself is generation 0 of slot 0; all others begin at 1.
  const bool first_of_node = *oldest == 0 && taken.released == 0;
  const std::uint32_t generation = first_of_node ? 0 : static_cast<std::uint32_t>(taken.identity.load() >> 32) + 1;
  taken.pid.store(0);
  taken.doorbell.state.store(Doorbell::awake);
  taken.doorbell.attention.store(0);
  for (auto& key : taken.stop_keys) key.store(0);
  for (auto& letters : taken.name) letters.store(0);
  taken.identity.store(identity(generation, slot_alive), std::memory_order_seq_cst);
  return Peer{*oldest, generation};
}

bool Segment::alive(Peer peer) const {
  return peer.slot < slots() &&
         slot(peer.slot).identity.load(std::memory_order_acquire) == identity(peer.generation, slot_alive);
}

void Segment::leave(Peer peer) {
  std::uint64_t expected = identity(peer.generation, slot_alive);
  if (peer.slot >= slots()) return;
  if (slot(peer.slot).identity.compare_exchange_strong(expected, identity(peer.generation, slot_dead))) {
    header().deaths.fetch_add(1, std::memory_order_seq_cst);
  }
}

void Segment::mark_dead(Peer peer) {
  if (peer.slot >= slots()) return;
  leave(peer);
  if (slot(peer.slot).identity.load() != identity(peer.generation, slot_dead)) return;
  const std::uint32_t used = lanes_used();
  for (std::uint32_t i = 0; i < used; ++i) {
    const std::uint64_t word_now = word(i).load();
    if ((flags_of(word_now) & in_use) == 0) continue;
    // A lane that its writer never announced has no reader who could close it.
    const bool unannounced = (flags_of(word_now) & is_open) == 0;
    if (from_of(word_now) == peer.slot) {
      close(i, generation_of(word_now), unannounced ? writer_closed | reader_closed : writer_closed);
    }
    if (to_of(word_now) == peer.slot) close(i, generation_of(word_now), reader_closed);
  }
  for (std::uint32_t i = 0; i < slots(); ++i) {
    const std::uint64_t who = slot(i).identity.load();
    if (who == 0) break;
    if (static_cast<std::uint32_t>(who) == slot_alive) doorbell(i).wake_regardless(doorbell_fd(i));
  }
}

void Segment::release_slot(Peer peer) {
  if (peer.slot >= slots()) return;
  std::uint64_t expected = identity(peer.generation, slot_dead);
  if (slot(peer.slot).identity.load() != expected) return;
  const auto area = crash_area(peer.slot);
  if (area[0] != std::byte{0} || std::memcmp(area.data(), area.data() + 1, area.size() - 1) != 0) {
    std::memset(area.data(), 0, area.size());
  }
  slot(peer.slot).running.store(0, std::memory_order_relaxed);
  slot(peer.slot).released = header().releases.fetch_add(1) + 1;
  slot(peer.slot).identity.compare_exchange_strong(expected, identity(peer.generation, slot_free));
}

void Segment::set_pid(Peer peer, pid_t pid) {
  slot(peer.slot).pid.store(pid, std::memory_order_release);
}

pid_t Segment::pid(Peer peer) const {
  if (peer.slot >= slots()) return 0;
  if (slot(peer.slot).identity.load() >> 32 != peer.generation) return 0;
  return slot(peer.slot).pid.load(std::memory_order_acquire);
}

void Segment::set_task_name(Peer self, std::string_view name) {
  Slot& own = slot(self.slot);
  const std::uint32_t version = own.name_version.load(std::memory_order_relaxed) | 1;
  own.name_version.store(version, std::memory_order_seq_cst);
  name = name.substr(0, task_name_bytes);
  for (std::size_t i = 0; i < own.name.size(); ++i) {
    std::uint64_t letters = 0;
    const std::size_t begin = i * 8;
    if (begin < name.size()) std::memcpy(&letters, name.data() + begin, std::min<std::size_t>(8, name.size() - begin));
    own.name[i].store(letters, std::memory_order_relaxed);
    if (name.size() <= begin + 7) break;  // the terminating zero is in
  }
  own.name_version.store(version + 1, std::memory_order_release);
}

std::string Segment::task_name(std::uint32_t index) const {
  const Slot& from = slot(index);
  std::array<std::uint64_t, task_name_bytes / 8> letters{};
  for (int attempt = 0; attempt < 64; ++attempt) {
    const std::uint32_t before = from.name_version.load(std::memory_order_seq_cst);
    for (std::size_t i = 0; i < letters.size(); ++i) letters[i] = from.name[i].load(std::memory_order_acquire);
    // A process killed while it wrote leaves an odd version: then the letters are what there is.
    if (before == from.name_version.load(std::memory_order_seq_cst) && before % 2 == 0) break;
  }
  const char* text = reinterpret_cast<const char*>(letters.data());
  return {text, strnlen(text, task_name_bytes)};
}

void Segment::set_running(Peer self, std::uint32_t calls, std::int64_t since) {
  Slot& own = slot(self.slot);
  own.running_since.store(since, std::memory_order_relaxed);
  own.running.store(calls, std::memory_order_relaxed);
}

Segment::Running Segment::running(std::uint32_t index) const {
  const Slot& from = slot(index);
  return {from.running.load(std::memory_order_relaxed), from.running_since.load(std::memory_order_relaxed)};
}

Segment::Trace& Segment::trace_of(std::uint32_t index) const {
  static_assert(sizeof(Trace) == 64 + trace_events * sizeof(TraceEvent));
  const Layout at = layout(header().slots, header().lanes, header().ring_bytes);
  return *reinterpret_cast<Trace*>(base_ + at.traces + std::size_t{index} * round_up(sizeof(Trace), page));
}

void Segment::set_tracing(bool on) {
  header().tracing.store(on ? 1 : 0, std::memory_order_relaxed);
}

bool Segment::tracing() const {
  return header().tracing.load(std::memory_order_relaxed) != 0;
}

void Segment::trace(Peer self, const TraceEvent& event) {
  Trace& own = trace_of(self.slot);
  const std::uint64_t number = own.written.load(std::memory_order_relaxed);
  own.events[number % trace_events] = event;
  own.written.store(number + 1, std::memory_order_release);
}

void Segment::read_trace(std::uint32_t index, std::uint64_t& from, std::vector<TraceEvent>& events,
                         std::uint64_t& missed) const {
  const Trace& source = trace_of(index);
  const std::uint64_t end = source.written.load(std::memory_order_acquire);
  const std::uint64_t begin = std::max(from, end > trace_events ? end - trace_events : 0);
  std::vector<TraceEvent> copies;
  for (std::uint64_t i = begin; i < end; ++i) {
    std::memcpy(&copies.emplace_back(), &source.events[i % trace_events], sizeof(TraceEvent));
  }
  // What was written meanwhile may have gone over the first of them; the next one is perhaps being written.
  std::atomic_thread_fence(std::memory_order_acquire);
  const std::uint64_t now = source.written.load(std::memory_order_acquire) + 1;
  const std::uint64_t valid = std::min(end, std::max(begin, now > trace_events ? now - trace_events : 0));
  missed += valid - from;
  events.insert(events.end(), copies.begin() + static_cast<std::ptrdiff_t>(valid - begin), copies.end());
  from = end;
}

std::span<std::byte, Segment::crash_bytes> Segment::crash_area(std::uint32_t index) {
  const Layout at = layout(header().slots, header().lanes, header().ring_bytes);
  return std::span<std::byte, crash_bytes>(base_ + at.crash + std::size_t{index} * crash_bytes, crash_bytes);
}

void Segment::request_stop(Peer peer, std::uint64_t key) {
  if (!alive(peer)) return;
  Slot& to = slot(peer.slot);
  to.stop_keys[to.stops.fetch_add(1) % to.stop_keys.size()].store(key, std::memory_order_release);
}

bool Segment::stop_requested(std::uint32_t own_slot, std::uint64_t key) const {
  for (const auto& stop : slot(own_slot).stop_keys) {
    if (stop.load(std::memory_order_acquire) == key) return true;
  }
  return false;
}

std::optional<Segment::OpenLane> Segment::open_lane(Peer from, Peer to, LaneKind kind) {
  const std::uint32_t kind_flag = kind == LaneKind::calls ? std::uint32_t{of_calls} : 0;
  for (std::uint32_t i = 0; i < header().lanes; ++i) {
    std::uint64_t free_word = word(i).load(std::memory_order_acquire);
    if ((flags_of(free_word) & in_use) != 0) continue;
    const std::uint32_t generation = generation_of(free_word);
    // Counted before it is taken: were the taker killed in between, the node would not look for it.
    std::uint32_t used = header().lanes_used.load();
    while (used <= i && !header().lanes_used.compare_exchange_weak(used, i + 1)) {
    }
    fault_point("lane.counted");
    if (!word(i).compare_exchange_strong(free_word, lane_word(generation, from.slot, to.slot, in_use | kind_flag)))
      continue;
    fault_point("lane.taken");
    Lane& fresh = lane(i);
    fresh.from_generation.store(from.generation, std::memory_order_relaxed);
    fresh.to_generation.store(to.generation, std::memory_order_relaxed);
    fresh.ring.tail.store(0, std::memory_order_relaxed);
    fresh.ring.head.store(0, std::memory_order_relaxed);
    fresh.ring.writer_waits.store(0, std::memory_order_relaxed);
    word(i).fetch_or(is_open, std::memory_order_seq_cst);
    fault_point("lane.opened");
    slot(to.slot).doorbell.announced.fetch_add(1, std::memory_order_seq_cst);
    fault_point("lane.announced");
    return OpenLane{i, generation, from, to, kind};
  }
  return std::nullopt;
}

std::optional<Segment::OpenLane> Segment::lane_to(std::uint32_t index_of_slot, std::uint32_t index) const {
  constexpr std::uint32_t wanted = in_use | is_open;
  for (;;) {
    const std::uint64_t now = word(index).load(std::memory_order_acquire);
    if (to_of(now) != index_of_slot || (flags_of(now) & (wanted | reader_closed)) != wanted) return std::nullopt;
    const Lane& open = lane(index);
    const OpenLane found{index,
                         generation_of(now),
                         {from_of(now), open.from_generation.load(std::memory_order_acquire)},
                         {to_of(now), open.to_generation.load(std::memory_order_acquire)},
                         (flags_of(now) & of_calls) != 0 ? LaneKind::calls : LaneKind::messages};
    // A lane to an earlier process of the slot may be closed and opened anew while we look.
    if (generation_of(word(index).load(std::memory_order_acquire)) == found.generation) return found;
  }
}

std::optional<std::uint32_t> Segment::reader_slot(std::uint32_t index, std::uint32_t generation) const {
  if (index >= header().lanes) return std::nullopt;
  const std::uint64_t now = word(index).load(std::memory_order_acquire);
  if (generation_of(now) != generation || (flags_of(now) & in_use) == 0) return std::nullopt;
  return to_of(now);
}

void Segment::notify(Peer peer) {
  if (!alive(peer)) return;
  doorbell(peer.slot).attention.store(1, std::memory_order_seq_cst);
  ring(peer.slot);
}

void Segment::close(std::uint32_t index, std::uint32_t generation, std::uint32_t ends) {
  std::uint64_t now = word(index).load(std::memory_order_acquire);
  for (;;) {
    if (generation_of(now) != generation || (flags_of(now) & in_use) == 0) return;
    const std::uint32_t flags = flags_of(now) | ends;
    const bool free = (flags & (writer_closed | reader_closed)) == (writer_closed | reader_closed);
    const std::uint64_t next = free ? lane_word(generation + 1, 0, 0, 0) : now | ends;
    // Between the closing of one end and the other nobody uses the memory, and only the second closer gets here.
    if (free && lane(index).ring.tail.load(std::memory_order_relaxed) > keep_touched) {
      fallocate(descriptors_.memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, ring_memory(index) - base_,
                header().ring_bytes);
    }
    if (word(index).compare_exchange_weak(now, next, std::memory_order_acq_rel)) return;
  }
}

void Segment::close_writer(const OpenLane& lane) {
  // The reader of a lane to a process that is gone will never come to close its end.
  close(lane.index, lane.generation, alive(lane.to) ? writer_closed : writer_closed | reader_closed);
}

void Segment::close_reader(const OpenLane& lane) {
  close(lane.index, lane.generation, reader_closed);
}

RingWriter Segment::writer(const OpenLane& open) {
  return {&lane(open.index).ring, ring_memory(open.index), header().ring_bytes};
}

RingReader Segment::reader(const OpenLane& open) {
  return {&lane(open.index).ring, ring_memory(open.index), header().ring_bytes};
}

}  // namespace mobula::net
