// Between plain structs and Cap'n Proto's, one pair of functions a type. Private to runtime/wire: the one place outside
// generated code that knows both.
#pragma once

#include <string>

#include "message.capnp.h"
#include "runtime/wire/message.h"

namespace mobula::wire::convert {

/// Thrown by read() for values that the schema allows and we do not (an unknown error code).
struct Malformed {
  std::string what;
};

void write(schema::ProcessId::Builder to, const ProcessId& from);
void write(schema::RefId::Builder to, const RefId& from);
void write(schema::LeaseId::Builder to, const LeaseId& from);
void write(schema::Location::Builder to, const ObjectLocation& from);
void write(schema::Program::Builder to, const Program& from);
/// Causes nested deeper than 30 are left out: a chain that long tells nobody more.
void write(schema::Error::Builder to, const Error& from, int depth = 0);
void write(schema::Value::Builder to, const Value& from);
void write(schema::NodeView::Builder to, const NodeView& from);
void write(capnp::List<schema::Amount>::Builder to, const Resources& from);
void write(capnp::List<schema::Label>::Builder to, const std::map<std::string, std::string>& from);
void write(schema::GroupId::Builder to, const GroupId& from);
void write(schema::Placement::Builder to, const Placement& from);
void write(schema::JobUse::Builder to, const JobUse& from);
void write(schema::GroupView::Builder to, const GroupView& from);
void write(capnp::List<std::uint64_t>::Builder to, const std::vector<NodeId>& from);

ProcessId read(schema::ProcessId::Reader from);
RefId read(schema::RefId::Reader from);
LeaseId read(schema::LeaseId::Reader from);
ObjectLocation read(schema::Location::Reader from);
Program read(schema::Program::Reader from);
Error read(schema::Error::Reader from);
Value read(schema::Value::Reader from);
NodeView read(schema::NodeView::Reader from);
Resources read(capnp::List<schema::Amount>::Reader from);
std::map<std::string, std::string> read(capnp::List<schema::Label>::Reader from);
GroupId read(schema::GroupId::Reader from);
Placement read(schema::Placement::Reader from);
JobUse read(schema::JobUse::Reader from);
GroupView read(schema::GroupView::Reader from);
std::vector<NodeId> read(capnp::List<std::uint64_t>::Reader from);

/// A list member of a builder, by its init function: initLabels, labels.size() and so on.
template <class Init, class List>
void write_list(Init init, const List& from) {
  auto to = init(static_cast<unsigned>(from.size()));
  for (unsigned i = 0; i < to.size(); ++i) write(to[i], from[i]);
}
template <class Value, class List>
std::vector<Value> read_list(const List& from) {
  std::vector<Value> values;
  values.reserve(from.size());
  for (const auto each : from) values.push_back(read(each));
  return values;
}

inline ActorId read_actor(schema::RefId::Reader from) {
  return as_actor(read(from));
}

inline std::string text(capnp::Text::Reader from) {
  return {from.begin(), from.size()};
}
inline Bytes data(capnp::Data::Reader from) {
  return Bytes({reinterpret_cast<const std::byte*>(from.begin()), from.size()});
}
inline capnp::Data::Reader data(const Bytes& from) {
  return {reinterpret_cast<const kj::byte*>(from.data()), from.size()};
}
inline capnp::Text::Reader text(const std::string& from) {
  return {from.c_str(), from.size()};
}

// convert_cluster.cc: names, groups, questions
void write_cluster(schema::Message::Builder to, const Message& from);
bool read_cluster(schema::Message::Reader from, Message& message);
/// The part of convert_values.cc, in the same way.
void write_values(schema::Message::Builder to, const Message& from);
bool read_values(schema::Message::Reader from, Message& message);

void write(schema::Message::Builder to, const Message& from);
Message read(schema::Message::Reader from);

}  // namespace mobula::wire::convert
