// Objects that left the arena for the disk because others needed the room, and their way back.
//
// A state machine, part of the Node. Who finds no room waits here in order; unless there is room by then, the objects
// that were not read for longest are written into one file (those that are on disk already are only let go). Nothing
// is forgotten before the file is complete, and an object that someone began to read meanwhile stays. An object keeps
// its name (where it first lay) for ever; restored, it lies elsewhere, and only the node knows where. The copy on disk
// stays as long as the object, so that leaving again costs nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/wire/message.h"

namespace mobula {

/// An object in the arena, as a candidate for the disk.
struct SpillCandidate {
  wire::ObjectLocation location;
  std::uint64_t room = 0;  // that it takes, from location.offset on
  std::uint64_t used = 0;  // when it was last read: larger is later
  bool movable = false;    // nobody reads it, and somebody answers for it
};

/// The objects to write so that one of `need` bytes fits, in one piece: the least recently used ones; from those, what
/// makes the room, and further old ones up to `at_least` bytes. Empty if no choice makes the room. `objects` by
/// address, of an arena of `cap` bytes.
std::vector<wire::ObjectLocation> choose_to_spill(const std::vector<SpillCandidate>& objects, std::uint64_t cap,
                                                  std::uint64_t need, std::uint64_t at_least);

/// Where a copy lies on disk. File 0: it was not written, for the object was gone.
struct SpillPlace {
  std::uint64_t file = 0;
  std::uint64_t offset = 0;
  std::uint64_t bytes = 0;
  std::uint64_t checksum = 0;
};

/// The arena and the disk, as the Node sees them. The defaults are those of an arena in which everything fits.
class SpillSink {
 public:
  struct Store {
    std::uint64_t cap = 0;
    std::vector<SpillCandidate> objects;  // by address
  };
  enum class Eviction { gone, in_use, done };

  /// Of the arena; what is on disk is known here.
  virtual wire::StoreUse store_use() { return {}; }
  virtual bool has_room(std::uint64_t bytes) {
    (void)bytes;
    return true;
  }
  virtual Store store() { return {}; }
  /// Writes these objects into a new file; Node::on_spill_written follows, later.
  virtual void write_spill(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects) {
    (void)file, (void)objects;
  }
  /// Takes an object out of the arena unless someone reads it; `holder`: the slot of the process that answers for it.
  virtual Eviction evict(const wire::ObjectLocation& location, std::uint32_t& holder) {
    (void)location, (void)holder;
    return Eviction::gone;
  }
  /// Brings an object back; Node::on_spill_read follows, later. False: there is no room for it.
  virtual Result<bool> read_spill(const wire::ObjectLocation& name, const SpillPlace& place) {
    (void)name, (void)place;
    return true;
  }
  virtual void remove_spill(std::uint64_t file) { (void)file; }
  /// Frees an object of the local arena (once nobody reads it).
  virtual void free_object(const wire::ObjectLocation& location) = 0;

 protected:
  ~SpillSink() = default;
};

struct SpillOptions {
  std::string directory;                           // for errors; empty: nothing is written
  std::uint64_t file_bytes = 64 << 20;             // small objects are written together, up to this
  Duration patience = std::chrono::seconds(10);    // how long who waits for room may see nothing move
  Duration look = std::chrono::milliseconds(10);   // how often it is tried again while nothing can be written
  Duration keep = std::chrono::milliseconds(100);  // what came back stays at least so long
};

class Spills {
 public:
  /// Called once, perhaps from inside the call that was given it.
  using RoomThen = std::function<void(const Error&, Time now)>;  // code none: there is room (for whoever is first)
  using ObjectThen = std::function<void(const Result<wire::ObjectLocation>&)>;

  Spills(SpillOptions options, SpillSink& sink) : options_(std::move(options)), sink_(sink) {}

  void want_room(const ProcessId& who, std::uint64_t bytes, RoomThen then, Time now);
  /// Whether this object left the arena (it may be back).
  bool knows(const wire::ObjectLocation& name) const { return records_.contains(name); }
  /// Where it lies now; brought back if need be.
  void want_object(const ProcessId& who, const wire::ObjectLocation& name, ObjectThen then, Time now);
  /// False if it is none of ours.
  bool free(const wire::ObjectLocation& name);
  /// Frees what it held, and forgets what it waits for.
  void process_died(const ProcessId& process);

  void on_written(std::uint64_t file, const Result<std::vector<SpillPlace>>& places, Time now);
  void on_read(const wire::ObjectLocation& name, const Result<wire::ObjectLocation>& local, Time now);
  void on_timer(Time now);
  Time next_timer() const;

  wire::StoreUse store_use() const;
  std::size_t waiting() const { return queue_.size(); }
  std::size_t objects() const { return records_.size(); }
  std::uint64_t bytes() const { return bytes_; }  // on disk
  /// Nothing is on disk or on its way.
  bool idle() const { return records_.empty() && queue_.empty() && writing_.empty() && files_.empty(); }

 private:
  struct Request {
    ProcessId who;
    std::uint64_t bytes = 0;
    RoomThen then;
    Time deadline{};
  };
  struct Waiting {
    ProcessId who;
    ObjectThen then;
  };
  struct Record {
    SpillPlace place;
    std::uint32_t holder = 0;
    std::optional<wire::ObjectLocation> local;  // it is back, here
    Time back_since{};
    bool reading = false;
    bool dropped = false;  // freed while it was read
    std::vector<Waiting> waiting;
  };
  void pump(Time now);
  bool make_room(std::uint64_t bytes, Time now);
  void fail_all(const Error& error, Time now);
  void read(const wire::ObjectLocation& name, Time now);
  void end_reading(const wire::ObjectLocation& name, const Result<wire::ObjectLocation>& local, Time now);
  void drop(std::map<wire::ObjectLocation, Record>::iterator record);
  void leave(std::uint64_t file);
  Error no_room(const Request& request) const;

  const SpillOptions options_;
  SpillSink& sink_;
  std::list<Request> queue_;
  bool pumping_ = false;
  Time look_again_ = never;
  std::uint64_t last_file_ = 0;
  std::vector<wire::ObjectLocation> writing_;  // into last_file_
  bool writing_least_ = false;                 // no smaller choice makes the room
  bool only_least_ = false;                    // the disk refused more
  std::map<wire::ObjectLocation, Record> records_;
  std::map<wire::ObjectLocation, wire::ObjectLocation> names_;  // of those that are back, by where they lie
  std::map<std::uint64_t, std::size_t> files_;                  // how many objects each still holds
  std::uint64_t bytes_ = 0;
};

}  // namespace mobula
