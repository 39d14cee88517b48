#include "mobula/result.h"

#include <cstring>

#include <fmt/format.h>

namespace mobula {
namespace {

// Linux signal names; strsignal() gives prose ("Killed") and depends on the locale.
const char* signal_name(int signal) {
  const char* name = sigabbrev_np(signal);
  return name ? name : "?";
}

void describe_into(std::string& out, const Error& error, int depth) {
  const std::string indent(static_cast<std::size_t>(depth) * 2, ' ');
  out += indent;
  if (depth > 0) out += "caused by: ";
  out += to_string(error.code);
  if (!error.task.empty()) out += fmt::format(" in {}", error.task);
  std::string where;
  const auto add = [&](std::string text) {
    if (!where.empty()) where += ", ";
    where += text;
  };
  if (!error.node.empty()) add("node " + error.node);
  if (error.pid != 0) add(fmt::format("pid {}", error.pid));
  if (error.attempt != 0) add(fmt::format("attempt {}", error.attempt));
  if (error.signal != 0) add(fmt::format("signal {} SIG{}", error.signal, signal_name(error.signal)));
  if (!where.empty()) out += fmt::format(" ({})", where);
  if (!error.message.empty()) out += ": " + error.message;
  for (std::size_t begin = 0; begin < error.backtrace.size();) {
    const std::size_t end = std::min(error.backtrace.find('\n', begin), error.backtrace.size());
    out += fmt::format("\n{}    {}", indent, std::string_view(error.backtrace).substr(begin, end - begin));
    begin = end + 1;
  }
  for (const Error& cause : error.causes) {
    out += '\n';
    describe_into(out, cause, depth + 1);
  }
}

}  // namespace

std::string_view to_string(ErrorCode code) {
  switch (code) {
    case ErrorCode::none:
      return "none";
    case ErrorCode::exception:
      return "exception";
    case ErrorCode::worker_died:
      return "worker_died";
    case ErrorCode::actor_died:
      return "actor_died";
    case ErrorCode::node_died:
      return "node_died";
    case ErrorCode::owner_died:
      return "owner_died";
    case ErrorCode::object_lost:
      return "object_lost";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::timed_out:
      return "timed_out";
    case ErrorCode::build_mismatch:
      return "build_mismatch";
    case ErrorCode::infeasible:
      return "infeasible";
    case ErrorCode::out_of_memory:
      return "out_of_memory";
    case ErrorCode::bad_message:
      return "bad_message";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::would_deadlock:
      return "would_deadlock";
    case ErrorCode::invalid:
      return "invalid";
    case ErrorCode::too_many_calls:
      return "too_many_calls";
    case ErrorCode::collective_broken:
      return "collective_broken";
    case ErrorCode::disk_full:
      return "disk_full";
  }
  return "unknown";
}

std::string Error::describe() const {
  std::string out;
  describe_into(out, *this, 0);
  return out;
}

TaskError::TaskError(Error error) : std::runtime_error(error.describe()), error_(std::move(error)) {}

}  // namespace mobula
