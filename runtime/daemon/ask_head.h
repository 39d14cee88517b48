// One question to the head of a cluster, from a process that is no member of it.
#pragma once

#include <string>

#include <mobula/result.h>

#include "runtime/base/time.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

// How the cluster of the head at HOST:PORT stands. The way there is that of a node (encrypted, with the cluster's keys
// from the file), but nothing is joined, and the head forgets the caller afterwards. Blocks for at most `patience`.
// Errors: `invalid` for keys or an address that cannot be used, `unavailable` when no head answers or lets us in.
// The calling process gets ZeroMQ's two threads.
Result<wire::StatusReply> ask_status(const std::string& address, const std::string& keys, Duration patience);

}  // namespace mobula::daemon
