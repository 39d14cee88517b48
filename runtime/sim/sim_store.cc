#include "runtime/sim/sim_store.h"

#include <algorithm>

namespace mobula::sim {

SimStore::Object* SimStore::find(const wire::ObjectLocation& location) {
  const auto found = objects_.find(location.generation);
  return found != objects_.end() && found->second.location == location ? &found->second : nullptr;
}

std::optional<wire::ObjectLocation> SimStore::create(const ProcessId& holder) {
  if (!has_room()) return std::nullopt;
  std::uint64_t place = 0;
  while (places_.contains(place)) ++place;
  places_.insert(place);
  const wire::ObjectLocation location{node_, place * object_bytes, object_bytes, ++last_};
  objects_[last_] = {location, holder, ++clock_, false, false, {}};
  return location;
}

bool SimStore::has(const wire::ObjectLocation& location) const {
  const auto found = objects_.find(location.generation);
  return found != objects_.end() && found->second.location == location && !found->second.doomed;
}

std::optional<ProcessId> SimStore::holder(const wire::ObjectLocation& location) const {
  if (!has(location)) return std::nullopt;
  return objects_.at(location.generation).holder;
}

std::size_t SimStore::objects() const {
  return static_cast<std::size_t>(std::ranges::count_if(objects_, [](const auto& one) { return !one.second.doomed; }));
}

std::string SimStore::describe() const {
  std::string text;
  for (const auto& [generation, object] : objects_) {
    if (object.doomed) continue;
    text += " " + std::to_string(generation) + (object.adopted ? " of " : " made by ") + to_string(object.holder);
  }
  return text;
}

bool SimStore::adopt(const wire::ObjectLocation& location, const ProcessId& holder) {
  if (!has(location)) return false;
  Object& object = *find(location);
  object.holder = holder;
  object.adopted = true;
  return true;
}

void SimStore::let_go(Object& object) {
  object.doomed = true;
  if (!object.readers.empty()) return;
  places_.erase(object.location.offset / object_bytes);
  objects_.erase(object.location.generation);
}

bool SimStore::free(const wire::ObjectLocation& location) {
  if (!has(location)) return false;
  let_go(*find(location));
  return true;
}

bool SimStore::pin(const wire::ObjectLocation& location, const ProcessId& reader) {
  if (!has(location)) return false;
  Object& object = *find(location);
  object.readers.insert(reader);
  object.used = ++clock_;
  return true;
}

void SimStore::unpin(const wire::ObjectLocation& location, const ProcessId& reader) {
  Object* const object = find(location);
  if (object == nullptr) return;
  if (const auto found = object->readers.find(reader); found != object->readers.end()) object->readers.erase(found);
  if (object->doomed) let_go(*object);
}

std::vector<std::uint64_t> SimStore::reclaim(const ProcessId& process) {
  std::vector<std::uint64_t> gone;
  for (auto at = objects_.begin(); at != objects_.end();) {
    Object& object = (at++)->second;
    object.readers.erase(process);
    if (object.holder == process && !object.doomed) {
      gone.push_back(object.location.generation);
      object.doomed = true;
    }
    if (object.doomed) let_go(object);
  }
  return gone;
}

SpillSink::Store SimStore::store() const {
  SpillSink::Store store;
  store.cap = world_.options().store_objects * object_bytes;
  for (const auto& [generation, object] : objects_) {
    store.objects.push_back(
        {object.location, object_bytes, object.used, object.adopted && !object.doomed && object.readers.empty()});
  }
  std::ranges::sort(store.objects, {}, [](const SpillCandidate& object) { return object.location.offset; });
  return store;
}

SpillSink::Eviction SimStore::evict(const wire::ObjectLocation& location, std::uint32_t& holder) {
  if (!has(location)) return SpillSink::Eviction::gone;
  Object& object = *find(location);
  if (!object.readers.empty() || !object.adopted) return SpillSink::Eviction::in_use;
  holder = object.holder.slot;
  let_go(object);
  return SpillSink::Eviction::done;
}

bool SimStore::disk_has_room(std::size_t objects) const {
  std::size_t there = objects;
  for (const auto& [file, values] : files_) there += values.size();
  return world_.options().disk_objects == 0 || there <= world_.options().disk_objects;
}

std::vector<SpillPlace> SimStore::write(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects) {
  std::vector<SpillPlace> places;
  std::vector<std::uint64_t>& values = files_[file];
  for (const wire::ObjectLocation& location : objects) {
    places.push_back({file, values.size(), location.bytes, 0});
    values.push_back(world_.value_of(location));
  }
  return places;
}

}  // namespace mobula::sim
