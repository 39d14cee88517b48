// An Owner whose surroundings are played by the test: it sees what is sent and answers by hand.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "runtime/owner/owner.h"
#include "runtime/wire/codec.h"

namespace mobula {

using std::chrono::milliseconds;

inline const NodeId here{0x1111};
inline const NodeId there{0x2222};
inline const ProcessId driver{here, 1, 1};
inline const ProcessId worker_a{here, 2, 1};
inline const ProcessId worker_b{here, 3, 1};
inline const ProcessId remote_worker{there, 2, 1};
inline const ProcessId stranger{here, 9, 1};

inline Bytes number_bytes(std::uint64_t value) {
  return Bytes(std::as_bytes(std::span(&value, 1)));
}

struct OwnerFixture : testing::Test, OwnerSink {
  struct Sent {
    ProcessId to;
    wire::CallHeader header;
    Bytes args;
    std::vector<std::pair<wire::DependencyKind, Bytes>> deps;
  };
  std::vector<Sent> calls;
  std::vector<std::pair<ProcessId, wire::Message>> messages;
  std::vector<RefHandle> readied;
  std::set<std::uint64_t> begun;      // tickets whose calls cannot be withdrawn any more
  std::set<std::uint64_t> withdrawn;  // ... that were
  std::vector<std::uint64_t> stopped;
  std::size_t room = SIZE_MAX;  // calls until "full"
  bool dead = false;            // every worker
  std::uint64_t tickets = 0;
  std::uint8_t flags = 0;         // of the next reply
  std::uint32_t item_number = 0;  // ... and its item
  Time now{};
  Owner owner{driver, {.node_name = "host", .pipeline_depth = 4}, *this};

  SendStatus send_call(const ProcessId& to, const wire::CallHeader& header, std::span<const std::byte> args,
                       std::span<const wire::Dependency> deps, CallTicket& ticket) override {
    if (dead) return SendStatus::dead;
    if (room == 0) return SendStatus::full;
    --room;
    Sent sent{to, header, Bytes(args), {}};
    for (const auto& dependency : deps) sent.deps.emplace_back(dependency.kind, Bytes(dependency.bytes));
    calls.push_back(std::move(sent));
    ticket.position = ++tickets;  // the n-th call has ticket n
    return SendStatus::accepted;
  }
  bool withdraw(const ProcessId&, const CallTicket& ticket) override {
    if (begun.contains(ticket.position)) return false;
    withdrawn.insert(ticket.position);
    return true;
  }
  void raise_stop(const ProcessId&, const CallTicket& ticket, bool) override { stopped.push_back(ticket.position); }
  void send(const ProcessId& to, wire::Message&& message) override { messages.emplace_back(to, std::move(message)); }
  void ready(RefHandle ref) override { readied.push_back(ref); }
  std::string function_name(const FunctionId&) override { return "square"; }

  /// Removes and returns all messages of this kind.
  template <class M>
  std::vector<std::pair<ProcessId, M>> take() {
    std::vector<std::pair<ProcessId, M>> found;
    std::vector<std::pair<ProcessId, wire::Message>> rest;
    for (auto& [to, message] : messages) {
      if (auto* m = std::get_if<M>(&message)) {
        found.emplace_back(to, std::move(*m));
      } else {
        rest.emplace_back(to, std::move(message));
      }
    }
    messages = std::move(rest);
    return found;
  }

  RefHandle submit(TaskSpec spec = {}) {
    spec.function = {1, 1};
    return owner.submit(std::move(spec), now);
  }
  LeaseId grant(const ProcessId& worker, std::uint64_t tag = 0) {
    const LeaseId lease{worker.node, ++leases_};
    owner.on_message(node_process(worker.node), wire::LeaseGrant{tag, lease, worker}, now);
    return lease;
  }
  void reply(const Sent& call, wire::ReplyKind kind, const Bytes& payload, std::vector<RefId> contained = {}) {
    wire::ReplyHeader header;
    header.kind = kind;
    header.index = call.header.index;
    header.generation = call.header.generation;
    header.attempt = call.header.attempt;
    header.bytes = static_cast<std::uint32_t>(payload.size());
    header.contained_refs = static_cast<std::uint32_t>(contained.size());
    header.flags = flags;
    header.item = item_number;
    owner.on_reply(call.to, header, payload.span(), contained, now);
  }
  void value(const Sent& call, std::uint64_t number) {
    reply(call, wire::ReplyKind::value_inline, number_bytes(number));
  }
  /// `may_retry`: the worker found that the options want another attempt.
  void fails(const Sent& call, const std::string& message, bool may_retry = false) {
    Error error;
    error.code = ErrorCode::exception;
    error.message = message;
    flags = may_retry ? wire::reply_may_retry : 0;
    reply(call, wire::ReplyKind::error, wire::encode_error(error));
    flags = 0;
  }
  /// An item of a stream.
  void item(const Sent& call, std::uint32_t number, std::uint64_t value, std::vector<RefId> contained = {}) {
    item_number = number;
    reply(call, wire::ReplyKind::item_inline, number_bytes(value), std::move(contained));
    item_number = 0;
  }
  void dies(const ProcessId& process) {
    wire::ProcessDeath death;
    death.pid = 77;
    death.signal = 9;
    death.description = "was killed by SIGKILL";
    owner.on_process_died(process, death, now);
  }
  std::uint64_t number(RefHandle ref) const {
    const RefView view = owner.view(ref);
    EXPECT_EQ(view.state, RefState::inline_value);
    std::uint64_t value = 0;
    if (view.bytes.size() == sizeof value) std::memcpy(&value, view.bytes.data(), sizeof value);
    return value;
  }
  Error error(RefHandle ref) const {
    const RefView view = owner.view(ref);
    EXPECT_EQ(view.state, RefState::error);
    return view.error != nullptr ? *view.error : Error{};
  }
  void release(RefHandle ref) { owner.release(ref, now); }
  /// Idle leases go back.
  void wait_out() {
    now += milliseconds(1000);
    owner.on_timer(now);
  }

 private:
  std::uint64_t leases_ = 0;
};

}  // namespace mobula
