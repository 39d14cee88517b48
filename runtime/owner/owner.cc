#include "runtime/owner/owner.h"

#include "runtime/owner/owner_impl.h"

namespace mobula {

std::string too_many_calls(std::uint32_t limit) {
  return "calling an actor: " + std::to_string(limit) +
         " calls of this process wait or run already, and its max_pending_calls allows no more; wait for some of them "
         "first, or allow more";
}

Owner::Impl::Impl(ProcessId self, OwnerOptions options, OwnerSink& sink)
    : self_(self), options_(std::move(options)), sink_(sink) {
  task_class({});  // class 0: the defaults
}

namespace {
template <class... Handlers>
struct Overloaded : Handlers... {
  using Handlers::operator()...;
};
template <class... Handlers>
Overloaded(Handlers...) -> Overloaded<Handlers...>;
}  // namespace

bool Owner::Impl::on_message(const ProcessId& from, const wire::Message& message, Time now) {
  return std::visit(Overloaded{
                        [&](const wire::LeaseGrant& m) { return on_grant(from, m, now), true; },
                        [&](const wire::LeaseRedirect& m) { return on_redirect(from, m, now), true; },
                        [&](const wire::LeaseRefused& m) { return on_refused(from, m, now), true; },
                        [&](const wire::ReclaimIdle&) { return on_reclaim(now), true; },
                        [&](const wire::WorkerBlocked& m) { return on_worker_blocked(m, now), true; },
                        [&](const wire::ReleaseHeld& m) { return on_release_held(from, m, now), true; },
                        [&](const wire::AddBorrow& m) { return on_add_borrow(from, m.ref), true; },
                        [&](const wire::BorrowAck& m) { return on_borrow_ack(m, now), true; },
                        [&](const wire::DropBorrow& m) { return on_drop_borrow(from, m.ref, now), true; },
                        [&](const wire::Resolve& m) { return on_resolve(from, m.ref), true; },
                        [&](const wire::Resolved& m) { return on_resolved(wire::Resolved(m), now), true; },
                        [&](const wire::CancelRef& m) {
                          if (const RefHandle ref = find_owned(m.ref.index, m.ref.generation))
                            cancel(ref, {m.force, m.recursive, Duration(m.grace_ns)}, now);
                          return true;
                        },
                        [&](const wire::Recycle& m) { return on_recycle(m, now), true; },
                        [&](const wire::ActorExited& m) { return on_actor_exited(m, now), true; },
                        [&](const wire::WaitProbe& m) {
                          if (m.stage != wire::WaitStage::at_owner) return false;
                          follow_wait(wire::WaitProbe(m), now);
                          return true;
                        },
                        [&](const wire::ActorLocate& m) { return on_actor_locate(from, m), true; },
                        [&](const wire::ActorAt& m) { return on_actor_at(m, now), true; },
                        [&](const wire::ActorGone& m) { return on_actor_gone(m, now), true; },
                        [&](const wire::ActorKill& m) {
                          if (const RefHandle ref = find_owned(m.actor.index, m.actor.generation)) kill(ref, now);
                          return true;
                        },
                        [&](const wire::CallsSaved& m) { return on_calls_saved(m), true; },
                        [&](const wire::LogCall& m) { return on_log_call(from, m, now), true; },
                        [&](const wire::CallLogged& m) { return on_call_logged(m, now), true; },
                        [&](const wire::NameReply& m) { return on_name_reply(m, now), true; },
                        [&](const wire::GroupPlaced& m) { return on_group_placed(m), true; },
                        [&](const wire::Why& m) { return on_why(m, now), true; },
                        [&](const wire::WhyAnswer& m) { return on_why_answer(m), true; },
                        [&](const wire::ObjectHere& m) { return on_object_here(m, now), true; },
                        [&](const wire::ObjectLost& m) { return on_object_lost(from, m, now), true; },
                        [&](const wire::AddCopy& m) { return on_add_copy(m), true; },
                        [&](const wire::WatchCopies& m) { return on_watch_copies(from, m.ref), true; },
                        [&](const wire::CopiesHeld& m) { return on_copies_held(m), true; },
                        [&](const wire::KeepValue& m) { return on_keep_value(m, now), true; },
                        [&](const wire::ValueKept& m) { return on_value_kept(m), true; },
                        [&](const wire::HeadChanged&) { return on_head_changed(), true; },
                        [&](const wire::ProcessDied& m) { return on_process_died(m.process, m.death, now), true; },
                        [&](const wire::NodeDied& m) { return on_node_died(m.node, m.reason, now, m.name), true; },
                        [](const auto&) { return false; },
                    },
                    message);
}

Owner::Owner(ProcessId self, OwnerOptions options, OwnerSink& sink)
    : impl_(std::make_unique<Impl>(self, std::move(options), sink)) {}
Owner::~Owner() = default;

TaskClass Owner::task_class(const TaskOptions& options) {
  return impl_->task_class(options);
}
RefHandle Owner::submit(TaskSpec&& spec, Time now, std::vector<RefHandle>* more) {
  return impl_->submit(std::move(spec), now, more);
}
RefHandle Owner::create_actor(ActorSpec&& spec, Time now) {
  return impl_->create_actor(std::move(spec), now);
}
RefHandle Owner::call(RefHandle actor, TaskSpec&& spec, Time now, std::vector<RefHandle>* more) {
  return impl_->call(actor, std::move(spec), now, more);
}
bool Owner::has_room_for_call(RefHandle actor) const {
  const ActorEntry* entry = impl_->refs_[actor].actor();
  return entry == nullptr || entry->max_pending_calls == 0 || entry->pending < entry->max_pending_calls;
}
std::uint32_t Owner::max_pending_calls(RefHandle actor) const {
  const ActorEntry* entry = impl_->refs_[actor].actor();
  return entry == nullptr ? 0 : entry->max_pending_calls;
}
void Owner::follow_wait(wire::WaitProbe&& probe, Time now) {
  impl_->follow_wait(std::move(probe), now);
}
RefHandle Owner::next(RefHandle stream) {
  return impl_->next(stream);
}
RefHandle Owner::create_named_actor(ActorSpec&& spec, std::uint64_t& tag, Time now) {
  return impl_->create_named_actor(std::move(spec), tag, now);
}
std::uint64_t Owner::find_actor(const wire::ActorName& name) {
  return impl_->find_actor(name);
}
std::uint64_t Owner::create_detached(wire::CreateDetached&& wanted) {
  return impl_->create_detached(std::move(wanted));
}
std::optional<wire::NameReply> Owner::take_name_reply(std::uint64_t tag) {
  return impl_->take_name_reply(tag);
}
RefHandle Owner::adopt_actor(const ActorId& actor) {
  return impl_->adopt_actor(actor);
}
std::uint64_t Owner::ask_why(RefHandle ref, Time now) {
  return impl_->ask_why(ref, now);
}
std::uint64_t Owner::ask_why(const std::string& subject) {
  return impl_->ask_why(subject);
}
std::optional<std::vector<std::string>> Owner::take_why(std::uint64_t question, bool late) {
  return impl_->take_why(question, late);
}
wire::GroupId Owner::create_group(wire::CreateGroup&& wanted) {
  wanted.id = {impl_->self_, ++impl_->last_group_};
  const wire::GroupId id = wanted.id;
  impl_->sink_.send(node_process(impl_->self_.node), std::move(wanted));
  return id;
}
void Owner::remove_group(const wire::GroupId& group) {
  impl_->sink_.send(node_process(impl_->self_.node), wire::RemoveGroup{group});
}
void Owner::watch_group(const wire::GroupId& group) {
  impl_->watch_group(group);
}
std::optional<wire::GroupPlaced> Owner::take_group(const wire::GroupId& group) {
  const auto found = impl_->placed_.extract(group);
  if (!found) return {};
  return std::move(found.mapped());
}
RefHandle Owner::put(wire::Value&& value, std::vector<RefHandle> contained, std::uint32_t copies) {
  return impl_->put(std::move(value), std::move(contained), copies);
}
std::optional<Result<std::uint32_t>> Owner::take_copies(RefHandle ref) {
  return impl_->take_copies(ref);
}
std::uint64_t Owner::keep_value(wire::KeepValue&& wanted) {
  return impl_->keep_value(std::move(wanted));
}
std::optional<Result<RefHandle>> Owner::take_kept(std::uint64_t tag) {
  return impl_->take_kept(tag);
}
void Owner::set_context(std::uint32_t depth, std::uint64_t parent) {
  impl_->depth_ = depth;
  impl_->parent_ = parent;
}

void Owner::retain(RefHandle ref) {
  impl_->retain(ref);
}
void Owner::release(RefHandle ref, Time now) {
  impl_->release(ref, now);
}
RefId Owner::id(RefHandle ref) const {
  return impl_->id(ref);
}
bool Owner::is_actor(RefHandle ref) const {
  return impl_->refs_[ref].actor() != nullptr;
}
bool Owner::owned(RefHandle ref) const {
  return impl_->refs_[ref].owned();
}
RefHandle Owner::borrow(const RefId& ref, bool actor, RefHandle cover) {
  return impl_->borrow(ref, actor, cover);
}
RefView Owner::view(RefHandle ref) const {
  return impl_->view(ref);
}
std::span<const RefHandle> Owner::contained(RefHandle ref) const {
  const RefEntry& entry = impl_->refs_[ref];
  if (!entry.extra) return {};
  return entry.extra->contained;
}
void Owner::watch(RefHandle ref) {
  impl_->watch(ref);
}
void Owner::unwatch(RefHandle ref) {
  impl_->refs_[ref].watched = false;
}
bool Owner::localize(RefHandle ref) {
  return impl_->localize(ref);
}

void Owner::cancel(RefHandle ref, const Cancel& how, Time now) {
  impl_->cancel(ref, how, now);
}
void Owner::cancel_children(std::uint64_t parent, Time now) {
  impl_->cancel_children(parent, now);
}
void Owner::kill(RefHandle actor, Time now) {
  impl_->kill(actor, now);
}

std::uint64_t Owner::settle_borrows() {
  return impl_->settle_borrows();
}
bool Owner::borrows_settled(std::uint64_t token) const {
  return impl_->settling_.empty() || impl_->settling_.begin()->first > token;
}
void Owner::hold_for(const ProcessId& caller, std::uint32_t index, std::uint32_t generation, std::uint32_t attempt,
                     std::uint32_t item, std::span<const RefHandle> refs) {
  impl_->hold_for(caller, index, generation, attempt, item, refs);
}

void Owner::on_reply(const ProcessId& from, const wire::ReplyHeader& header, std::span<const std::byte> payload,
                     std::span<const RefId> contained, Time now) {
  impl_->on_reply(from, header, payload, contained, now);
}
bool Owner::on_message(const ProcessId& from, const wire::Message& message, Time now) {
  return impl_->on_message(from, message, now);
}
void Owner::on_process_died(const ProcessId& process, const wire::ProcessDeath& death, Time now) {
  impl_->on_process_died(process, death, now);
}
void Owner::on_node_died(NodeId node, const std::string& reason, Time now, const std::string& name) {
  impl_->on_node_died(node, reason, now, name);
}
bool Owner::is_dead(const ProcessId& process) const {
  return impl_->is_dead(process);
}
void Owner::on_room(const ProcessId& worker, Time now) {
  impl_->on_room(worker, now);
}
void Owner::on_timer(Time now) {
  impl_->on_timer(now);
}
Time Owner::next_timer() const {
  return impl_->timer_;
}

Owner::Counts Owner::counts() const {
  Counts counts;
  counts.borrowed = impl_->borrowed_.size();
  counts.owned = impl_->refs_.size() - counts.borrowed;
  counts.tasks = impl_->tasks_.size();
  counts.leases = impl_->leases_.size();
  for (const SchedulingClass& cls : impl_->classes_) counts.lease_requests += cls.asked_total;
  counts.held = impl_->held_.size();
  return counts;
}
bool Owner::idle() const {
  return impl_->refs_.empty() && impl_->tasks_.empty() && impl_->held_.empty();
}
const ProcessId& Owner::self() const {
  return impl_->self_;
}

}  // namespace mobula
