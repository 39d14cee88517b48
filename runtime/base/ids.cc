#include "runtime/base/ids.h"

#include <fmt/format.h>

namespace mobula {

// Four hexadecimal digits of a random 64-bit number are enough to tell nodes apart in a log.
std::string to_string(NodeId id) {
  return fmt::format("n{:04x}", id.value & 0xffff);
}

std::string to_string(const ProcessId& id) {
  if (id.slot == 0) return to_string(id.node);
  return fmt::format("{}/{}.{}", to_string(id.node), id.slot, id.generation);
}

std::string to_string(const RefId& id) {
  return fmt::format("{}#{}.{}", to_string(id.owner), id.index, id.generation);
}

std::string to_string(const ActorId& id) {
  return "actor " + to_string(id.ref());
}

std::string to_string(const LeaseId& id) {
  return fmt::format("lease {}:{}", to_string(id.node), id.number);
}

std::string to_string(const FunctionId& id) {
  return fmt::format("code {:016x}+0x{:x}", id.module, id.offset);
}

}  // namespace mobula
