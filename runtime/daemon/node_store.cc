// The arena and the disk of a node: how much there is, what goes to the disk and comes back.
#include "runtime/daemon/node_loop_impl.h"

namespace mobula::daemon {

wire::StoreUse NodeLoop::Impl::store_use() {
  const object::ArenaUsage usage = arena_.usage();
  wire::StoreUse use;
  use.bytes = usage.used_bytes;
  use.cap = usage.cap_bytes;
  return use;
}

SpillSink::Store NodeLoop::Impl::store() {
  Store store;
  store.cap = arena_.usage().cap_bytes;
  for (const object::Resident& object : arena_.residents()) {
    const auto& [offset, bytes, generation] = object.location;
    store.objects.push_back({{id_, offset, bytes, generation}, object.room, object.used, object.movable});
  }
  return store;
}

void NodeLoop::Impl::write_spill(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects) {
  std::vector<object::Pin> pins;
  for (const wire::ObjectLocation& location : objects) {
    auto pin = arena_.pin(in_arena(location));
    pins.push_back(pin.ok() ? std::move(*pin) : object::Pin());
  }
  disk_->write(file, std::move(pins));
}

SpillSink::Eviction NodeLoop::Impl::evict(const wire::ObjectLocation& location, std::uint32_t& holder) {
  switch (arena_.evict(in_arena(location), &holder)) {
    case object::Arena::Eviction::gone:
      return Eviction::gone;
    case object::Arena::Eviction::in_use:
      return Eviction::in_use;
    case object::Arena::Eviction::done:
      break;
  }
  return Eviction::done;
}

Result<bool> NodeLoop::Impl::read_spill(const wire::ObjectLocation& name, const SpillPlace& place) {
  bool full = false;
  const auto draft = arena_.create(place.bytes, &full);
  if (!draft && full) return false;
  if (!draft) return draft.error();
  disk_->read(name, place, *draft);
  return true;
}

void NodeLoop::Impl::on_disk_done(SpillDisk::Done&& done) {
  if (auto* written = std::get_if<SpillDisk::Written>(&done)) {
    if (!written->places.ok()) log_->warn("{}", written->places.error().message);
    return node_->on_spill_written(written->file, written->places, now_);
  }
  const auto& [name, draft, result] = std::get<SpillDisk::Read>(done);
  const object::Location& at = draft.location;
  if (!result.ok()) {
    log_->error("{}", result.error().message);
    arena_.discard(at);
    return node_->on_spill_read(name, result.error(), now_);
  }
  arena_.seal(at);
  arena_.adopt(at);
  node_->on_spill_read(name, wire::ObjectLocation{id_, at.offset, at.bytes, at.generation}, now_);
}

}  // namespace mobula::daemon
