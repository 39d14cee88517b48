#include "runtime/config/value.h"

#include <algorithm>

namespace mobula::config {

std::string Position::text() const {
  const std::string name = source ? *source : std::string("?");
  return line == 0 ? name : name + ":" + std::to_string(line) + ":" + std::to_string(column);
}

const Value* Value::find(std::string_view key) const {
  const auto at = std::ranges::find(entries, key, &Entry::key);
  return at == entries.end() ? nullptr : &at->value;
}

Value* Value::find(std::string_view key) {
  const auto at = std::ranges::find(entries, key, &Entry::key);
  return at == entries.end() ? nullptr : &at->value;
}

std::string Value::found() const {
  switch (kind) {
    case Kind::nothing:
      return "nothing";
    case Kind::list:
      return "a list";
    case Kind::map:
      return "a mapping";
    case Kind::scalar:
      break;
  }
  const char* quote = quoted ? "\"" : "'";
  // A page of text by mistake (a missing quote) would bury the message.
  const std::string shown = scalar.size() <= 60 ? scalar : scalar.substr(0, 57) + "...";
  return quote + shown + quote;
}

}  // namespace mobula::config
