#include "runtime/object/arena.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <system_error>
#include <unordered_set>

#include "runtime/base/fault_point.h"
#include "runtime/base/memory.h"

namespace mobula::object {

namespace {

constexpr std::uint64_t arena_magic = 0x4d6f62756c614172;  // "MobulaAr"
constexpr std::uint32_t arena_version = 2;
constexpr std::size_t page = 4096;
constexpr std::size_t huge_page = 2 << 20;
constexpr std::uint32_t pin_records = 16 * 1024 - 16;

// The word of an object's first block: its whole life in one, changed by single stores and compare-and-swaps.
// `evicting` lasts for a moment: the node looks whether anyone reads the object, and takes it out or leaves it. Taken
// out it is `evicted` until its blocks are given back, which is not `doomed`: free() has come too late, and must say
// so.
enum State : std::uint32_t { unused = 0, writing = 1, sealed = 2, doomed = 3, evicting = 4, evicted = 5 };
constexpr std::uint32_t state_mask = 0xff;
constexpr std::uint32_t was_pinned = 0x100;
constexpr std::uint32_t was_adopted = 0x200;
constexpr std::uint64_t word_of(std::uint32_t generation, std::uint32_t holder, std::uint32_t state) {
  return (std::uint64_t{generation} << 32) | (holder << 16) | state;
}
constexpr std::uint32_t generation_of(std::uint64_t word) {
  return static_cast<std::uint32_t>(word >> 32);
}
constexpr std::uint32_t holder_of(std::uint64_t word) {
  return (word >> 16) & 0xffff;
}
constexpr std::uint32_t state_of(std::uint64_t word) {
  return word & state_mask;
}
constexpr std::uint64_t with_state(std::uint64_t word, State state) {
  return (word & ~std::uint64_t{state_mask}) | state;
}

constexpr std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}
std::uint32_t blocks_for(std::uint64_t bytes) {
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(1, (bytes + Arena::block_bytes - 1) / Arena::block_bytes));
}

std::string megabytes(std::uint64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f MB", static_cast<double>(bytes) / 1e6);
  return text;
}

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

struct Layout {
  std::size_t pins, extents, backed, entries, data, bytes;
};

}  // namespace

struct Arena::Header {
  std::uint64_t magic;
  std::uint32_t version;
  std::uint32_t slots;
  std::uint32_t blocks;
  // Guarded by the mutex, and derived from the entries: rebuilt when its holder died.
  std::uint32_t extents;
  std::uint32_t used_blocks;
  std::uint32_t objects;
  // Guarded by the mutex: no object lies, or ever lay, at or above it.
  std::atomic<std::uint32_t> high_water;
  std::atomic<std::uint64_t> backed_blocks;
  std::atomic<std::uint32_t> pin_tables;  // tables from this slot on were never used
  std::atomic<std::uint64_t> clock;       // counts the objects that were made
  pthread_mutex_t mutex;
};

struct Arena::Entry {
  std::atomic<std::uint64_t> word;
  std::atomic<std::uint64_t> bytes;
  std::atomic<std::uint32_t> blocks;
  std::atomic<std::uint64_t> used;  // the clock when it was made or last pinned
};

struct Arena::Extent {
  std::uint32_t first;
  std::uint32_t blocks;
};

struct Arena::PinTable {
  std::atomic<std::uint32_t> used;  // records above were never written
  std::uint32_t reserved[31];
  std::atomic<std::uint64_t> records[pin_records];  // (generation << 32 | first block + 1), 0 where nothing is pinned
};

/// The shared mutex. Its holder may have died: then what it guards is rebuilt first.
class Arena::Lock {
 public:
  explicit Lock(Arena& arena) : mutex_(&arena.header().mutex) {
    const int status = pthread_mutex_lock(mutex_);
    if (status == EOWNERDEAD) {
      arena.rebuild();
      pthread_mutex_consistent(mutex_);
    } else if (status != 0) {
      throw std::system_error(status, std::generic_category(), "locking the object arena");
    }
  }
  ~Lock() { pthread_mutex_unlock(mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  pthread_mutex_t* mutex_;
};

namespace {

Layout layout(std::uint32_t slots, std::uint32_t blocks, std::size_t pin_table, std::size_t extent, std::size_t entry) {
  Layout at{};
  at.pins = page;
  at.extents = at.pins + slots * pin_table;
  at.backed = round_up(at.extents + (blocks / 2 + 2) * extent, page);
  at.entries = round_up(at.backed + blocks, page);
  at.data = round_up(at.entries + blocks * entry, huge_page);
  at.bytes = at.data + std::uint64_t{blocks} * Arena::block_bytes;
  return at;
}

}  // namespace

// Opening and closing.

Arena::Arena(const ArenaOptions& options, std::uint32_t slot) : slot_(slot) {
  try {
    descriptor_ = memfd_create("mobula-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (descriptor_ < 0) throw_errno("making an object arena: memfd_create");
    map(true, options);
  } catch (...) {
    release();
    throw;
  }
}

Arena::Arena(int descriptor, std::uint32_t slot) : slot_(slot), descriptor_(descriptor) {
  try {
    map(false, {});
  } catch (...) {
    release();
    throw;
  }
}

Arena::~Arena() {
  release();
}

void Arena::release() {
  if (readable_ != nullptr) munmap(readable_, bytes_ - data_at_);
  if (base_ != nullptr) munmap(base_, bytes_);
  if (descriptor_ >= 0) close(descriptor_);
}

void Arena::map(bool fresh, const ArenaOptions& options) {
  static_assert(sizeof(Header) <= page && sizeof(PinTable) == 128 * 1024);
  std::uint32_t slots = options.slots, blocks = 0;
  if (fresh) {
    const std::uint64_t cap = options.cap_bytes != 0 ? options.cap_bytes : available_memory() * 3 / 10;
    blocks =
        static_cast<std::uint32_t>(std::min<std::uint64_t>(std::max<std::uint64_t>(cap / block_bytes, 1), 1u << 31));
    bytes_ = layout(slots, blocks, sizeof(PinTable), sizeof(Extent), sizeof(Entry)).bytes;
    if (ftruncate(descriptor_, static_cast<off_t>(bytes_)) != 0) {
      throw_errno("making an object arena of " + megabytes(cap) + ": ftruncate");
    }
    fcntl(descriptor_, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  } else {
    struct stat status {};
    if (fstat(descriptor_, &status) != 0) throw_errno("mapping an object arena: fstat of its descriptor");
    bytes_ = static_cast<std::size_t>(status.st_size);
    if (bytes_ < page) {
      throw std::runtime_error("mapping an object arena: the descriptor holds " + std::to_string(bytes_) +
                               " bytes, less than a header; was it inherited from another kind of file?");
    }
  }
  void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor_, 0);
  if (memory == MAP_FAILED) throw_errno("mapping an object arena of " + megabytes(bytes_));
  base_ = static_cast<std::byte*>(memory);
  madvise(base_, bytes_, MADV_DONTDUMP);

  Header& head = header();
  if (fresh) {
    head.slots = slots;
    head.blocks = blocks;
    head.extents = 1;
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&head.mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    head.version = arena_version;
    head.magic = arena_magic;
    extents()[0] = {0, blocks};
  } else if (head.magic != arena_magic || head.version != arena_version ||
             layout(head.slots, head.blocks, sizeof(PinTable), sizeof(Extent), sizeof(Entry)).bytes != bytes_) {
    throw std::runtime_error("mapping an object arena: found version " + std::to_string(head.version) +
                             ", this program reads " + std::to_string(arena_version) +
                             "; all processes of a node must run the same build");
  }
  data_at_ = layout(head.slots, head.blocks, sizeof(PinTable), sizeof(Extent), sizeof(Entry)).data;
  memory = mmap(nullptr, bytes_ - data_at_, PROT_READ, MAP_SHARED | MAP_NORESERVE, descriptor_,
                static_cast<off_t>(data_at_));
  if (memory == MAP_FAILED) throw_errno("mapping the objects of an arena for reading");
  readable_ = static_cast<std::byte*>(memory);
  madvise(readable_, bytes_ - data_at_, MADV_DONTDUMP);
}

Arena::Extent* Arena::extents() const {
  const Layout at = layout(header().slots, header().blocks, sizeof(PinTable), sizeof(Extent), sizeof(Entry));
  return reinterpret_cast<Extent*>(base_ + at.extents);
}

Arena::Entry& Arena::entry(std::uint32_t block) const {
  const Layout at = layout(header().slots, header().blocks, sizeof(PinTable), sizeof(Extent), sizeof(Entry));
  return *reinterpret_cast<Entry*>(base_ + at.entries + std::size_t{block} * sizeof(Entry));
}

Arena::PinTable& Arena::pins(std::uint32_t slot) const {
  return *reinterpret_cast<PinTable*>(base_ + page + std::size_t{slot} * sizeof(PinTable));
}

std::atomic<std::uint8_t>& Arena::backed(std::uint32_t block) const {
  const Layout at = layout(header().slots, header().blocks, sizeof(PinTable), sizeof(Extent), sizeof(Entry));
  return *reinterpret_cast<std::atomic<std::uint8_t>*>(base_ + at.backed + block);
}

Arena::Entry* Arena::entry_of(const Location& location) const {
  const std::uint64_t block = location.offset / block_bytes;
  if (location.offset % block_bytes != 0 || block >= header().blocks || location.generation > 0xffffffff)
    return nullptr;
  Entry& found = entry(static_cast<std::uint32_t>(block));
  const std::uint64_t word = found.word.load(std::memory_order_seq_cst);
  const bool same = generation_of(word) == location.generation && state_of(word) != unused;
  return same && found.bytes.load(std::memory_order_relaxed) == location.bytes ? &found : nullptr;
}

// The parts that are free: an array in order of address. The objects are large, so it is short.

void Arena::rebuild() {
  Header& head = header();
  Extent* list = extents();
  head.extents = head.used_blocks = head.objects = 0;
  std::uint32_t free_from = 0;
  const auto add_free = [&](std::uint32_t to) {
    if (to > free_from) list[head.extents++] = {free_from, to - free_from};
  };
  for (std::uint32_t block = 0; block < head.high_water.load();) {
    const Entry& found = entry(block);
    if (state_of(found.word.load()) == unused) {
      ++block;
      continue;
    }
    add_free(block);
    head.used_blocks += found.blocks;
    ++head.objects;
    block += found.blocks;
    free_from = block;
  }
  add_free(head.blocks);
}

std::optional<std::uint32_t> Arena::take_blocks(std::uint32_t blocks, std::uint64_t bytes) {
  const Extent* const list = extents();
  const Extent* const end = list + header().extents;
  // The lowest place, for it is the likeliest to be touched already; the list is short.
  const Extent* const fit = std::find_if(list, end, [&](const Extent& free) { return free.blocks >= blocks; });
  if (fit == end) return std::nullopt;
  const std::uint32_t first = fit->first;
  carve(first, blocks, bytes);
  return first;
}

void Arena::carve(std::uint32_t first, std::uint32_t blocks, std::uint64_t bytes) {
  Header& head = header();
  if (first + blocks > head.high_water.load()) head.high_water.store(first + blocks);
  Entry& fresh = entry(first);
  fresh.bytes.store(bytes, std::memory_order_relaxed);
  fresh.blocks.store(blocks, std::memory_order_relaxed);
  fresh.used.store(head.clock.fetch_add(1, std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  fault_point("arena.taking");
  const std::uint32_t generation = generation_of(fresh.word.load()) + 1;
  fresh.word.store(word_of(generation, slot_, writing), std::memory_order_seq_cst);
  fault_point("arena.taken");
  Extent* const end = extents() + head.extents;
  Extent* const part =
      std::find_if(extents(), end, [&](const Extent& free) { return free.first + free.blocks > first; });
  const Extent before{part->first, first - part->first};
  const Extent after{first + blocks, part->first + part->blocks - (first + blocks)};
  if (before.blocks != 0 && after.blocks != 0) {
    std::move_backward(part, end, end + 1);
    part[0] = before;
    part[1] = after;
    ++head.extents;
  } else if (before.blocks != 0 || after.blocks != 0) {
    *part = before.blocks != 0 ? before : after;
  } else {
    std::move(part + 1, end, part);
    --head.extents;
  }
  head.used_blocks += blocks;
  ++head.objects;
  fault_point("arena.listed");
}

void Arena::give_blocks(std::uint32_t first) {
  Header& head = header();
  Entry& old = entry(first);
  const std::uint32_t blocks = old.blocks;
  old.word.store(word_of(generation_of(old.word.load()), 0, unused), std::memory_order_seq_cst);
  fault_point("arena.given");
  Extent* list = extents();
  Extent* const end = list + head.extents;
  Extent* const next = std::find_if(list, end, [&](const Extent& free) { return free.first > first; });
  const bool joins_next = next != end && next->first == first + blocks;
  const bool joins_previous = next != list && (next - 1)->first + (next - 1)->blocks == first;
  if (joins_previous && joins_next) {
    (next - 1)->blocks += blocks + next->blocks;
    std::move(next + 1, end, next);
    --head.extents;
  } else if (joins_previous) {
    (next - 1)->blocks += blocks;
  } else if (joins_next) {
    *next = {first, blocks + next->blocks};
  } else {
    std::move_backward(next, end, end + 1);
    *next = {first, blocks};
    ++head.extents;
  }
  head.used_blocks -= blocks;
  --head.objects;
}

bool Arena::back(std::uint32_t first, std::uint32_t blocks) {
  for (std::uint32_t begin = first; begin < first + blocks;) {
    if (backed(begin).load(std::memory_order_acquire) != 0) {
      ++begin;
      continue;
    }
    std::uint32_t end = begin + 1;
    while (end < first + blocks && backed(end).load(std::memory_order_acquire) == 0) ++end;
    int status = 0;
    do {
      status = fallocate(descriptor_, 0, static_cast<off_t>(data_at_ + std::uint64_t{begin} * block_bytes),
                         static_cast<off_t>(std::uint64_t{end - begin} * block_bytes));
    } while (status != 0 && errno == EINTR);
    if (status != 0) return false;
    for (std::uint32_t block = begin; block < end; ++block) backed(block).store(1, std::memory_order_release);
    header().backed_blocks.fetch_add(end - begin);
    begin = end;
  }
  return true;
}

// Objects.

Result<Draft> Arena::create(std::uint64_t bytes, bool* full) {
  if (full != nullptr) *full = false;
  std::optional<std::uint32_t> first;
  if (bytes > std::uint64_t{header().blocks} * block_bytes) {
    return Error{.code = ErrorCode::out_of_memory,
                 .message = "creating an object of " + megabytes(bytes) +
                            ": all objects of this node together may take " +
                            megabytes(std::uint64_t{header().blocks} * block_bytes) +
                            ", so that it can never fit; raise the cap (object_memory in StartOptions), or cut it into "
                            "parts"};
  }
  {
    const Lock lock(*this);
    first = take_blocks(blocks_for(bytes), bytes);
  }
  if (!first) {
    if (full != nullptr) *full = true;
    const ArenaUsage now = usage();
    return Error{
        .code = ErrorCode::out_of_memory,
        .message = "creating an object of " + megabytes(bytes) + ": this node's objects take " +
                   megabytes(now.used_bytes) + " of at most " + megabytes(now.cap_bytes) +
                   ", and the largest free part is " + megabytes(now.largest_free) +
                   "; drop references that are no longer needed, or raise the cap (object_memory in StartOptions)"};
  }
  const Entry& fresh = entry(*first);
  const std::uint64_t offset = std::uint64_t{*first} * block_bytes;
  fault_point("arena.backing");
  if (!back(*first, fresh.blocks)) {
    const int reason = errno;
    const Lock lock(*this);
    give_blocks(*first);
    return Error{.code = ErrorCode::out_of_memory,
                 .message = "creating an object of " + megabytes(bytes) + ": the system refused the memory (" +
                            std::generic_category().message(reason) +
                            "); lower the cap (object_memory in StartOptions) or free memory on this machine"};
  }
  return Draft{{offset, bytes, generation_of(fresh.word.load())}, {base_ + data_at_ + offset, bytes}};
}

void Arena::seal(const Location& draft) {
  Entry* found = entry_of(draft);
  if (found == nullptr) return;
  std::uint64_t word = found->word.load();
  while (state_of(word) == writing && generation_of(word) == draft.generation &&
         !found->word.compare_exchange_weak(word, with_state(word, sealed))) {
  }
  fault_point("arena.sealed");
}

void Arena::discard(const Location& draft) {
  Entry* found = entry_of(draft);
  if (found == nullptr || state_of(found->word.load()) != writing) return;
  const Lock lock(*this);
  give_blocks(static_cast<std::uint32_t>(draft.offset / block_bytes));
}

bool Arena::adopt(const Location& location) {
  Entry* found = entry_of(location);
  if (found == nullptr) return false;
  std::uint64_t word = found->word.load();
  while (state_of(word) == sealed && generation_of(word) == location.generation) {
    const std::uint64_t mine = (word & ~(std::uint64_t{0xffff} << 16)) | (std::uint64_t{slot_} << 16) | was_adopted;
    if (found->word.compare_exchange_weak(word, mine)) return true;
  }
  return false;
}

bool Arena::free(const Location& location) {
  Entry* found = entry_of(location);
  if (found == nullptr) return false;
  std::uint64_t word = found->word.load();
  for (;;) {
    if (generation_of(word) != location.generation) return false;
    if (state_of(word) != sealed && state_of(word) != evicting) return state_of(word) == doomed;
    if (found->word.compare_exchange_weak(word, with_state(word, doomed), std::memory_order_seq_cst)) break;
  }
  fault_point("arena.doomed");
  free_if_unpinned(static_cast<std::uint32_t>(location.offset / block_bytes), generation_of(word));
  return true;
}

// Whoever moves the word from `evicting` on decides: free(), and the object goes as any other, or the node.
Arena::Eviction Arena::evict(const Location& location, std::uint32_t* holder) {
  Entry* found = entry_of(location);
  if (found == nullptr) return Eviction::gone;
  std::uint64_t word = found->word.load();
  do {
    if (state_of(word) != sealed || generation_of(word) != location.generation) return Eviction::gone;
    if ((word & was_adopted) == 0) return Eviction::in_use;
  } while (!found->word.compare_exchange_weak(word, with_state(word, evicting), std::memory_order_seq_cst));
  if (holder != nullptr) *holder = holder_of(word);
  fault_point("arena.evicting");
  const auto first = static_cast<std::uint32_t>(location.offset / block_bytes);
  const Lock lock(*this);
  word = found->word.load(std::memory_order_seq_cst);
  const bool stays = (word & was_pinned) != 0 && pinned(first, generation_of(word));
  while (state_of(word) == evicting) {
    if (!found->word.compare_exchange_weak(word, with_state(word, stays ? sealed : evicted))) continue;
    if (stays) return Eviction::in_use;
    give_blocks(first);
    return Eviction::done;
  }
  return Eviction::gone;  // freed meanwhile
}

std::vector<Resident> Arena::residents() {
  std::vector<Resident> all;
  std::unordered_set<std::uint64_t> pins_taken;
  const std::uint32_t tables = header().pin_tables.load(std::memory_order_seq_cst);
  for (std::uint32_t slot = 0; slot < tables; ++slot) {
    const PinTable& table = pins(slot);
    const std::uint32_t used = table.used.load(std::memory_order_seq_cst);
    for (std::uint32_t i = 0; i < used; ++i) pins_taken.insert(table.records[i].load(std::memory_order_seq_cst));
  }
  const Lock lock(*this);
  const Extent* free = extents();
  const Extent* const end = free + header().extents;
  for (std::uint32_t block = 0; block < header().high_water.load();) {
    while (free != end && free->first < block) ++free;
    if (free != end && free->first == block) {
      block += free->blocks;
      continue;
    }
    const Entry& found = entry(block);
    const std::uint64_t word = found.word.load(std::memory_order_seq_cst);
    const std::uint32_t blocks = found.blocks.load(std::memory_order_relaxed);
    const std::uint64_t pin = (std::uint64_t{generation_of(word)} << 32) | (block + 1);
    all.push_back({.location = {std::uint64_t{block} * block_bytes, found.bytes.load(), generation_of(word)},
                   .room = std::uint64_t{blocks} * block_bytes,
                   .holder = holder_of(word),
                   .used = found.used.load(std::memory_order_relaxed),
                   .movable = state_of(word) == sealed && (word & was_adopted) != 0 && !pins_taken.contains(pin)});
    block += blocks;
  }
  return all;
}

bool Arena::pinned(std::uint32_t first, std::uint32_t generation) const {
  const std::uint64_t record = (std::uint64_t{generation} << 32) | (first + 1);
  const std::uint32_t tables = header().pin_tables.load(std::memory_order_seq_cst);
  for (std::uint32_t slot = 0; slot < tables; ++slot) {
    const PinTable& table = pins(slot);
    const std::uint32_t used = table.used.load(std::memory_order_seq_cst);
    for (std::uint32_t i = 0; i < used; ++i) {
      if (table.records[i].load(std::memory_order_seq_cst) == record) return true;
    }
  }
  return false;
}

void Arena::free_if_unpinned(std::uint32_t first, std::uint32_t generation) {
  const Lock lock(*this);
  const std::uint64_t word = entry(first).word.load(std::memory_order_seq_cst);
  if (generation_of(word) != generation || state_of(word) != doomed) return;
  if ((word & was_pinned) != 0 && pinned(first, generation)) return;
  give_blocks(first);
}

// Pins. A pin first writes its record and then looks whether the object is still sealed; a free first dooms the object
// and then looks for records. One of the two sees the other.

Result<Pin> Arena::pin(const Location& location) {
  const Error lost{.code = ErrorCode::object_lost,
                   .message = "reading an object of " + megabytes(location.bytes) + " at offset " +
                              std::to_string(location.offset) +
                              ": it is no longer in this node's arena (it was freed, or the "
                              "process that held it ended)"};
  if (entry_of(location) == nullptr) return lost;
  const auto first = static_cast<std::uint32_t>(location.offset / block_bytes);
  PinTable& table = pins(slot_);
  std::uint32_t index = 0;
  {
    const std::lock_guard guard(mutex_);
    if (!free_records_.empty()) {
      index = free_records_.back();
      free_records_.pop_back();
    } else if (records_used_ < pin_records) {
      std::uint32_t tables = header().pin_tables.load();
      while (tables <= slot_ && !header().pin_tables.compare_exchange_weak(tables, slot_ + 1)) {
      }
      index = records_used_++;
      table.used.store(records_used_, std::memory_order_seq_cst);
    } else {
      return Error{.code = ErrorCode::unavailable,
                   .message = "pinning an object: this process has " + std::to_string(pin_records) +
                              " objects in use already; let go of values that are no longer needed"};
    }
  }
  table.records[index].store((location.generation << 32) | (first + 1), std::memory_order_seq_cst);
  fault_point("arena.pinning");
  const std::uint64_t word = entry(first).word.fetch_or(was_pinned, std::memory_order_seq_cst);
  if (state_of(word) != sealed || generation_of(word) != location.generation) {
    unpin(index);
    return lost;
  }
  entry(first).used.store(header().clock.load(std::memory_order_relaxed), std::memory_order_relaxed);
  return Pin(this, index, {readable_ + location.offset, location.bytes});
}

void Arena::unpin(std::uint32_t index) {
  std::atomic<std::uint64_t>& record = pins(slot_).records[index];
  const std::uint64_t held = record.exchange(0, std::memory_order_seq_cst);
  fault_point("arena.unpinned");
  {
    const std::lock_guard guard(mutex_);
    free_records_.push_back(index);
  }
  const auto first = static_cast<std::uint32_t>(held) - 1;
  const std::uint64_t word = entry(first).word.load(std::memory_order_seq_cst);
  if (state_of(word) == doomed && generation_of(word) == held >> 32) {
    free_if_unpinned(first, generation_of(word));
  }
}

Pin::~Pin() {
  if (arena_ != nullptr) arena_->unpin(record_);
}

void Pin::swap(Pin& other) noexcept {
  std::swap(arena_, other.arena_);
  std::swap(record_, other.record_);
  std::swap(bytes_, other.bytes_);
}

// The node's care.

void Arena::reclaim(std::uint32_t slot) {
  if (slot < header().pin_tables.load(std::memory_order_seq_cst)) {
    PinTable& table = pins(slot);
    const std::uint32_t used = table.used.load();
    for (std::uint32_t i = 0; i < used; ++i) table.records[i].store(0, std::memory_order_seq_cst);
    table.used.store(0, std::memory_order_seq_cst);
  }

  const Lock lock(*this);
  for (std::uint32_t block = 0; block < header().high_water.load();) {
    Entry& found = entry(block);
    std::uint64_t word = found.word.load(std::memory_order_seq_cst);
    if (state_of(word) == unused) {
      ++block;
      continue;
    }
    const std::uint32_t blocks = found.blocks;
    while (holder_of(word) == slot && state_of(word) == sealed &&
           !found.word.compare_exchange_weak(word, with_state(word, doomed), std::memory_order_seq_cst)) {
    }
    word = found.word.load(std::memory_order_seq_cst);
    const bool unfinished = state_of(word) == writing && holder_of(word) == slot;
    const bool free = state_of(word) == doomed && !((word & was_pinned) != 0 && pinned(block, generation_of(word)));
    if (unfinished || free) give_blocks(block);
    block += blocks;
  }
}

Result<void> Arena::prepare(std::uint64_t bytes) {
  Result<Draft> draft = create(bytes);
  if (!draft) return draft.error();
  const std::span<std::byte> memory = draft->bytes;
  for (std::size_t at = 0; at < memory.size(); at += huge_page) {
    madvise(memory.data() + at, std::min(huge_page, round_up(memory.size() - at, page)), MADV_POPULATE_WRITE);
  }
  discard(draft->location);
  return {};
}

void Arena::trim(std::uint64_t keep_bytes) {
  // Each part is taken like an object, so that nobody waits for the system under the lock.
  const auto keep_blocks = keep_bytes / block_bytes;
  std::uint64_t kept = 0;
  std::uint32_t from = 0;
  for (;;) {
    std::uint32_t first = 0, blocks = 0;
    {
      const Lock lock(*this);
      const std::uint32_t used_to = header().high_water.load();
      const Extent* list = extents();
      const Extent* const end = list + header().extents;
      const Extent* part = std::find_if(list, end, [&](const Extent& free) { return free.first + free.blocks > from; });
      if (part == end || part->first >= used_to) return;
      first = std::max(part->first, from);
      blocks = std::min(part->first + part->blocks, used_to) - first;
      from = part->first + part->blocks;
      const auto keep_here = std::min<std::uint64_t>(blocks, keep_blocks - std::min(kept, keep_blocks));
      kept += keep_here;
      first += static_cast<std::uint32_t>(keep_here);
      blocks -= static_cast<std::uint32_t>(keep_here);
      if (blocks == 0) continue;
      carve(first, blocks, std::uint64_t{blocks} * block_bytes);
    }
    std::uint32_t given = 0;
    for (std::uint32_t block = first; block < first + blocks; ++block) given += backed(block).exchange(0);
    header().backed_blocks.fetch_sub(given);
    fault_point("arena.trimming");
    fallocate(descriptor_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
              static_cast<off_t>(data_at_ + std::uint64_t{first} * block_bytes),
              static_cast<off_t>(std::uint64_t{blocks} * block_bytes));
    const Lock lock(*this);
    give_blocks(first);
  }
}

ArenaUsage Arena::usage() {
  const Lock lock(*this);
  const Header& head = header();
  ArenaUsage now;
  now.cap_bytes = std::uint64_t{head.blocks} * block_bytes;
  now.used_bytes = std::uint64_t{head.used_blocks} * block_bytes;
  now.backed_bytes = head.backed_blocks.load() * block_bytes;
  now.objects = head.objects;
  for (std::uint32_t i = 0; i < head.extents; ++i) {
    now.largest_free = std::max(now.largest_free, std::uint64_t{extents()[i].blocks} * block_bytes);
  }
  return now;
}

}  // namespace mobula::object
