// Named and detached actors: what an Owner says to the head's directory, through its node.
#include "runtime/owner/owner_impl.h"

namespace mobula {

RefHandle Owner::Impl::create_named_actor(ActorSpec&& spec, std::uint64_t& tag, Time now) {
  wire::ClaimName claim;
  claim.name = spec.options.registered;
  claim.type = spec.options.type;
  claim.program = options_.program;
  const RefHandle ref = create_actor(std::move(spec), now, true);
  claim.tag = tag = actor_tag(ref);
  claim.actor = as_actor(id(ref));
  sink_.send(node_process(self_.node), std::move(claim));
  return ref;
}

std::uint64_t Owner::Impl::find_actor(const wire::ActorName& name) {
  const std::uint64_t tag = ++last_question_;
  const wire::FindName question{tag, self_, name};
  asked_.emplace(tag, question);
  sink_.send(node_process(self_.node), wire::FindName(question));
  return tag;
}

std::uint64_t Owner::Impl::create_detached(wire::CreateDetached&& wanted) {
  const std::uint64_t tag = wanted.tag = ++last_question_;
  wanted.asker = self_;
  wanted.program = options_.program;
  asked_.emplace(tag, wanted);
  sink_.send(node_process(self_.node), std::move(wanted));
  return tag;
}

// From the node: there has been no head for long, and nobody answers what was asked.
void Owner::Impl::on_no_names(const wire::NameReply& reply) {
  for (const auto& [tag, question] : std::exchange(asked_, {})) names_[tag] = reply;
  for (const RefHandle ref : actors_) {
    ActorEntry& actor = *refs_[ref].actor();
    if (!refs_[ref].owned() || !std::exchange(actor.naming, false)) continue;
    actor.options.registered = {};
    names_[actor_tag(ref)] = reply;
  }
}

void Owner::Impl::on_name_reply(const wire::NameReply& reply, Time now) {
  if (reply.tag == 0) return on_no_names(reply);
  if (!(reply.tag >> 63)) {
    // (Two heads may have been asked the same.)
    if (asked_.erase(reply.tag) != 0) names_[reply.tag] = reply;
    return;
  }
  const RefHandle ref = actor_by_tag(reply.tag);
  if (!ref || !refs_[ref].actor()->naming) {
    const bool again = ref && !refs_[ref].actor()->options.registered.name.empty();
    if (again) return;
    if (!ref) names_[reply.tag] = reply;
    // Nobody waits for it (any more): the name is given back, unless another one of this process has it.
    const bool claimant = actor_tag({reply.actor.index, reply.actor.generation}) == reply.tag;
    if (reply.actor.owner == self_ && claimant) {
      sink_.send(node_process(self_.node), wire::ReleaseName{reply.name, reply.actor});
    }
    return;
  }
  names_[reply.tag] = reply;
  ActorEntry& actor = *refs_[ref].actor();
  actor.naming = false;
  if (reply.actor != as_actor(id(ref))) {
    actor.options.registered = {};  // another's
    return;
  }
  actor.options.registered = reply.name;
  if (actor.life == ActorEntry::Life::dead) {  // killed, or an argument of its constructor failed
    release_name(ref);
    return;
  }
  TaskEntry* creation = tasks_.find(actor.creation);
  if (creation != nullptr && --creation->waiting_deps == 0) start(actor.creation, now);
}

std::optional<wire::NameReply> Owner::Impl::take_name_reply(std::uint64_t tag) {
  const auto found = names_.extract(tag);
  if (!found) return {};
  return std::move(found.mapped());
}

RefHandle Owner::Impl::adopt_actor(const ActorId& actor) {
  const std::uint64_t parent = std::exchange(parent_, 0);  // no value and no call keeps it alive
  const RefHandle ref = borrow(actor.ref(), true, {});
  parent_ = parent;
  if (refs_[ref].borrow == RefEntry::Borrow::unregistered) register_borrow(ref);
  return ref;
}

void Owner::Impl::release_name(RefHandle ref) {
  ActorEntry& actor = *refs_[ref].actor();
  if (!refs_[ref].owned() || actor.options.registered.name.empty()) return;
  sink_.send(node_process(self_.node),
             wire::ReleaseName{std::exchange(actor.options.registered, {}), as_actor(id(ref))});
}

void Owner::Impl::watch_group(const wire::GroupId& group) {
  ++watched_groups_[group];
  sink_.send(node_process(self_.node), wire::WatchGroup{group, self_});
}

void Owner::Impl::on_group_placed(const wire::GroupPlaced& message) {
  const auto watched = watched_groups_.find(message.id);
  if (watched == watched_groups_.end()) return;  // two heads were asked
  if (--watched->second == 0) watched_groups_.erase(watched);
  placed_[message.id] = message;
}

// The node has told it what it knew: only what is under way is lost.
void Owner::Impl::on_head_changed() {
  const ProcessId node = node_process(self_.node);
  for (const RefHandle ref : actors_) {
    const ActorEntry& actor = *refs_[ref].actor();
    if (!refs_[ref].owned() || !actor.naming) continue;
    sink_.send(node, wire::ClaimName{actor_tag(ref), actor.options.registered, as_actor(id(ref)), actor.options.type,
                                     options_.program});
  }
  for (const auto& [tag, question] : asked_) sink_.send(node, wire::Message(question));
  for (const auto& [group, count] : watched_groups_) {
    for (std::uint32_t i = 0; i < count; ++i) sink_.send(node, wire::WatchGroup{group, self_});
  }
  for (const std::uint64_t tag : std::exchange(keeping_, {})) {
    wire::ValueKept lost;
    lost.tag = tag;
    lost.value.kind = wire::ValueKind::error;
    lost.value.error.code = ErrorCode::owner_died;
    lost.value.error.message =
        "storing a detached value: the head, which was to own it, died meanwhile; it runs again, so that it can be "
        "stored anew";
    kept_values_[tag] = std::move(lost);
  }
}

}  // namespace mobula
