// What a task costs in the state machines alone: Owner and Worker of two processes in one thread, no bytes encoded, no
// lane. Submitted in batches of 1,000 no-op tasks, as an asynchronous driver does.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>

#include "runtime/owner/owner.h"
#include "runtime/worker/worker.h"

namespace {

using namespace mobula;

struct Reply {
  ProcessId from;
  wire::ReplyHeader header;
};

struct DriverSink final : OwnerSink {
  std::deque<wire::CallHeader>* lane = nullptr;
  SendStatus send_call(const ProcessId&, const wire::CallHeader& header, std::span<const std::byte>,
                       std::span<const wire::Dependency>, CallTicket& ticket) override {
    lane->push_back(header);
    ticket.position = lane->size();
    return SendStatus::accepted;
  }
  bool withdraw(const ProcessId&, const CallTicket&) override { return false; }
  void raise_stop(const ProcessId&, const CallTicket&, bool) override {}
  void send(const ProcessId&, wire::Message&&) override {}
  void ready(RefHandle) override {}
  std::string function_name(const FunctionId&) override { return "no-op"; }
};

struct WorkerSide final : OwnerSink, WorkerSink {
  std::deque<Reply> replies;
  ProcessId self;
  SendStatus send_call(const ProcessId&, const wire::CallHeader&, std::span<const std::byte>,
                       std::span<const wire::Dependency>, CallTicket&) override {
    return SendStatus::dead;
  }
  bool withdraw(const ProcessId&, const CallTicket&) override { return false; }
  void raise_stop(const ProcessId&, const CallTicket&, bool) override {}
  void send(const ProcessId&, wire::Message&&) override {}
  void ready(RefHandle) override {}
  std::string function_name(const FunctionId&) override { return {}; }
  void reply(const ProcessId&, const wire::ReplyHeader& header, std::span<const std::byte>,
             std::span<const RefId>) override {
    replies.push_back({self, header});
  }
  void raise_stop(RunningCall&) override {}
  void destroy_actor() override {}
  void exit() override {}
};

}  // namespace

int main() {
  const NodeId node{0x1234};
  const ProcessId driver{node, 1, 1};
  const ProcessId worker{node, 2, 1};
  std::deque<wire::CallHeader> lane;
  DriverSink driver_sink;
  driver_sink.lane = &lane;
  WorkerSide side;
  side.self = worker;
  OwnerOptions options;
  options.pipeline_depth = 2000;
  Owner owner(driver, options, driver_sink);
  Owner worker_owner(worker, {}, side);
  Worker machine(worker, "here", 1, worker_owner, side);

  Time now{};
  owner.release(owner.submit({.function = {1, 1}}, now), now);  // asks for a lease
  owner.on_message(node_process(node), wire::LeaseGrant{0, {node, 1}, worker}, now);
  std::vector<RefHandle> refs;
  double best = 1e9;
  for (int round = 0; round < 50; ++round) {
    const auto start = std::chrono::steady_clock::now();
    for (int batch = 0; batch < 20; ++batch) {
      refs.clear();
      for (int i = 0; i < 1000; ++i) refs.push_back(owner.submit({.function = {1, 1}}, now));
      while (!lane.empty()) {
        if (RunningCall* call = machine.accept(lane.front(), now)) {
          machine.finish(*call, wire::ReplyKind::value_inline, {}, {}, now);
        }
        lane.pop_front();
      }
      while (!side.replies.empty()) {
        const Reply& reply = side.replies.front();
        owner.on_reply(reply.from, reply.header, {}, {}, now);
        side.replies.pop_front();
      }
      for (const RefHandle ref : refs) owner.release(ref, now);
    }
    const auto spent = std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    best = std::min(best, spent / 20000);
  }
  std::printf("owner and worker, submit to release: %.1f ns a task (best of 50 rounds of 20,000)\n", best);
  return owner.counts().tasks == 0 ? 0 : 1;
}
