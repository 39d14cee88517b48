// Large values of this process in its node's arena.
#pragma once

#include <cstddef>
#include <memory>

#include <mobula/detail/core.h>

#include "runtime/base/ids.h"
#include "runtime/object/arena.h"
#include "runtime/wire/envelope.h"

namespace mobula::client {

inline object::Location in_arena(const wire::ObjectLocation& l) {
  return {l.offset, l.bytes, l.generation};
}
inline wire::ObjectLocation on_node(NodeId node, const object::Location& l) {
  return {node, l.offset, l.bytes, l.generation};
}

// An object being written. give() seals it and says where it lies: from then on whoever owns the reference frees it,
// and this handle only pins it. Never given, it is discarded with the handle.
class ArenaObject final : public detail::Object {
 public:
  ArenaObject(std::shared_ptr<object::Arena> arena, const object::Draft& draft);
  ~ArenaObject() override;
  bool given() const override { return static_cast<bool>(pin_); }
  object::Location give();

 private:
  const std::shared_ptr<object::Arena> arena_;  // outlives the pin
  object::Draft draft_;
  object::Pin pin_;
};

// A pin that keeps the mapping as well, so that an Array may outlive its runtime.
Result<detail::Bytes> pin_object(const std::shared_ptr<object::Arena>& arena, const object::Location& location);

}  // namespace mobula::client
