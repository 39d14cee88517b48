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
  sink_.send(node_process(self_.node), wire::FindName{tag, self_, name});
  return tag;
}

std::uint64_t Owner::Impl::create_detached(wire::CreateDetached&& wanted) {
  const std::uint64_t tag = wanted.tag = ++last_question_;
  wanted.asker = self_;
  wanted.program = options_.program;
  sink_.send(node_process(self_.node), std::move(wanted));
  return tag;
}

void Owner::Impl::on_name_reply(const wire::NameReply& reply, Time now) {
  names_[reply.tag] = reply;
  if (!(reply.tag >> 63)) return;
  const RefHandle ref = actor_by_tag(reply.tag);
  if (!ref) {
    // Nobody waited for it: the name is given back.
    if (reply.actor.owner == self_) sink_.send(node_process(self_.node), wire::ReleaseName{reply.name, reply.actor});
    return;
  }
  ActorEntry& actor = *refs_[ref].actor();
  if (!std::exchange(actor.naming, false)) return;
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

}  // namespace mobula
