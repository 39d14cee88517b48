// A worker process: takes calls off its lanes and runs them. One thread for tasks and for most actors; coroutines take
// turns in it. An actor that asked for several threads gets them, and then the first thread only hands calls out, runs
// coroutines and looks after the lanes. A process whose one thread computes while others need what it owns gets a
// second one that looks after the lanes meanwhile.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include <mobula/detail/call.h>

#include "runtime/client/call_run.h"
#include "runtime/client/process_core.h"
#include "runtime/process/environment.h"
#include "runtime/process/worker_start.h"
#include "runtime/worker/worker.h"

namespace mobula::client {

class WorkerProcess final : public ProcessCore, private WorkerSink {
 public:
  // What init() hands to the zygote: the worker's whole life.
  static int main(const process::WorkerStart& start);

  void shutdown() override {}  // a worker's runtime ends with the process
  bool resume_when_ready(detail::Slot ref, std::coroutine_handle<> waiting) override;
  void* suspend(std::coroutine_handle<> waiting, detail::Deadline) override;
  void wake(void* call) override;
  void exit_actor() override;
  std::shared_ptr<detail::Object> allocate(std::size_t bytes) override;

 private:
  explicit WorkerProcess(const ProcessSetup& setup);
  ~WorkerProcess() override = default;

  void serve();
  void take(Lock& lock, const net::Call& lane);
  void unpark(Lock& lock);
  void start(Lock& lock, const net::Call& lane, const wire::CallFrame& frame);
  // From the decoding of the arguments to the reply, or to the first co_await that waits.
  void execute(Lock& lock, CallRun& run);
  bool prepare(Lock& lock, CallRun& run);
  void resume(Lock& lock, CallRun& run);
  void enter(Lock& lock, CallRun& run, bool again);
  static void run_function(CallRun& run);
  void leave_or_wait(Lock& lock, CallRun& run);
  void finish(CallRun& run);
  void trace(const CallRun& run, Time ended);
  void fail(Outcome& outcome, const Error& error);
  std::uint8_t retry_flags(const CallRun& run, const Error& error) const;
  // `lost`: where its bytes were, if they are not there any more.
  Result<detail::Bytes> dependency(Lock& lock, const wire::Dependency& dep, std::optional<wire::ObjectLocation>& lost);
  void give_back_lane(CallRun& run);
  void destroy_instance(Lock& lock);
  void publish_name(const detail::FunctionEntry& entry);
  void look_after_lanes();
  void pool_thread();
  void adopt_manners(CallRun& run);
  void call_room_changed();

  static void take_result(detail::Invocation& in, const detail::Encoded& result);
  static void take_part(detail::Invocation& in, const detail::Encoded& value);
  static bool take_item(detail::Invocation& in, const detail::Encoded& value);
  void keep_contained(CallRun& run, const detail::Encoded& value);

  // ProcessCore
  void begin_blocking(Lock&, std::span<const RefHandle> on, std::size_t needed) override;
  void end_blocking(Lock&) override;
  void enter_context() override;
  std::optional<Error> interruption() override;
  Time next_own_timer() const override;
  void on_own_timer() override;
  void on_other_message(const ProcessId& from, const wire::Message& message) override;
  void on_process_gone(const ProcessId& process) override;
  void on_node_gone(NodeId node) override;
  void after_input() override;
  void rouse_background() override;
  void ready(RefHandle ref) override;

  // WorkerSink
  void reply(const ProcessId& to, const wire::ReplyHeader& header, std::span<const std::byte> payload,
             std::span<const RefId> contained) override;
  void send(const ProcessId& to, wire::Message&& message) override { ProcessCore::send(to, std::move(message)); }
  void raise_stop(RunningCall& call) override;
  void deadlock(RunningCall& call, Error&& why) override;
  std::string name_of_call(const RunningCall& call) override;
  void wake_coroutine(CallRun& run);
  void destroy_actor() override { destroy_ = true; }
  void exit() override { exit_ = true; }

  const int pid_;
  Worker worker_;
  std::vector<std::unique_ptr<CallRun>> runs_;
  std::vector<CallRun*> free_runs_;
  std::uint32_t running_ = 0;                 // calls taken and not answered
  std::shared_ptr<const CallExtras> extras_;  // the latest, and its bytes
  std::vector<std::byte> extras_bytes_;
  std::map<const detail::FunctionEntry*, std::uint32_t> counted_calls_;  // of functions with max_calls

  void* instance_ = nullptr;  // the actor
  void (*destroy_instance_)(void*) = nullptr;
  bool destroy_ = false;
  bool exit_ = false;
  process::Environment environment_;              // of the task that runs, or of the actor
  const detail::FunctionEntry* named_ = nullptr;  // whose name is published

  std::deque<net::Call> parked_;                  // taken off a lane; their concurrency group is full
  std::multimap<RefHandle, CallRun*> awaiting_;   // suspended coroutines, by what they wait for
  std::set<std::pair<Time, CallRun*>> sleeping_;  // ... those that wait at a Signal, by when they wake up by themselves
  std::deque<CallRun*> resumable_;

  // Threads of an actor that asked for them.
  std::uint32_t threads_wanted_ = 0;
  std::vector<std::thread> pool_;
  std::deque<CallRun*> handed_out_;
  std::uint32_t idle_threads_ = 0;
  std::condition_variable handed_out_wake_;

  std::thread background_;
  std::condition_variable background_wake_;
};

}  // namespace mobula::client
