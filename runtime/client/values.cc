// Values that are stored with options: on several nodes, or with the head as their owner (docs/design/copies.md).
#include <fmt/format.h>

#include <algorithm>

#include "runtime/client/arena_object.h"
#include "runtime/client/process_core.h"
#include "runtime/client/request.h"

namespace mobula::client {

wire::Value ProcessCore::take_over(const detail::Encoded& value) {
  wire::Value stored;
  if (value.object) {
    stored.kind = wire::ValueKind::object;
    stored.location = on_node(self_.node, static_cast<ArenaObject&>(*value.object).give());
  } else {
    stored.bytes.assign(value.bytes);
  }
  return stored;
}

detail::Slot ProcessCore::put_with(const detail::Encoded& value, const Options& options) {
  check_copies(options);
  if (options.detached) return put_detached(value, static_cast<std::uint32_t>(options.copies));
  return store(value, static_cast<std::uint32_t>(options.copies));
}

detail::Slot ProcessCore::put_detached(const detail::Encoded& value, std::uint32_t copies) {
  Lock lock(mutex_);
  if (closed_) throw_closed("storing a detached value");
  wire::KeepValue wanted;
  wanted.copies = copies;
  for (const RefHandle inner : contained_of(value.contained, value.contained_actors)) {
    const RefId name = owner_->id(inner);
    if (name.owner.slot != 0) {
      throw TaskError(
          {.code = ErrorCode::invalid,
           .message = fmt::format("storing a detached value: it holds {}, which ends with process {}; store "
                                  "what it refers to detached too, or the values themselves",
                                  to_string(name), to_string(name.owner)),
           .node = node_name_});
    }
    wanted.contained.push_back(name);
  }
  wanted.value = take_over(value);
  if (concurrent_) enter_context();
  const std::uint64_t tag = owner_->keep_value(std::move(wanted));
  std::optional<Result<RefHandle>> kept;
  const bool there = wait_until(lock, never, {}, [&] {
    if (!kept) kept = owner_->take_kept(tag);
    return kept.has_value();
  });
  if (!there) throw_closed("storing a detached value");
  if (!kept->ok()) throw TaskError(kept->error());
  return with_result(**kept);
}

Result<int> ProcessCore::wait_copies(detail::Slot slot, detail::Deadline deadline) {
  Lock lock(mutex_);
  if (closed_) return closed("waiting for copies");
  const RefHandle ref = handle_of(slot);
  std::optional<Result<std::uint32_t>> copies;
  const bool there = wait_until(lock, deadline, {}, [&] {
    if (!copies) copies = owner_->take_copies(ref);
    return copies.has_value();
  });
  if (!there) {
    if (closed_) return closed("waiting for copies");
    return Error{.code = ErrorCode::timed_out,
                 .message =
                     "the value did not lie on as many nodes as was asked for in the time given; it is copied "
                     "further as soon as there are nodes with room for it"};
  }
  if (!copies->ok()) return copies->error();
  return static_cast<int>(**copies);
}

}  // namespace mobula::client
