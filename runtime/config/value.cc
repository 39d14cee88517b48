#include "runtime/config/value.h"

#include <algorithm>

namespace mobula::config {

std::string shown(std::string_view text) {
  // A page of text by mistake (a missing quote) would bury the message.
  constexpr std::size_t most = 60;
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool begins = (byte & 0xC0U) != 0x80U;
    if (begins && out.size() >= most - 3 && text.size() > most) return out + "...";
    if (byte < 0x20 || byte == 0x7F) {
      constexpr const char* digits = "0123456789abcdef";
      out += {'\\', 'x', digits[byte >> 4U], digits[byte & 15U]};
    } else {
      out += text[i];
    }
  }
  return out;
}

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
  return quote + shown(scalar) + quote;
}

}  // namespace mobula::config
