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
}  // namespace

void Worker::wait_begins(RunningCall& call, RefHandle ref, bool holds_thread, Time now) {
  call.waits_for = ref;
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
    if (!call.waits_for) continue;
    if (call.probe_at <= now) {
      call.probe_at = now + probe_every;
      wire::WaitProbe probe;
      probe.origin = call.header.result();
      probe.origin_process = self_;
      probe.wait = call.wait;
      follow(call, std::move(probe), now);
    }
    probe_at_ = std::min(probe_at_, call.probe_at);
  }
}

// What a call that runs here waits for.
void Worker::follow(const RunningCall& call, wire::WaitProbe&& probe, Time now) {
  if (!call.waits_for || probe.hops.size() >= max_hops) return;
  probe.hops.push_back({call.header.result(), self_, sink_.name_of_call(call)});
  probe.stage = wire::WaitStage::at_owner;
  probe.ref = owner_.id(call.waits_for);
  owner_.follow_wait(std::move(probe), now);
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
                         [](const RunningCall* call) { return call->waits_for && call->holds_thread; });
    if (found == active_.end()) return;
    next.hops.push_back({probe.ref, {}, "a call that cannot begin before the one that runs there has ended, and"});
  }
  const RunningCall& call = **found;
  const RefId name = call.header.result();
  if (name == next.origin) {
    if (self_ == next.origin_process && call.waits_for && call.wait == next.wait) confirm(next);
    return;
  }
  // A cycle that the origin only leads into is found from within.
  const bool seen = std::any_of(next.hops.begin(), next.hops.end(),
                                [&](const wire::WaitHop& hop) { return hop.process && hop.call == name; });
  if (!seen) follow(call, std::move(next), now);
}

void Worker::confirm(const wire::WaitProbe& probe) {
  // One member of the cycle gives way, all others go on: the one with the greatest name.
  for (const wire::WaitHop& hop : probe.hops) {
    if (hop.process && probe.origin < hop.call) return;
  }
  for (RunningCall* call : active_) {
    if (call->header.result() != probe.origin || !call->waits_for || call->wait != probe.wait) continue;
    std::string chain;
    for (const wire::WaitHop& hop : probe.hops) {
      chain += hop.what;
      if (hop.process) chain += " (" + to_string(hop.process) + ")";
      chain += " waits for ";
    }
    Error why =
        error(ErrorCode::would_deadlock,
              "this wait could never have ended: " + chain + sink_.name_of_call(*call) +
                  ". Do not wait inside the cycle: pass the Ref on, make the method a coroutine that co_awaits, "
                  "or ask for less");
    why.attempt = static_cast<std::int32_t>(call->header.attempt);
    call->waits_for = {};
    sink_.deadlock(*call, std::move(why));
    return;
  }
}

}  // namespace mobula
