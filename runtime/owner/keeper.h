// The owner of detached actors and values: an Owner in the head's process, which outlives every driver. Its id is the
// head's own (slot 0), so what it sends and gets travels as the node's messages do.
#pragma once

#include <span>
#include <string>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/owner/owner.h"
#include "runtime/wire/message.h"

namespace mobula {

/// Called from inside the Keeper's methods; must not call back into it.
class KeeperSink {
 public:
  /// A whole call frame for a worker, here or elsewhere. In order and reliable.
  virtual void send_call(const ProcessId& worker, std::span<const std::byte> frame) = 0;
  virtual void send(const ProcessId& to, wire::Message&& message) = 0;

 protected:
  ~KeeperSink() = default;
};

class Keeper final : private OwnerSink {
 public:
  Keeper(NodeId head, const std::string& node_name, KeeperSink& sink);

  /// Begins to make it; kept until it is killed. It restarts as often as was asked for, on any node that does not end
  /// with a driver.
  ActorId keep(const wire::CreateDetached& wanted, Time now);

  /// False if the message is not for an owner.
  bool on_message(const ProcessId& from, const wire::Message& message, Time now);
  void on_reply(const ProcessId& from, std::span<const std::byte> frame, Time now);
  void on_process_died(const ProcessId& process, const wire::ProcessDeath& death, Time now);
  void on_node_died(NodeId node, const std::string& reason, Time now);
  void on_timer(Time now) { owner_.on_timer(now); }
  Time next_timer() const { return owner_.next_timer(); }
  Owner::Counts counts() const { return owner_.counts(); }

 private:
  SendStatus send_call(const ProcessId& worker, const wire::CallHeader& header, std::span<const std::byte> args,
                       std::span<const wire::Dependency> deps, CallTicket& ticket) override;
  bool withdraw(const ProcessId&, const CallTicket&) override { return false; }
  void raise_stop(const ProcessId&, const CallTicket&, bool) override {}
  void send(const ProcessId& to, wire::Message&& message) override { sink_.send(to, std::move(message)); }
  void ready(RefHandle) override {}
  std::string function_name(const FunctionId& function) override { return to_string(function); }

  KeeperSink& sink_;
  Owner owner_;
};

}  // namespace mobula
