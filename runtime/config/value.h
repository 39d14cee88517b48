// A parsed configuration file as a tree of plain values, each of which knows where it was written.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::config {

// Where something was written. Lines and columns count from 1; line 0 means the source as a whole (an override).
struct Position {
  std::shared_ptr<const std::string> source;
  int line = 0;
  int column = 0;

  std::string text() const;  // "run.yaml:3:7"
};

struct Entry;

// A text as messages show it: what would be too long is cut, what would move a terminal's cursor is written "\x1b".
std::string shown(std::string_view text);

struct Value {
  enum class Kind { nothing, scalar, list, map };

  Kind kind = Kind::nothing;
  Position position;
  std::string scalar;          // as written, quotes and escapes resolved
  bool quoted = false;         // "3" is a text, 3 is a number
  std::vector<Value> items;    // of a list
  std::vector<Entry> entries;  // of a map, in the order of the file, keys distinct

  const Value* find(std::string_view key) const;
  Value* find(std::string_view key);
  std::string found() const;  // for messages: "'abc'", "a list", "a mapping", "nothing"
};

struct Entry {
  std::string key;
  Position position;  // of the key
  Value value;
};

// The value of a YAML text: one document without tags; anchors and aliases are allowed. Throws ConfigError on syntax
// errors, duplicate keys, keys that are no text, a second document, bytes that are no text (UTF-8 without control
// characters), and on what no configuration has: more than 100,000 values or 100 levels. Empty text gives
// Kind::nothing. `lines` is false for a text that stands on a command line: positions are then the source as a whole.
Value parse_yaml(const std::string& text, const std::shared_ptr<const std::string>& source, bool lines = true);

}  // namespace mobula::config
