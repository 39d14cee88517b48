// Named and detached actors: what a program waits for when it spawns or looks for one.
#include <fmt/format.h>

#include <utility>

#include "runtime/client/process_core.h"

namespace mobula::client {

wire::NameReply ProcessCore::wait_for_name(Lock& lock, std::uint64_t tag, const char* tried) {
  std::optional<wire::NameReply> reply;
  const bool there = wait_until(lock, never, {}, [&] {
    if (!reply) reply = owner_->take_name_reply(tag);
    return reply.has_value();
  });
  if (!there) throw_closed(tried);
  return *std::move(reply);
}

detail::Slot ProcessCore::adopt(const wire::NameReply& reply, std::string_view type, std::string_view name) {
  if (reply.type != type) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = fmt::format("the actor '{}' in namespace '{}' is a {}, not a {}", name,
                                            reply.name.space, reply.type, type)});
  }
  return with_result(owner_->adopt_actor(reply.actor));
}

detail::Slot ProcessCore::create_named(Lock& lock, ActorSpec&& spec, const Options& options) {
  const std::string type = spec.options.type;
  std::uint64_t tag = 0;
  const RefHandle mine = owner_->create_named_actor(std::move(spec), tag, steady_now());
  const wire::NameReply reply = wait_for_name(lock, tag, "spawning a named actor");
  if (reply.actor == as_actor(owner_->id(mine))) return with_result(mine);
  owner_->release(mine, steady_now());
  if (!options.get_if_exists || !reply.actor) throw TaskError(reply.error);
  return adopt(reply, type, options.name);
}

detail::Slot ProcessCore::create_detached(Lock& lock, ActorSpec&& spec, const Options& options) {
  const auto refuse = [&](const char* why) {
    throw TaskError(
        {.code = ErrorCode::invalid, .message = fmt::format("spawning a detached {}: {}", spec.options.type, why)});
  };
  if (options.name.empty())
    refuse("it needs a name, by which it is found again: rt.with({.name = \"...\", .detached = true})");
  if (!spec.deps.empty() || !spec.contained.empty()) {
    refuse(
        "its constructor's arguments hold references (values of more than 64 KiB are sent as such), which end with "
        "this program; give it the values in calls, or let it make them");
  }
  wire::CreateDetached wanted;
  wanted.name = {options.name_space, options.name};
  wanted.constructor = spec.constructor;
  wanted.type = spec.options.type;
  wanted.title = spec.options.name;
  wanted.flags = spec.flags;
  if (spec.options.keeps_state) wanted.flags |= wire::call_logged;
  wanted.checkpoint_every = spec.options.checkpoint_every;
  wanted.checkpoint_period_ns = spec.options.checkpoint_period.count();
  wanted.args = std::move(spec.args);
  wanted.max_restarts = options.max_restarts;
  wanted.max_call_retries = options.max_call_retries;
  wanted.resources = spec.options.resources;
  wanted.placement = spec.options.placement;
  wanted.priority = options.priority;
  const std::uint64_t tag = owner_->create_detached(std::move(wanted));
  const wire::NameReply reply = wait_for_name(lock, tag, "spawning a detached actor");
  if (!reply.actor || (reply.error.code != ErrorCode::none && !options.get_if_exists)) throw TaskError(reply.error);
  return adopt(reply, spec.options.type, options.name);
}

detail::Slot ProcessCore::find_actor(std::string_view name, std::string_view name_space, std::string_view type) {
  Lock lock(mutex_);
  if (closed_) throw_closed("looking for an actor");
  const std::uint64_t tag = owner_->find_actor({std::string(name_space), std::string(name)});
  const wire::NameReply reply = wait_for_name(lock, tag, "looking for an actor");
  if (!reply.actor) throw TaskError(reply.error);
  return adopt(reply, type, name);
}

}  // namespace mobula::client
