#include "runtime/client/arena_object.h"

#include <utility>

namespace mobula::client {

ArenaObject::ArenaObject(std::shared_ptr<object::Arena> arena, const object::Draft& draft)
    : arena_(std::move(arena)), draft_(draft) {
  data_ = draft_.bytes.data();
  size_ = draft_.bytes.size();
}

ArenaObject::~ArenaObject() {
  if (!given()) arena_->discard(draft_.location);
}

object::Location ArenaObject::give() {
  arena_->seal(draft_.location);
  pin_ = arena_->pin(draft_.location).value();
  return draft_.location;
}

Result<detail::Bytes> pin_object(const std::shared_ptr<object::Arena>& arena, const object::Location& location) {
  struct Kept {
    std::shared_ptr<object::Arena> arena;
    object::Pin pin;  // goes first
  };
  Result<object::Pin> pin = arena->pin(location);
  if (!pin) return std::move(pin).error();
  const std::span<const std::byte> bytes = pin->bytes();
  return detail::Bytes{bytes, std::make_shared<Kept>(Kept{arena, std::move(*pin)})};
}

}  // namespace mobula::client
