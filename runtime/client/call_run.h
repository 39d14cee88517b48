// One call of a worker process, from the lane it lies in to its reply.
#pragma once

#include <atomic>
#include <coroutine>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <mobula/detail/call.h>

#include "runtime/client/call_extras.h"
#include "runtime/client/transport.h"
#include "runtime/net/endpoint.h"
#include "runtime/owner/owner.h"
#include "runtime/wire/codec.h"
#include "runtime/worker/worker.h"

namespace mobula::client {

// What stop_token() shows: raised by a message, or by the caller in shared memory while this process computes.
struct CallStop final : detail::StopFlag {
  bool raised() const override {
    return flag.load(std::memory_order_relaxed) || raised_alone() || raised_with_children();
  }
  bool raised_with_children() const { return segment->stop_requested(slot, key); }
  bool raised_alone() const { return segment->stop_requested(slot, key_alone); }
  std::atomic<bool> flag = false;
  const net::Segment* segment = nullptr;
  std::uint32_t slot = 0;
  std::uint64_t key = 0;        // stopped with its children
  std::uint64_t key_alone = 0;  // ... without them
};

// What came out of a call: the encoded value, or an error.
struct Outcome {
  wire::ReplyKind kind = wire::ReplyKind::value_inline;
  std::uint8_t flags = 0;
  std::vector<std::byte> payload;
  std::vector<RefHandle> contained;  // counted
  void clear() {
    kind = wire::ReplyKind::value_inline;
    flags = 0;
    payload.clear();
    contained.clear();
  }
};

// Reused from call to call.
struct CallRun final : detail::Invocation {
  explicit CallRun(detail::Core& home) : Invocation{.core = home, .args = {}, .dependencies = {}} {}

  RunningCall* call = nullptr;
  net::Call lane;         // in the ring until its arguments were decoded
  bool in_lane = false;   // ... which they were not
  wire::CallFrame frame;  // valid while in_lane
  const detail::FunctionEntry* entry = nullptr;
  std::vector<detail::Bytes> dependency_values;
  std::shared_ptr<const CallExtras> extras;  // null: none
  detail::CallInfo info;
  CallStop stop;
  Outcome outcome;
  std::coroutine_handle<> waiting;  // of a suspended coroutine; null: it can be resumed
  RefHandle waits_for;              // none: for a Signal
  Time began{};                     // when it was taken off its lane
  Time sleeps_until{};              // ... with this limit
  std::optional<Error> deadlock;    // its wait can never end
  bool blocked = false;             // the Worker was told that it waits
};

}  // namespace mobula::client
