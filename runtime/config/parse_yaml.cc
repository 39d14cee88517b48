#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <string_view>
#include <unordered_map>

#include "runtime/config/error.h"
#include "runtime/config/value.h"

namespace mobula::config {

namespace {

// Aliases copy what they name, so a few lines can ask for billions of values; no configuration comes near this.
constexpr std::size_t max_values = 100'000;
constexpr std::size_t max_levels = 100;

// Where a byte of the text is, for people: columns count characters.
Position position_of(std::string_view text, std::size_t at, const std::shared_ptr<const std::string>& source,
                     bool lines) {
  if (!lines) return {source, 0, 0};
  const std::string_view before = text.substr(0, at);
  const auto line_start = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  const auto characters = std::ranges::count_if(
      before.substr(line_start), [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
  return {source, static_cast<int>(std::ranges::count(before, '\n')) + 1, static_cast<int>(characters) + 1};
}

// The size of the UTF-8 character at the beginning; 0 if there is none (Unicode 15, table 3-7).
std::size_t utf8_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto continues = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0), second = byte(1);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return continues(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F)) return 0;
    return continues(1) && continues(2) ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    if ((first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F)) return 0;
    return continues(1) && continues(2) && continues(3) ? 4 : 0;
  }
  return 0;
}

// The parser takes what is no text for something or other, or stops there without a word.
void refuse_what_is_no_text(std::string_view text, const std::shared_ptr<const std::string>& source, bool lines) {
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<unsigned char>(text[at]);
    const bool control = (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') || byte == 0x7F;
    const std::size_t size = utf8_size(text.substr(at));
    if (control || size == 0) {
      constexpr const char* digits = "0123456789abcdef";
      throw ConfigError(position_of(text, at, source, lines).text() + ": found the byte 0x" + digits[byte >> 4U] +
                        digits[byte & 15U] + ", which is " + (control ? "a control character" : "no UTF-8") +
                        "; expected text");
    }
    at += size;
  }
}

std::size_t count(const Value& value) {
  std::size_t n = 1;
  for (const auto& item : value.items) n += count(item);
  for (const auto& entry : value.entries) n += count(entry.value);
  return n;
}

// Builds the tree from the parser's events rather than from its nodes, which lose whether a scalar was quoted and keep
// one of two equal keys.
class Builder : public YAML::EventHandler {
 public:
  Builder(const std::shared_ptr<const std::string>& source, bool lines) : source_(source), lines_(lines) {}

  Value take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add(make(Value::Kind::nothing, mark), anchor); }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (tag != "?" && tag != "!" && !tag.empty()) refuse_tag(mark, tag);
    Value value = make(Value::Kind::scalar, mark);
    value.scalar = text;
    value.quoted = tag == "!";
    add(std::move(value), anchor);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto known = anchors_.find(anchor);
    // The anchor of a collection is known only at its end, so that a value which contains itself ends here.
    if (known == anchors_.end()) fail(mark, "an alias (*name) inside the value that it names");
    values_ += count(known->second);
    refuse_too_many(mark);  // before they are copied
    Value copy = known->second;
    copy.position = position(mark);
    add(std::move(copy), 0);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    if (tag != "?" && !tag.empty()) refuse_tag(mark, tag);
    open(Value::Kind::list, mark, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    if (tag != "?" && !tag.empty()) refuse_tag(mark, tag);
    open(Value::Kind::map, mark, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    Value value;
    YAML::anchor_t anchor;
    bool key_is_next;  // in a map
    std::unordered_map<std::string, int> lines_of_keys = {};
  };

  Position position(const YAML::Mark& mark) const {
    return lines_ ? Position{source_, mark.line + 1, mark.column + 1} : Position{source_, 0, 0};
  }

  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& message) const {
    throw ConfigError(position(mark).text() + ": " + message);
  }
  [[noreturn]] void refuse_tag(const YAML::Mark& mark, const std::string& tag) const {
    fail(mark, "found the tag '" + tag + "'; expected a plain value, without tags");
  }

  void refuse_too_many(const YAML::Mark& mark) const {
    if (values_ > max_values) fail(mark, "more than 100,000 values (through aliases?); expected a configuration");
  }

  Value make(Value::Kind kind, const YAML::Mark& mark) {
    ++values_;
    refuse_too_many(mark);
    Value value;
    value.kind = kind;
    value.position = position(mark);
    return value;
  }

  void open(Value::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (!open_.empty() && open_.back().key_is_next)
      fail(mark, "found a list or mapping as a key; expected a text (or is a bracket left open?)");
    if (open_.size() >= max_levels) fail(mark, "lists and mappings within each other, more than 100 deep");
    open_.push_back({make(kind, mark), anchor, kind == Value::Kind::map});
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    add(std::move(done.value), done.anchor);
  }

  void add(Value value, YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = value;
    if (open_.empty()) {
      root_ = std::move(value);
      return;
    }
    Open& parent = open_.back();
    if (parent.value.kind == Value::Kind::list) {
      parent.value.items.push_back(std::move(value));
    } else if (parent.key_is_next) {
      add_key(parent.value, value);
      parent.key_is_next = false;
    } else {
      Entry& entry = parent.value.entries.back();
      // The parser places what is not written where it noticed, a line further down.
      if (value.kind == Value::Kind::nothing) value.position = entry.position;
      entry.value = std::move(value);
      parent.key_is_next = true;
    }
  }

  void add_key(Value& map, const Value& key) {
    if (key.kind != Value::Kind::scalar) {
      throw ConfigError(key.position.text() + ": found " + key.found() + " as a key; expected a text");
    }
    const auto [before, is_new] = open_.back().lines_of_keys.emplace(key.scalar, key.position.line);
    if (!is_new) {
      throw ConfigError(key.position.text() + ": the key '" + shown(key.scalar) +
                        "' is written twice; it stands in line " + std::to_string(before->second) + " already");
    }
    map.entries.push_back({key.scalar, key.position, {}});
  }

  std::shared_ptr<const std::string> source_;
  bool lines_;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Value> anchors_;
  Value root_;
  std::size_t values_ = 0;
};

// What the parser says of it tells nobody that it is a tab.
void refuse_tab_as_indentation(std::string_view text, int line, const std::shared_ptr<const std::string>& source,
                               bool lines) {
  std::size_t at = 0;
  for (int i = 0; i < line && at != std::string_view::npos; ++i) {
    at = text.find('\n', at);
    if (at != std::string_view::npos) ++at;
  }
  if (at == std::string_view::npos) return;
  const std::size_t end = text.find_first_not_of(" \t", at), tab = text.find('\t', at);
  if (tab < std::min(end, text.size())) {
    throw ConfigError(position_of(text, tab, source, lines).text() + ": a tab as indentation; YAML takes spaces only");
  }
}

}  // namespace

Value parse_yaml(const std::string& text, const std::shared_ptr<const std::string>& source, bool lines) {
  refuse_what_is_no_text(text, source, lines);
  std::istringstream stream(text);
  try {
    YAML::Parser parser(stream);
    Builder builder(source, lines);
    if (!parser.HandleNextDocument(builder)) return Value{.position = {source, lines ? 1 : 0, 1}};
    Builder second(source, lines);
    if (parser.HandleNextDocument(second)) {
      throw ConfigError(second.take().position.text() + ": a second document after '---'; expected one");
    }
    return builder.take();
  } catch (const YAML::Exception& e) {
    refuse_tab_as_indentation(text, e.mark.line, source, lines);
    const Position where{source, lines ? e.mark.line + 1 : 0, e.mark.column + 1};
    throw ConfigError(where.text() + ": not YAML: " + e.msg);
  }
}

}  // namespace mobula::config
