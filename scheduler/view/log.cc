#include "scheduler/view/log.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <sstream>

namespace mobula::scheduler::log {

namespace {

std::string amounts(const Resources& resources) {
  std::string text;
  for (const auto& [name, units] : resources.amounts) {
    text += fmt::format("{}{}:{:g}", text.empty() ? "" : ",", name,
                        static_cast<double>(units) / static_cast<double>(Resources::unit));
  }
  return text.empty() ? "nothing" : text;
}

bool read_amounts(const std::string& text, Resources& resources) {
  if (text == "nothing") return true;
  std::istringstream items(text);
  for (std::string item; std::getline(items, item, ',');) {
    const std::size_t colon = item.rfind(':');
    if (colon == std::string::npos) return false;
    char* end = nullptr;
    const double amount = std::strtod(item.c_str() + colon + 1, &end);
    if (*end != '\0') return false;
    resources.set(item.substr(0, colon), std::llround(amount * static_cast<double>(Resources::unit)));
  }
  return true;
}

bool read_number(const std::string& text, std::uint64_t& number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::string word_of(std::string text) {
  for (char& c : text) {
    if (std::isspace(static_cast<unsigned char>(c))) c = '_';
  }
  return text;
}

std::string who(const ProcessId& process) {
  return fmt::format("{:x}:{}.{}", process.node.value, process.slot, process.generation);
}
bool read_who(const std::string& text, ProcessId& process) {
  const std::size_t colon = text.find(':'), dot = text.find('.');
  if (colon == std::string::npos || dot == std::string::npos || dot < colon) return false;
  std::uint64_t slot = 0, generation = 0;
  if (!read_number(text.substr(0, colon), process.node.value, 16) ||
      !read_number(text.substr(colon + 1, dot - colon - 1), slot) || !read_number(text.substr(dot + 1), generation)) {
    return false;
  }
  process.slot = static_cast<std::uint32_t>(slot);
  process.generation = static_cast<std::uint32_t>(generation);
  return true;
}

// What a policy reads of a request. (Groups are told by the view, which the log does not keep: replay leaves what was
// asked inside of one where it ran.)
std::string asked(const ProcessId& owner, std::uint64_t tag, const Request& request) {
  std::string text =
      fmt::format("owner={} tag={} order={} ask={}", who(owner), tag, request.order, amounts(request.resources));
  const wire::Placement& placement = request.placement;
  if (!request.may_redirect) text += " sent=1";
  if (placement.spread) text += " spread=1";
  if (!placement.node.empty())
    text += fmt::format(" on={}{}", word_of(placement.node), placement.soft ? " soft=1" : "");
  if (placement.group) text += " group=1";
  for (const auto& [key, value] : placement.labels) text += fmt::format(" label.{}={}", word_of(key), word_of(value));
  if (request.near_bytes != 0) text += fmt::format(" near={:x} bytes={}", request.near.value, request.near_bytes);
  return text;
}

}  // namespace

std::string node_line(const NodeView& node) {
  std::string text =
      fmt::format("node n={:x} name={} total={}", node.node.value, word_of(node.name), amounts(node.total));
  for (const auto& [key, value] : node.labels) text += fmt::format(" label.{}={}", word_of(key), word_of(value));
  return text;
}
std::string ask_line(NodeId node, const ProcessId& owner, std::uint64_t tag, const Request& request,
                     const Decision& decision) {
  std::string text =
      fmt::format("ask n={:x} {} -> {}", node.value, asked(owner, tag, request), to_string(decision.verdict));
  if (decision.verdict == Verdict::redirect) text += fmt::format(" n={:x}", decision.node.value);
  return text + " " + decision.reason;
}
std::string lease_line(NodeId node, std::uint64_t lease, const ProcessId& owner, std::uint64_t tag,
                       const Request& request) {
  return fmt::format("lease n={:x} lease={} {}", node.value, lease, asked(owner, tag, request));
}
std::string end_line(NodeId node, std::uint64_t lease) {
  return fmt::format("end n={:x} lease={}", node.value, lease);
}

Result<Event> parse(const std::string& line) {
  const auto bad = [&](const std::string& what) -> Result<Event> {
    return Error{.code = ErrorCode::invalid, .message = fmt::format("a line of a decision log: {}: {}", what, line)};
  };
  std::istringstream words(line);
  Event event;
  std::string kind;
  if (!(words >> event.at >> kind)) return bad("it begins with a time and an event");
  if (kind == "node") {
    event.kind = Event::Kind::node;
  } else if (kind == "ask") {
    event.kind = Event::Kind::ask;
  } else if (kind == "lease") {
    event.kind = Event::Kind::lease;
  } else if (kind == "end") {
    event.kind = Event::Kind::end;
  } else {
    return bad("there is no event '" + kind + "'");
  }
  std::map<std::string, std::string>& labels =
      event.kind == Event::Kind::node ? event.view.labels : event.request.placement.labels;
  for (std::string word; words >> word;) {
    if (word == "->") {
      std::string verdict;
      words >> verdict;
      for (const Verdict known : {Verdict::grant, Verdict::queue, Verdict::redirect, Verdict::infeasible}) {
        if (verdict == to_string(known)) event.decision.verdict = known;
      }
      if (event.decision.verdict == Verdict::redirect) {
        words >> word;
        if (!word.starts_with("n=") || !read_number(word.substr(2), event.decision.node.value, 16)) {
          return bad("a redirect names a node");
        }
      }
      std::getline(words >> std::ws, event.decision.reason);
      break;
    }
    const std::size_t equal = word.find('=');
    if (equal == std::string::npos) return bad("'" + word + "' is no key=value");
    const std::string key = word.substr(0, equal), value = word.substr(equal + 1);
    bool read = true;
    if (key == "n") {
      read = read_number(value, event.node.value, 16);
    } else if (key == "name") {
      event.view.name = value;
    } else if (key == "total") {
      read = read_amounts(value, event.view.total);
    } else if (key == "ask") {
      read = read_amounts(value, event.request.resources);
    } else if (key == "owner") {
      read = read_who(value, event.owner);
    } else if (key == "tag") {
      read = read_number(value, event.tag);
    } else if (key == "order") {
      read = read_number(value, event.request.order);
    } else if (key == "sent") {
      event.request.may_redirect = false;
    } else if (key == "spread") {
      event.request.placement.spread = true;
    } else if (key == "on") {
      event.request.placement.node = value;
    } else if (key == "soft") {
      event.request.placement.soft = true;
    } else if (key == "group") {
      event.request.placement.group.number = 1;
    } else if (key == "near") {
      read = read_number(value, event.request.near.value, 16);
    } else if (key == "bytes") {
      read = read_number(value, event.request.near_bytes);
    } else if (key == "lease") {
      read = read_number(value, event.lease);
    } else if (key.starts_with("label.")) {
      labels[key.substr(6)] = value;
    } else {
      return bad("unknown key '" + key + "'");
    }
    if (!read) return bad("'" + word + "' cannot be read");
  }
  if (!event.node) return bad("it names no node (n=...)");
  event.view.node = event.node;
  event.view.available = event.view.total;
  return event;
}

}  // namespace mobula::scheduler::log
