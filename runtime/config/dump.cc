#include "runtime/config/dump.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <utility>

namespace mobula::config {

namespace {

template <class T>
std::string shortest(T value) {
  if (std::isnan(value)) return ".nan";
  if (std::isinf(value)) return value > 0 ? ".inf" : "-.inf";
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value).ptr;
  return std::string(buffer.data(), end);
}

// Structs are lines "name: value" below each other; inside lists they are {name: value, name: value}.
class Writer : public Fields {
 public:
  explicit Writer(int indent) : indent_(indent) {}

  std::string out;

  void number_or_group(NumberOrGroup& value) override {
    if (value.is_number()) return number(value.number(), false);
    if (!flow_) out += ' ';
    const bool flow = std::exchange(flow_, true), present = std::exchange(only_present_, true);
    group(value.group());
    flow_ = flow;
    only_present_ = present;
  }

 private:
  bool enter(std::string_view name, const FieldInfo&) override {
    before_ = {out.size(), first_};
    if (flow_) {
      out += std::string(first_ ? "" : ", ") + std::string(name) + ": ";
      first_ = false;
    } else {
      out += std::string(static_cast<std::size_t>(indent_), ' ') + std::string(name) + ":";
    }
    return true;
  }
  void leave() override {
    if (!flow_ && !out.ends_with('\n')) out += '\n';
  }

  void write(const std::string& text) { out += (flow_ ? "" : " ") + text; }

  void boolean(bool& value) override { write(value ? "true" : "false"); }
  void integer(std::int64_t& value, std::int64_t, std::int64_t) override { write(std::to_string(value)); }
  void natural(std::uint64_t& value, std::uint64_t) override { write(std::to_string(value)); }
  void number(double& value, bool single_precision) override {
    write(single_precision ? number_text(static_cast<float>(value)) : number_text(value));
  }
  void text(std::string& value) override { write(yaml_scalar(value)); }

  void list(List& value) override {
    write("[");
    const bool outer = std::exchange(flow_, true);
    for (std::size_t i = 0; i < value.size(); ++i) {
      if (i > 0) out += ", ";
      value.visit(i, *this);
    }
    flow_ = outer;
    out += "]";
  }

  void optional(Optional& value) override {
    if (value.has_value()) {
      value.visit(*this);
    } else if (only_present_) {
      out.resize(before_.first);  // the name as well
      first_ = before_.second;
    } else {
      write("~");
    }
  }

  void group(Group& value) override {
    if (flow_) {
      out += "{";
      const bool outer = std::exchange(first_, true);
      value.describe(*this);
      first_ = outer;
      out += "}";
    } else {
      out += "\n";
      indent_ += 2;
      value.describe(*this);
      indent_ -= 2;
    }
  }

  int indent_;
  bool flow_ = false;
  bool first_ = true;
  bool only_present_ = false;
  std::pair<std::size_t, bool> before_;  // the last name
};

// Whether a YAML reader takes the bare text for a text, wherever it stands.
bool is_plain(std::string_view text) {
  constexpr std::string_view inner = "_-./";
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.empty() || !letter(text.front())) return false;
  if (!std::ranges::all_of(text, [&](char c) { return letter(c) || digit(c) || inner.find(c) != inner.npos; })) {
    return false;
  }
  std::string lower;
  for (const char c : text) lower += (c >= 'A' && c <= 'Z') ? static_cast<char>(c - 'A' + 'a') : c;
  // Includes the words of YAML 1.1, for readers of that version.
  constexpr std::array<std::string_view, 11> words = {"null", "true", "false", "yes", "no", "on",
                                                      "off",  "y",    "n",     "nan", "inf"};
  return std::ranges::find(words, lower) == words.end();
}

}  // namespace

std::string number_text(double value) {
  return shortest(value);
}
std::string number_text(float value) {
  return shortest(value);
}

std::string yaml_scalar(std::string_view text) {
  if (is_plain(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      std::array<char, 8> hex;
      std::snprintf(hex.data(), hex.size(), "\\x%02x", static_cast<unsigned>(c));
      quoted += hex.data();
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string dump_value(Fields::NumberOrGroup& value) {
  Writer writer(0);
  writer.number_or_group(value);
  return writer.out.substr(1);
}

std::string dump_group(Fields::Group& group, const DumpOptions& options) {
  const int indent = options.section.empty() ? 0 : 2;
  Writer writer(indent);
  if (!options.section.empty()) writer.out += std::string(options.section) + ":\n";
  for (const auto& [name, text] : options.also) {
    writer.out +=
        std::string(static_cast<std::size_t>(indent), ' ') + std::string(name) + ": " + yaml_scalar(text) + "\n";
  }
  group.describe(writer);
  return writer.out;
}

}  // namespace mobula::config
