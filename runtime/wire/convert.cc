#include "runtime/wire/convert.h"

#include <fmt/format.h>

namespace mobula::wire::convert {

void write(schema::ProcessId::Builder to, const ProcessId& from) {
  to.setNode(from.node.value);
  to.setSlot(from.slot);
  to.setGeneration(from.generation);
}
ProcessId read(schema::ProcessId::Reader from) {
  return {{from.getNode()}, from.getSlot(), from.getGeneration()};
}

void write(schema::RefId::Builder to, const RefId& from) {
  write(to.initOwner(), from.owner);
  to.setIndex(from.index);
  to.setGeneration(from.generation);
}
RefId read(schema::RefId::Reader from) {
  return {read(from.getOwner()), from.getIndex(), from.getGeneration()};
}

void write(schema::LeaseId::Builder to, const LeaseId& from) {
  to.setNode(from.node.value);
  to.setNumber(from.number);
}
LeaseId read(schema::LeaseId::Reader from) {
  return {{from.getNode()}, from.getNumber()};
}

void write(schema::Location::Builder to, const ObjectLocation& from) {
  to.setNode(from.node.value);
  to.setOffset(from.offset);
  to.setBytes(from.bytes);
  to.setGeneration(from.generation);
}
ObjectLocation read(schema::Location::Reader from) {
  return {{from.getNode()}, from.getOffset(), from.getBytes(), from.getGeneration()};
}

void write(schema::Program::Builder to, const Program& from) {
  to.setPath(text(from.path));
  to.setBuildId(text(from.build_id));
}
Program read(schema::Program::Reader from) {
  return {text(from.getPath()), text(from.getBuildId())};
}

void write(schema::Error::Builder to, const Error& from, int depth) {
  to.setCode(static_cast<std::uint8_t>(from.code));
  to.setMessage(text(from.message));
  to.setTask(text(from.task));
  to.setNode(text(from.node));
  to.setPid(from.pid);
  to.setAttempt(from.attempt);
  to.setSignal(from.signal);
  to.setBacktrace(text(from.backtrace));
  if (from.causes.empty() || depth == 30) return;
  auto causes = to.initCauses(static_cast<unsigned>(from.causes.size()));
  for (unsigned i = 0; i < causes.size(); ++i) write(causes[i], from.causes[i], depth + 1);
}
Error read(schema::Error::Reader from) {
  if (from.getCode() > static_cast<std::uint8_t>(ErrorCode::disk_full)) {
    throw Malformed{fmt::format("error code {} is unknown to this build", from.getCode())};
  }
  Error error;
  error.code = static_cast<ErrorCode>(from.getCode());
  error.message = text(from.getMessage());
  error.task = text(from.getTask());
  error.node = text(from.getNode());
  error.pid = from.getPid();
  error.attempt = from.getAttempt();
  error.signal = from.getSignal();
  error.backtrace = text(from.getBacktrace());
  const auto causes = from.getCauses();
  error.causes.reserve(causes.size());
  for (const auto cause : causes) error.causes.push_back(read(cause));
  return error;
}

void write(schema::Value::Builder to, const Value& from) {
  switch (from.kind) {
    case ValueKind::inline_value:
      to.setBytes(data(from.bytes));
      break;
    case ValueKind::object:
      write(to.initLocation(), from.location);
      break;
    case ValueKind::error:
      write(to.initError(), from.error);
      break;
  }
}
Value read(schema::Value::Reader from) {
  Value value;
  switch (from.which()) {
    case schema::Value::BYTES:
      value.bytes = data(from.getBytes());
      return value;
    case schema::Value::LOCATION:
      value.kind = ValueKind::object;
      value.location = read(from.getLocation());
      return value;
    case schema::Value::ERROR:
      value.kind = ValueKind::error;
      value.error = read(from.getError());
      return value;
  }
  throw Malformed{"the value is of a kind that is unknown to this build"};
}

void write(schema::NodeView::Builder to, const NodeView& from) {
  to.setNode(from.node.value);
  to.setName(text(from.name));
  to.setAddress(text(from.address));
  write(to.initTotal(static_cast<unsigned>(from.total.amounts.size())), from.total);
  write(to.initAvailable(static_cast<unsigned>(from.available.amounts.size())), from.available);
  to.setQueued(from.queued);
  write(to.initLabels(static_cast<unsigned>(from.labels.size())), from.labels);
  to.setPassing(from.passing);
}
NodeView read(schema::NodeView::Reader from) {
  return {{from.getNode()},          text(from.getName()), text(from.getAddress()), read(from.getTotal()),
          read(from.getAvailable()), from.getQueued(),     read(from.getLabels()),  from.getPassing()};
}

void write(capnp::List<schema::Amount>::Builder to, const Resources& from) {
  unsigned i = 0;
  for (const auto& [name, units] : from.amounts) {
    to[i].setName(text(name));
    to[i].setUnits(units);
    ++i;
  }
}
Resources read(capnp::List<schema::Amount>::Reader from) {
  Resources resources;
  for (const auto amount : from) resources.set(text(amount.getName()), amount.getUnits());
  return resources;
}

void write(capnp::List<schema::Label>::Builder to, const std::map<std::string, std::string>& from) {
  unsigned i = 0;
  for (const auto& [key, value] : from) {
    to[i].setKey(text(key));
    to[i].setValue(text(value));
    ++i;
  }
}
std::map<std::string, std::string> read(capnp::List<schema::Label>::Reader from) {
  std::map<std::string, std::string> labels;
  for (const auto label : from) labels[text(label.getKey())] = text(label.getValue());
  return labels;
}

void write(capnp::List<std::uint64_t>::Builder to, const std::vector<NodeId>& from) {
  for (unsigned i = 0; i < to.size(); ++i) to.set(i, from[i].value);
}
std::vector<NodeId> read(capnp::List<std::uint64_t>::Reader from) {
  std::vector<NodeId> nodes;
  nodes.reserve(from.size());
  for (const std::uint64_t node : from) nodes.push_back({node});
  return nodes;
}

}  // namespace mobula::wire::convert
