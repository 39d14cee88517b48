// Deadlocks (docs/internals/deadlocks.md): following the waits of calls that have lasted a while.
#include <algorithm>
#include <utility>

#include "runtime/worker/worker.h"

namespace mobula {

namespace {
// A wait is followed for the first time after this, and then as often: a cycle is closed by its latest wait, so it is
// found this long (and a few messages) after it came about.
constexpr Duration probe_every = std::chrono::seconds(1);
// Longer chains of waits are not followed.
constexpr std::size_t max_hops = 200;
// Of the refs of one wait so many are followed in a round.
constexpr std::size_t max_branches = 64;
}  // namespace

void Worker::wait_begins(RunningCall& call, std::span<const RefHandle> refs, std::size_t needed, bool holds_thread,
                         Time now) {
  call.waits_for.assign(refs.begin(), refs.end());
  call.needed = needed;
  call.stuck.clear();
  call.followed = 0;
  call.holds_thread = holds_thread;
  call.wait = ++waits_;
  call.probe_at = now + probe_every;
  probe_at_ = std::min(probe_at_, call.probe_at);
}

void Worker::on_timer(Time now) {
  if (now < probe_at_) return;
  probe_at_ = never;
  for (std::size_t i = 0; i < active_.size(); ++i) {
    RunningCall& call = *active_[i];
    if (call.waits_for.empty()) continue;
    if (call.probe_at <= now) {
      call.probe_at = now + probe_every;
      call.stuck.clear();  // what never comes is found again in each round
      wire::WaitProbe probe;
      probe.origin = call.header.result();
      probe.origin_process = self_;
      probe.wait = call.wait;
      follow(call, std::move(probe), now);
    }
    probe_at_ = std::min(probe_at_, call.probe_at);
  }
}

Worker::Missing Worker::missing(const RunningCall& call) const {
  Missing missing;
  for (std::uint32_t i = 0; i < call.waits_for.size(); ++i) {
    if (owner_.view(call.waits_for[i]).state == RefState::pending) missing.places.push_back(i);
  }
  const std::size_t there = call.waits_for.size() - missing.places.size();
  if (there >= call.needed) {
    missing.places.clear();  // the wait is about to end
    return missing;
  }
  missing.spare = missing.places.size() - (call.needed - there);
  missing.all = missing.spare == 0;
  return missing;
}

// What a call that runs here waits for. Where it needs all of them, each that never comes is reason enough. One that
// can do without some is only followed as the origin, which then hears of each that never comes.
void Worker::follow(RunningCall& call, wire::WaitProbe&& probe, Time now) {
  if (probe.hops.size() >= max_hops) return;
  const Missing refs = missing(call);
  const std::size_t count = refs.places.size();
  const bool origin = probe.hops.empty();
  if (count == 0 || (!refs.all && (!origin || count > max_branches))) return;
  probe.hops.push_back({call.header.result(), self_, sink_.name_of_call(call)});
  probe.stage = wire::WaitStage::at_owner;
  const std::size_t begin = call.followed;
  // Few at the first hops, then one: layers of calls that wait for many must not multiply. Each round begins further
  // on.
  const std::size_t branches = origin ? max_branches : probe.hops.size() <= 3 ? 4 : 1;
  call.followed += branches;
  for (std::size_t i = 0; i < std::min(count, branches); ++i) {
    const std::uint32_t place = refs.places[(begin + i) % count];
    wire::WaitProbe next = probe;
    if (origin) next.branch = place;
    next.ref = owner_.id(call.waits_for[place]);
    owner_.follow_wait(std::move(next), now);
  }
}

void Worker::on_probe(const wire::WaitProbe& probe, Time now) {
  if (probe.stage != wire::WaitStage::at_worker) return;
  auto found = std::find_if(active_.begin(), active_.end(),
                            [&](const RunningCall* call) { return call->header.result() == probe.ref; });
  wire::WaitProbe next = probe;
  if (found == active_.end()) {
    // It waits in its lane, behind the call that holds the thread. (A task does not stay there: its owner takes it
    // back.)
    if (!actor_) return;
    found = std::find_if(active_.begin(), active_.end(),
                         [](const RunningCall* call) { return !call->waits_for.empty() && call->holds_thread; });
    if (found == active_.end()) return;
    next.hops.push_back({probe.ref, {}, "a call that cannot begin before the one that runs there has ended, and"});
  } else if ((*found)->items > probe.items) {
    return;  // an item of it is on its way to who waits
  }
  RunningCall& call = **found;
  const RefId name = call.header.result();
  if (name == next.origin) {
    if (self_ == next.origin_process && !call.waits_for.empty() && call.wait == next.wait) confirm(next);
    return;
  }
  // A cycle that the origin only leads into is found from within.
  const bool seen = std::any_of(next.hops.begin(), next.hops.end(),
                                [&](const wire::WaitHop& hop) { return hop.process && hop.call == name; });
  if (!seen) follow(call, std::move(next), now);
}

void Worker::confirm(const wire::WaitProbe& probe) {
  for (RunningCall* call : active_) {
    if (call->header.result() != probe.origin || call->waits_for.empty() || call->wait != probe.wait) continue;
    const Missing refs = missing(*call);
    if (refs.places.empty()) return;
    if (refs.all) {
      // One member of the cycle gives way, all others go on: the one with the greatest name.
      for (const wire::WaitHop& hop : probe.hops) {
        if (hop.process && probe.origin < hop.call) return;
      }
    } else {
      // The others of these cycles do not find them, for they do not follow this call: it gives way itself, once there
      // is no ref left that may come.
      call->stuck.insert(probe.branch);
      const auto stuck = std::count_if(refs.places.begin(), refs.places.end(),
                                       [&](std::uint32_t place) { return call->stuck.contains(place); });
      if (static_cast<std::size_t>(stuck) <= refs.spare) return;
    }
    give_way(*call, probe);
    return;
  }
}

void Worker::give_way(RunningCall& call, const wire::WaitProbe& probe) {
  std::string chain;
  for (const wire::WaitHop& hop : probe.hops) {
    chain += hop.what;
    if (hop.process) chain += " (" + to_string(hop.process) + ")";
    chain += " waits for ";
  }
  Error why = error(ErrorCode::would_deadlock,
                    "this wait could never have ended: " + chain + sink_.name_of_call(call) +
                        ". Do not wait inside the cycle: pass the Ref on, make the method a coroutine that co_awaits, "
                        "or ask for less");
  why.attempt = static_cast<std::int32_t>(call.header.attempt);
  call.waits_for.clear();
  sink_.deadlock(call, std::move(why));
}

}  // namespace mobula
