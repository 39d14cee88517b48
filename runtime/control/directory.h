// The names of actors, in namespaces. Part of the head's Control: whoever claims a name first has it until the actor
// ends, or the process that owns it dies.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "runtime/base/ids.h"
#include "runtime/wire/directory.h"

namespace mobula {

class Directory {
 public:
  /// Names its actor, or (with an error that says so) who has the name already. Claiming again what one has is no
  /// error: messages arrive once, but a claim may be repeated after a head was slow.
  wire::NameReply claim(const wire::ClaimName& claim);
  /// In a job's own namespace the shared one is looked at next. Without the actor, the error lists the nearest names.
  wire::NameReply find(const wire::FindName& find) const;
  void release(const wire::ReleaseName& release);

  void process_died(const ProcessId& process);
  void node_died(NodeId node);

  struct Entry {
    ActorId actor;
    std::string type;
    wire::Program program;
  };
  const std::map<wire::ActorName, Entry>& names() const { return names_; }

 private:
  std::map<wire::ActorName, Entry> names_;
};

}  // namespace mobula
