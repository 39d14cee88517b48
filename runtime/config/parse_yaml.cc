#include <yaml-cpp/anchor.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <unordered_map>

#include "runtime/config/error.h"
#include "runtime/config/value.h"

namespace mobula::config {

namespace {

// Aliases copy what they name, so a few lines can ask for billions of values; no configuration comes near this.
constexpr std::size_t max_values = 100'000;

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

  Value make(Value::Kind kind, const YAML::Mark& mark) {
    if (++values_ > max_values) fail(mark, "more than 100,000 values (through aliases?); expected a configuration");
    Value value;
    value.kind = kind;
    value.position = position(mark);
    return value;
  }

  void open(Value::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (!open_.empty() && open_.back().key_is_next) fail(mark, "found a list or mapping as a key; expected a text");
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

  static void add_key(Value& map, const Value& key) {
    if (key.kind != Value::Kind::scalar) {
      throw ConfigError(key.position.text() + ": found " + key.found() + " as a key; expected a text");
    }
    for (const auto& entry : map.entries) {
      if (entry.key == key.scalar) {
        throw ConfigError(key.position.text() + ": the key '" + key.scalar + "' is written twice; it stands in line " +
                          std::to_string(entry.position.line) + " already");
      }
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

}  // namespace

Value parse_yaml(const std::string& text, const std::shared_ptr<const std::string>& source, bool lines) {
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
    const Position where{source, lines ? e.mark.line + 1 : 0, e.mark.column + 1};
    throw ConfigError(where.text() + ": not YAML: " + e.msg);
  }
}

}  // namespace mobula::config
