// Placement groups: the public handle and what a program waits for.
#include <bit>
#include <cstring>
#include <utility>

#include "runtime/client/process_core.h"
#include "runtime/client/request.h"

namespace mobula::client {

static_assert(sizeof(wire::GroupId) == sizeof(Group) && std::is_trivially_copyable_v<wire::GroupId>);

wire::GroupId group_id(const Group& group) {
  wire::GroupId id;
  std::memcpy(&id, group.words, sizeof id);
  id.number = static_cast<std::uint32_t>(group.words[2]);
  return id;
}

namespace {
Group handle_on(const wire::GroupId& id) {
  Group group;
  std::memcpy(group.words, &id.creator, sizeof id.creator);
  group.words[2] = id.number;
  return group;
}
}  // namespace

Group ProcessCore::create_group(std::span<const Bundle> bundles, const GroupOptions& options) {
  const Lock lock(mutex_);
  if (closed_) throw_closed("making a placement group");
  if (bundles.empty()) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = "a placement group needs at least one bundle: rt.placement_group({{.resources = {.cpu "
                                "= 1}}})"});
  }
  wire::CreateGroup wanted;
  wanted.name = options.name;
  wanted.strategy = static_cast<wire::GroupStrategy>(options.strategy);
  for (const Bundle& bundle : bundles) {
    wanted.bundles.push_back({resources_of(bundle.resources, 0), bundle.labels});
    if (wanted.bundles.back().resources.empty()) {
      throw TaskError(
          {.code = ErrorCode::invalid, .message = "a bundle that reserves nothing: say .resources = {.cpu = 1}"});
    }
  }
  const wire::GroupId id = owner_->create_group(std::move(wanted));
  note_activity();
  return handle_on(id);
}

Result<std::vector<std::string>> ProcessCore::wait_group(const Group& group, detail::Deadline deadline) {
  Lock lock(mutex_);
  if (closed_) return closed("waiting for a placement group");
  const wire::GroupId id = group_id(group);
  owner_->watch_group(id);
  std::optional<wire::GroupPlaced> answer;
  const bool there = wait_until(lock, deadline, {}, [&] {
    if (!answer) answer = owner_->take_group(id);
    return answer.has_value();
  });
  if (!there) {
    if (closed_) return closed("waiting for a placement group");
    return Error{.code = ErrorCode::timed_out,
                 .message = "the placement group was not reserved in the time given; it goes on waiting"};
  }
  if (answer->error.code != ErrorCode::none) return answer->error;
  std::vector<std::string> nodes;
  for (const NodeId node : answer->nodes) nodes.push_back(to_string(node));
  return nodes;
}

void ProcessCore::remove_group(const Group& group) {
  const Lock lock(mutex_);
  if (closed_) throw_closed("removing a placement group");
  owner_->remove_group(group_id(group));
  note_activity();
}

}  // namespace mobula::client
