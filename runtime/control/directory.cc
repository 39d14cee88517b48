#include "runtime/control/directory.h"

#include <fmt/format.h>

namespace mobula {

wire::NameReply Directory::claim(const wire::ClaimName& claim) {
  const auto [entry, is_new] = names_.try_emplace(claim.name, Entry{claim.actor, claim.type, claim.program});
  const Entry& holder = entry->second;
  wire::NameReply reply{claim.tag, claim.name, holder.actor, holder.type, holder.program, {}};
  if (holder.actor != claim.actor) {
    reply.error.code = ErrorCode::invalid;
    reply.error.message = fmt::format(
        "the name '{}' is taken in namespace '{}' by a {}: use another name, kill that actor first, or say "
        ".get_if_exists = true to get it",
        claim.name.name, claim.name.space, holder.type);
  }
  return reply;
}

wire::NameReply Directory::find(const wire::FindName& find) const {
  auto entry = names_.find(find.name);
  if (entry == names_.end() && find.name.space.starts_with("job ")) {
    entry = names_.find({wire::shared_space, find.name.name});
  }
  if (entry != names_.end()) {
    return {find.tag, entry->first, entry->second.actor, entry->second.type, entry->second.program, {}};
  }
  wire::NameReply reply;
  reply.tag = find.tag;
  reply.name = find.name;
  reply.error.code = ErrorCode::invalid;
  reply.error.message = fmt::format("no actor has the name '{}' in namespace '{}'", find.name.name, find.name.space);
  std::string others;
  int listed = 0;
  for (const auto& [name, other] : names_) {
    if (name.space != find.name.space && name.space != wire::shared_space && name.name != find.name.name) continue;
    if (++listed > 8) break;
    others += fmt::format("{}'{}' in '{}'", others.empty() ? "" : ", ", name.name, name.space);
  }
  reply.error.message += others.empty() ? "; no actor there has a name" : "; there are " + others;
  return reply;
}

void Directory::release(const wire::ReleaseName& release) {
  const auto entry = names_.find(release.name);
  if (entry != names_.end() && entry->second.actor == release.actor) names_.erase(entry);
}

void Directory::process_died(const ProcessId& process) {
  std::erase_if(names_, [&](const auto& entry) { return entry.second.actor.owner == process; });
}
void Directory::node_died(NodeId node) {
  std::erase_if(names_, [&](const auto& entry) { return entry.second.actor.owner.node == node; });
}

}  // namespace mobula
