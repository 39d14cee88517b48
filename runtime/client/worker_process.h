// A worker process: takes calls off its lanes one at a time and runs them. One thread, until what it owns is needed by
// others while it computes; then a second one looks after the lanes meanwhile.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <thread>
#include <vector>

#include <mobula/detail/call.h>

#include "runtime/client/process_core.h"
#include "runtime/process/worker_start.h"
#include "runtime/wire/codec.h"
#include "runtime/worker/worker.h"

namespace mobula::client {

class WorkerProcess final : public ProcessCore, private WorkerSink {
 public:
  // What init() hands to the zygote: the worker's whole life.
  static int main(const process::WorkerStart& start);

  void shutdown() override {}  // a worker's runtime ends with the process

 private:
  explicit WorkerProcess(const ProcessSetup& setup);
  ~WorkerProcess() override = default;

  void serve();
  void run(Lock& lock, const net::Call& call);
  // What came out of a call: the encoded value, or an error.
  struct Outcome {
    wire::ReplyKind kind = wire::ReplyKind::value_inline;
    std::vector<std::byte> payload;
    std::vector<RefHandle> contained;  // counted
  };
  void execute(Lock& lock, wire::CallFrame& frame, Outcome& outcome);
  void fail(Outcome& outcome, const Error& error);
  Result<detail::Bytes> dependency(Lock& lock, const wire::Dependency& dep);
  static void take_result(detail::Invocation& in, const detail::Encoded& result);
  void destroy_instance(Lock& lock);
  void publish_name(const detail::FunctionEntry& entry);
  void look_after_lanes();

  // ProcessCore
  void begin_blocking(Lock&) override;
  void end_blocking(Lock&) override;
  void on_other_message(const ProcessId& from, const wire::Message& message) override;
  void on_process_gone(const ProcessId& process) override;
  void on_node_gone(NodeId node) override;
  void after_input() override;
  void rouse_background() override;

  // WorkerSink
  void reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
             std::span<const RefId> contained) override;
  void send(const ProcessId& to, wire::Message&& message) override { ProcessCore::send(to, std::move(message)); }
  void raise_stop() override { stop_.flag = true; }
  void destroy_actor() override { destroy_ = true; }
  void exit() override { exit_ = true; }

  // What stop_token() shows: raised by a message, or by the caller in shared memory while this process computes.
  struct CallStop final : detail::StopFlag {
    bool raised() const override { return flag.load(std::memory_order_relaxed) || segment->stop_requested(slot, key); }
    std::atomic<bool> flag = false;
    const net::Segment* segment = nullptr;
    std::uint32_t slot = 0;
    std::uint64_t key = 0;
  };

  const int pid_;
  Worker worker_;
  CallStop stop_;
  void* instance_ = nullptr;  // the actor
  void (*destroy_instance_)(void*) = nullptr;
  bool destroy_ = false;
  bool exit_ = false;
  const detail::FunctionEntry* named_ = nullptr;  // whose name is published
  Outcome* outcome_ = nullptr;                    // of the call that runs
  std::vector<detail::Bytes> dependencies_;
  std::map<wire::ObjectLocation, wire::ObjectHere> arrived_;  // objects of other nodes that the call that starts needs
  std::thread background_;
  std::condition_variable background_wake_;
};

}  // namespace mobula::client
