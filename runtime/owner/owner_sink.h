// What an Owner asks of the process it lives in.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "runtime/base/ids.h"
#include "runtime/base/slab.h"
#include "runtime/wire/envelope.h"
#include "runtime/wire/message.h"

namespace mobula {

/// A ref (owned or borrowed) or an actor handle in this process's table.
using RefHandle = SlabHandle;

/// Where a call lies that a worker has not answered yet: the shell's own.
struct CallTicket {
  std::uint64_t lane = 0;
  std::uint64_t position = 0;
};

enum class SendStatus {
  accepted,
  full,  // no room now: the owner keeps the call and tries again at the next reply, on_room() or timer
  dead,  // the process is gone: on_process_died follows
};

/// Called from inside the Owner's methods; must not call back into the Owner.
class OwnerSink {
 public:
  /// Puts a call into the lane to `worker` (or hands it to the local node, for a worker elsewhere). Fills `ticket` when
  /// accepted. The spans are read before it returns.
  virtual SendStatus send_call(const ProcessId& worker, const wire::CallHeader& header, std::span<const std::byte> args,
                               std::span<const wire::Dependency> deps, CallTicket& ticket) = 0;

  /// Takes a call back that the worker has not begun; false if it has (or if its lane cannot: a remote worker).
  virtual bool withdraw(const ProcessId& worker, const CallTicket& ticket) = 0;

  /// Raises the stop flag of a call that the worker has begun, where that can be done without the worker's help.
  /// A CancelCall message was sent before in any case. `recursive`: the call's children are cancelled too.
  virtual void raise_stop(const ProcessId& worker, const CallTicket& ticket, bool recursive) = 0;

  /// In order and reliable per receiver; the sink may queue. A receiver that is dead swallows it.
  virtual void send(const ProcessId& to, wire::Message&& message) = 0;

  /// A watched ref is no longer pending (or a localised object arrived, or an item of a stream). Once per watch().
  virtual void ready(RefHandle ref) = 0;

  /// For error messages: the name of the code, e.g. "square". Not on any fast path.
  virtual std::string function_name(const FunctionId& function) = 0;

 protected:
  ~OwnerSink() = default;
};

}  // namespace mobula
