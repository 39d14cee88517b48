#include "runtime/node/spills.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mobula {
namespace {

std::string megabytes(std::uint64_t bytes) {
  return fmt::format("{:.1f} MB", static_cast<double>(bytes) / 1e6);
}

Error freed_meanwhile() {
  Error error;
  error.code = ErrorCode::object_lost;
  error.message = "reading an object from disk: it was freed meanwhile";
  return error;
}

/// Free room, in parts that grow together.
class FreeParts {
 public:
  void add(std::uint64_t from, std::uint64_t to) {
    if (from == to) return;
    auto next = parts_.lower_bound(from);
    if (next != parts_.begin() && std::prev(next)->second == from) {
      next = std::prev(next);
      from = next->first;
      next = parts_.erase(next);
    }
    if (next != parts_.end() && next->first == to) {
      to = next->second;
      parts_.erase(next);
    }
    parts_[from] = to;
    if (to - from > largest_.second - largest_.first) largest_ = {from, to};
  }
  std::pair<std::uint64_t, std::uint64_t> largest() const { return largest_; }
  std::uint64_t largest_bytes() const { return largest_.second - largest_.first; }

 private:
  std::map<std::uint64_t, std::uint64_t> parts_;
  std::pair<std::uint64_t, std::uint64_t> largest_{0, 0};
};

}  // namespace

std::vector<wire::ObjectLocation> choose_to_spill(const std::vector<SpillCandidate>& objects, std::uint64_t cap,
                                                  std::uint64_t need, std::uint64_t at_least) {
  FreeParts free;
  std::uint64_t from = 0;
  std::vector<const SpillCandidate*> oldest;
  for (const SpillCandidate& object : objects) {
    free.add(from, object.location.offset);
    from = object.location.offset + object.room;
    if (object.movable) oldest.push_back(&object);
  }
  free.add(from, std::max(from, cap));
  std::ranges::stable_sort(oldest, {}, &SpillCandidate::used);
  std::size_t taken = 0;
  while (free.largest_bytes() < need && taken < oldest.size()) {
    const SpillCandidate& object = *oldest[taken++];
    free.add(object.location.offset, object.location.offset + object.room);
  }
  if (free.largest_bytes() < need) return {};
  const std::pair<std::uint64_t, std::uint64_t> room = free.largest();
  std::vector<wire::ObjectLocation> chosen;
  std::uint64_t bytes = 0;
  const auto choose = [&](const SpillCandidate& object) {
    chosen.push_back(object.location);
    bytes += object.location.bytes;
  };
  const auto makes_room = [&](std::size_t i) {
    return i < taken && oldest[i]->location.offset >= room.first && oldest[i]->location.offset < room.second;
  };
  for (std::size_t i = 0; i < taken; ++i) {
    if (makes_room(i)) choose(*oldest[i]);
  }
  for (std::size_t i = 0; i < oldest.size() && bytes < at_least; ++i) {
    if (!makes_room(i) && bytes + oldest[i]->location.bytes <= at_least) choose(*oldest[i]);
  }
  return chosen;
}

// ---- who waits for room

void Spills::want_room(const ProcessId& who, std::uint64_t bytes, RoomThen then, Time now) {
  queue_.push_back({who, bytes, std::move(then), now + options_.patience});
  pump(now);
}

Error Spills::no_room(const Request& request) const {
  Error error;
  error.code = ErrorCode::out_of_memory;
  std::uint64_t used = 0, read = 0;
  const SpillSink::Store store = sink_.store();
  for (const SpillCandidate& object : store.objects) {
    used += object.room;
    if (!object.movable) read += object.room;
  }
  error.message = fmt::format("making room for an object of {}: this node's objects take {} of at most {}; ",
                              megabytes(request.bytes), megabytes(used), megabytes(store.cap));
  if (options_.directory.empty()) {
    error.message +=
        "objects are not written to disk here, because the node was started with an empty spill directory; drop "
        "references that are no longer needed, give a directory (spill_directory in StartOptions, --spill-dir), or "
        "raise the cap (object_memory)";
  } else {
    error.message += fmt::format(
        "of these {} are being read or made, so that they cannot be written to disk, and for {} s nothing was let go; "
        "let go of values that are no longer needed, work on fewer at a time, or raise the cap (object_memory)",
        megabytes(read), std::chrono::duration_cast<std::chrono::seconds>(options_.patience).count());
  }
  return error;
}

void Spills::fail_all(const Error& error, Time now) {
  for (const Request& request : std::exchange(queue_, {})) {
    Error mine = error;
    mine.message = fmt::format("making room for an object of {}: {}", megabytes(request.bytes), error.message);
    request.then(mine, now);
  }
}

// True: some was made at once, or is being made.
bool Spills::make_room(std::uint64_t bytes, Time now) {
  if (options_.directory.empty()) return false;
  SpillSink::Store store = sink_.store();
  for (SpillCandidate& object : store.objects) {
    const auto name = names_.find(object.location);
    if (name != names_.end() && now < records_.at(name->second).back_since + options_.keep) object.movable = false;
  }
  const std::uint64_t at_least = only_least_ ? 0 : std::min(options_.file_bytes, store.cap / 8);
  const auto chosen = choose_to_spill(store.objects, store.cap, bytes, at_least);
  bool let_go = false;
  std::vector<wire::ObjectLocation> to_write;
  for (const wire::ObjectLocation& location : chosen) {
    const auto name = names_.find(location);
    if (name == names_.end()) {
      to_write.push_back(location);
      continue;
    }
    std::uint32_t holder = 0;
    if (sink_.evict(location, holder) == SpillSink::Eviction::in_use) continue;
    records_.at(name->second).local.reset();
    names_.erase(name);
    let_go = true;
  }
  if (!to_write.empty()) {
    writing_ = std::move(to_write);
    writing_least_ = only_least_;
    sink_.write_spill(++last_file_, writing_);
  }
  return let_go || !writing_.empty();
}

void Spills::pump(Time now) {
  if (std::exchange(pumping_, true)) return;
  while (!queue_.empty()) {
    if (sink_.has_room(queue_.front().bytes)) {
      const Request request = std::move(queue_.front());
      queue_.pop_front();
      request.then({}, now);
      continue;
    }
    if (!writing_.empty()) break;
    if (make_room(queue_.front().bytes, now)) continue;
    if (now < queue_.front().deadline && !options_.directory.empty()) break;
    const Request request = std::move(queue_.front());
    queue_.pop_front();
    request.then(no_room(request), now);
  }
  look_again_ = queue_.empty() || !writing_.empty() ? never : now + options_.look;
  pumping_ = false;
}

void Spills::on_written(std::uint64_t file, const Result<std::vector<SpillPlace>>& places, Time now) {
  const std::vector<wire::ObjectLocation> objects = std::exchange(writing_, {});
  if (!places.ok()) {
    if (places.error().code == ErrorCode::disk_full && !writing_least_) {
      only_least_ = true;  // perhaps what is needed fits
    } else {
      only_least_ = false;
      fail_all(places.error(), now);
    }
    pump(now);
    return;
  }
  only_least_ = false;
  std::size_t written = 0;
  for (std::size_t i = 0; i < objects.size(); ++i) {
    const SpillPlace& place = (*places)[i];
    std::uint32_t holder = 0;
    if (place.file == 0 || sink_.evict(objects[i], holder) != SpillSink::Eviction::done) continue;
    Record record;
    record.place = place;
    record.holder = holder;
    records_.emplace(objects[i], std::move(record));
    bytes_ += place.bytes;
    ++written;
  }
  if (written == 0) {
    sink_.remove_spill(file);
  } else {
    files_[file] = written;
    for (Request& request : queue_) request.deadline = now + options_.patience;
  }
  pump(now);
}

// ---- the way back

void Spills::want_object(const ProcessId& who, const wire::ObjectLocation& name, ObjectThen then, Time now) {
  Record& record = records_.at(name);
  if (record.dropped) return then(freed_meanwhile());
  if (record.local) {
    record.back_since = now;
    return then(*record.local);
  }
  record.waiting.push_back({who, std::move(then)});
  if (record.reading) return;
  record.reading = true;
  read(name, now);
}

void Spills::read(const wire::ObjectLocation& name, Time now) {
  const Result<bool> begun = sink_.read_spill(name, records_.at(name).place);
  if (!begun.ok()) return end_reading(name, begun.error(), now);
  if (*begun) return;
  want_room(
      {}, name.bytes,
      [this, name](const Error& error, Time then) {
        if (records_.at(name).dropped || error.code != ErrorCode::none) {
          end_reading(name, error, then);
        } else {
          read(name, then);
        }
      },
      now);
}

void Spills::on_read(const wire::ObjectLocation& name, const Result<wire::ObjectLocation>& local, Time now) {
  end_reading(name, local, now);
  pump(now);
}

void Spills::end_reading(const wire::ObjectLocation& name, const Result<wire::ObjectLocation>& local, Time now) {
  const auto found = records_.find(name);
  Record& record = found->second;
  record.reading = false;
  if (record.dropped) {
    if (local.ok()) sink_.free_object(*local);
    drop(found);
    return;
  }
  if (local.ok()) {
    record.local = *local;
    record.back_since = now;
    names_[*local] = name;
  }
  for (const Waiting& waiting : std::exchange(record.waiting, {})) waiting.then(local);
}

// ---- the end of objects

void Spills::leave(std::uint64_t file) {
  const auto found = files_.find(file);
  if (--found->second != 0) return;
  files_.erase(found);
  sink_.remove_spill(file);
}

void Spills::drop(std::map<wire::ObjectLocation, Record>::iterator found) {
  Record& record = found->second;
  if (record.reading) {
    record.dropped = true;
    // Not only of what nobody wants: the owner may have heard from an earlier reader that the file is damaged.
    for (const Waiting& waiting : std::exchange(record.waiting, {})) waiting.then(freed_meanwhile());
    return;
  }
  if (record.local) {
    names_.erase(*record.local);
    sink_.free_object(*record.local);
  }
  bytes_ -= record.place.bytes;
  leave(record.place.file);
  records_.erase(found);
}

bool Spills::free(const wire::ObjectLocation& name) {
  const auto found = records_.find(name);
  if (found == records_.end()) return false;
  drop(found);
  return true;
}

void Spills::process_died(const ProcessId& process) {
  std::erase_if(queue_, [&](const Request& request) { return request.who == process; });
  for (auto record = records_.begin(); record != records_.end();) {
    const auto next = std::next(record);
    std::erase_if(record->second.waiting, [&](const Waiting& waiting) { return waiting.who == process; });
    if (process.slot != 0 && record->second.holder == process.slot) drop(record);
    record = next;
  }
}

void Spills::on_timer(Time now) {
  if (now >= look_again_) pump(now);
}

wire::StoreUse Spills::store_use() const {
  wire::StoreUse use = sink_.store_use();
  use.spilled_bytes = bytes_;
  use.spilled_objects = records_.size();
  return use;
}

Time Spills::next_timer() const {
  return look_again_;
}

}  // namespace mobula
