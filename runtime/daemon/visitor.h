// A process that asks the nodes of a cluster, and is no member of it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/time.h"
#include "runtime/daemon/inquiry.h"
#include "runtime/daemon/program_store.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

// The way to the nodes is that of a node (encrypted, with the cluster's keys from the file), but nothing is joined, and
// they forget the caller when it hangs up. One thread. The calling process gets ZeroMQ's two threads.
class Visitor {
 public:
  // Throws TaskError: `invalid` for keys or an address that cannot be used.
  Visitor(const std::string& address, const std::string& keys);
  ~Visitor();
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  // How the cluster stands, from the head. Blocks for at most `patience`. `unavailable` when no head answers or lets us
  // in.
  Result<wire::StatusReply> status(Duration patience);
  // Asks these members (that status() has told of) the same, and waits for all of them for at most `patience`. One that
  // has not answered by then has an Answer with an error.
  std::map<NodeId, Answer> ask(const std::vector<NodeId>& members, Question question, Duration patience);
  // Asks the head.
  Answer ask_head(Question question, Duration patience);
  // Answers what others ask meanwhile, for so long, or until `done` (looked at after each event).
  void serve(Duration how_long, const std::function<bool()>& done = {});
  // What it sends to those who ask for programs.
  ProgramStore& programs();

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace mobula::daemon
