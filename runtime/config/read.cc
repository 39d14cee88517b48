#include "runtime/config/read.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>

#include "runtime/config/dump.h"
#include "runtime/config/keys.h"
#include "runtime/config/nearest.h"

namespace mobula::config {

namespace {

std::string join(std::string_view path, std::string_view key) {
  return path.empty() ? std::string(key) : std::string(path) + "." + std::string(key);
}

[[noreturn]] void fail(const Position& position, std::string_view path, const std::string& message) {
  throw ConfigError(position.text() + ": " + (path.empty() ? "" : std::string(path) + ": ") + message);
}

// The names that a struct describes, without descending into them.
class Names : public Fields {
 public:
  std::vector<std::string> names;

 private:
  bool enter(std::string_view name, const FieldInfo&) override {
    names.emplace_back(name);
    return false;
  }
  void leave() override {}
  void boolean(bool&) override {}
  void integer(std::int64_t&, std::int64_t, std::int64_t) override {}
  void natural(std::uint64_t&, std::uint64_t) override {}
  void number(double&, bool) override {}
  void text(std::string&) override {}
  void list(List&) override {}
  void optional(Optional&) override {}
  void group(Group&) override {}
};

bool is_non_finite_word(std::string_view text) {
  if (text.starts_with('+') || text.starts_with('-')) text.remove_prefix(1);
  if (text.starts_with('.')) text.remove_prefix(1);
  std::string lower;
  for (const char c : text) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower == "inf" || lower == "infinity" || lower == "nan";
}

enum class Parsed { good, not_a_number, too_large };

template <class T>
Parsed parse_number(std::string_view text, T& value) {
  if (text.starts_with('+')) text.remove_prefix(1);
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return Parsed::not_a_number;
  return error == std::errc{} ? Parsed::good : Parsed::too_large;
}

class Reader : public Fields {
 public:
  // `map` may be null: nothing is written, so only required fields and the struct's own check remain.
  Reader(const Value* map, const Position& position, std::string path)
      : value_(map), position_(position), path_(std::move(path)) {}

  void read(Group& group, std::initializer_list<std::string_view> also) {
    if (value_ != nullptr) {
      // An empty section is written as `evaluate:` with nothing under it.
      if (value_->kind != Value::Kind::map && value_->kind != Value::Kind::nothing) {
        fail(position_, path_, "found " + value_->found() + "; expected a mapping" + keys_of(group));
      }
      refuse_unknown_keys(group, also);
    }
    group.describe(*this);
    if (const std::string problem = group.problem(); !problem.empty()) complain(problem);
  }

 private:
  // What a struct says of itself is told at the key that it names ("grace: it is above max"), if that was written.
  [[noreturn]] void complain(const std::string& problem) const {
    const auto colon = problem.find(": ");
    const std::string key = problem.substr(0, colon == std::string::npos ? 0 : colon);
    const Value* written = value_ == nullptr || key.empty() ? nullptr : value_->find(key);
    if (written == nullptr) fail(position_, path_, problem);
    fail(written->position, join(path_, key), problem.substr(colon + 2));
  }

  // Unknown keys come first: a misspelt name is the cause of whatever else would be said about the right one.
  void refuse_unknown_keys(Group& group, std::initializer_list<std::string_view> also) {
    Names known;
    for (const auto name : also) known.names.emplace_back(name);
    group.describe(known);
    for (const auto& entry : value_->entries) {
      if (std::ranges::find(known.names, entry.key) == known.names.end()) {
        throw ConfigError(entry.position.text() + ": unknown key '" + shown(join(path_, entry.key)) + "'" +
                          expected_one_of(entry.key, known.names));
      }
    }
  }

  static std::string keys_of(Group& group) {
    Names known;
    group.describe(known);
    return known.names.empty() ? "" : " with keys such as '" + known.names.front() + "'";
  }

  // A field is read by a reader of its own position; this one only finds it.
  bool enter(std::string_view name, const FieldInfo& info) override {
    const Value* written = value_ == nullptr ? nullptr : value_->find(name);
    if (written == nullptr) {
      if (info.required) fail(position_, join(path_, name), "missing, and it is required: " + about(info));
      return false;
    }
    outer_.push_back({value_, position_, path_, info_});
    value_ = written;
    position_ = written->position;
    path_ = join(path_, name);
    info_ = &info;
    return true;
  }

  void leave() override {
    value_ = outer_.back().value;
    position_ = outer_.back().position;
    path_ = outer_.back().path;
    info_ = outer_.back().info;
    outer_.pop_back();
  }

  static std::string about(const FieldInfo& info) {
    if (!info.help.empty()) return std::string(info.help);
    const std::string range = range_text(info);
    return range.empty() ? "it has no default" : range;
  }

  [[noreturn]] void wrong(const std::string& found, const std::string& expected) const {
    fail(position_, path_, "found " + found + "; expected " + expected);
  }

  std::string expected(const std::string& type, const FieldInfo& info) const {
    std::string range = range_text(info);
    if (!info.choices.empty()) return range;
    std::string text = type;
    if (!range.empty())
      text += " " + std::string(range.starts_with('[') || range.starts_with('(') ? "in " : "") + range;
    if (!info.unit.empty()) text += " (" + std::string(info.unit) + ")";
    return text;
  }

  const std::string& scalar(const std::string& type) const {
    if (value_->kind != Value::Kind::scalar) wrong(value_->found(), expected(type, *info_));
    return value_->scalar;
  }

  void check_range(double number, const std::string& type, const FieldInfo& info) const {
    if ((info.min && number < *info.min) || (info.max && number > *info.max) || (info.above && number <= *info.above) ||
        (info.below && number >= *info.below)) {
      wrong(value_->scalar + ", which is out of range", expected(type, info));
    }
  }

  void boolean(bool& value) override {
    const std::string& text = scalar("true or false");
    if (value_->quoted || (text != "true" && text != "false")) wrong(value_->found(), "true or false");
    value = text == "true";
  }

  template <class T>
  void whole(T& value, T low, T high) {
    const FieldInfo& info = *info_;
    const std::string& text = scalar("an integer");
    T parsed{};
    Parsed result = value_->quoted ? Parsed::not_a_number : parse_number(text, parsed);
    double as_double = 0;
    if (result == Parsed::not_a_number && !value_->quoted && parse_number(text, as_double) == Parsed::good) {
      // 1e6 is an integer too, as far as a double holds all integers; -1 is one even for a type without a sign.
      if (std::floor(as_double) != as_double) wrong(value_->found(), expected("an integer", info));
      if (std::abs(as_double) > 0x1p53) wrong(text, "an integer of this size in full, digit by digit");
      result = as_double >= static_cast<double>(low) ? Parsed::good : Parsed::too_large;
      if (result == Parsed::good) parsed = static_cast<T>(as_double);
    }
    if (result == Parsed::not_a_number) wrong(value_->found(), expected("an integer", info));
    if (result == Parsed::too_large || parsed < low || parsed > high) {
      // The bounds of the type in full: 2^64 - 1 is no double.
      const std::string from = info.min ? number_text(*info.min) : std::to_string(low);
      const std::string to = info.max ? number_text(*info.max) : std::to_string(high);
      wrong(text + ", which is out of range", "an integer in [" + from + ", " + to + "]");
    }
    check_range(static_cast<double>(parsed), "an integer", info);
    value = parsed;
  }

  void integer(std::int64_t& value, std::int64_t low, std::int64_t high) override { whole(value, low, high); }
  void natural(std::uint64_t& value, std::uint64_t high) override { whole<std::uint64_t>(value, 0, high); }

  void number(double& value, bool single_precision) override {
    const std::string& text = scalar("a number");
    if (!value_->quoted && is_non_finite_word(text)) {
      wrong(value_->found() + ", which is not finite", expected("a number", *info_));
    }
    double parsed = 0;
    const Parsed result = value_->quoted ? Parsed::not_a_number : parse_number(text, parsed);
    if (result == Parsed::not_a_number) wrong(value_->found(), expected("a number", *info_));
    const double largest =
        single_precision ? static_cast<double>(std::numeric_limits<float>::max()) : std::numeric_limits<double>::max();
    if (result == Parsed::too_large || !(std::abs(parsed) <= largest)) {
      wrong(text + ", which a " + (single_precision ? "float" : "double") + " cannot hold",
            expected("a number", *info_));
    }
    check_range(parsed, "a number", *info_);
    value = parsed;
  }

  void text(std::string& value) override {
    const std::string& written = scalar("a text");
    if (!info_->choices.empty() && std::ranges::find(info_->choices, written) == info_->choices.end()) {
      const std::vector<std::string> choices(info_->choices.begin(), info_->choices.end());
      fail(position_, path_, "found " + value_->found() + expected_one_of(written, choices));
    }
    value = written;
  }

  void list(List& value) override {
    if (value_->kind != Value::Kind::list) wrong(value_->found(), "a list, such as [1, 2]");
    if (!value.resize(value_->items.size())) {
      wrong("a list of " + std::to_string(value_->items.size()), "a list of " + std::to_string(value.size()));
    }
    const Value* whole = value_;
    for (std::size_t i = 0; i < whole->items.size(); ++i) {
      outer_.push_back({value_, position_, path_, info_});
      value_ = &whole->items[i];
      position_ = value_->position;
      path_ = join(path_, std::to_string(i));
      value.visit(i, *this);
      leave();
    }
  }

  void optional(Optional& value) override {
    if (value_->kind == Value::Kind::nothing) {
      value.reset();
    } else {
      value.visit(*this);
    }
  }

  void group(Group& value) override { read(value, {}); }

  void number_or_group(NumberOrGroup& value) override {
    if (value_->kind == Value::Kind::scalar) return number(value.number(), false);
    const FieldInfo& info = *info_;
    if (value_->kind != Value::Kind::map) {
      wrong(value_->found(), expected("a number", info) + ", or a schedule such as {linear: [0.001, 0]}");
    }
    value.number() = 0;  // what another kind had held is gone
    read(value.group(), {});
    // An open bound is one that may be approached: a learning rate may fall to 0.
    const auto [least, most] = value.range();
    const auto low = info.above ? info.above : info.min, high = info.below ? info.below : info.max;
    if ((low && least < *low) || (high && most > *high)) {
      wrong("values from " + number_text(least) + " to " + number_text(most) + ", which are out of range",
            expected("numbers", info));
    }
  }

  struct Outer {
    const Value* value;
    Position position;
    std::string path;
    const FieldInfo* info;
  };
  std::vector<Outer> outer_;

  const Value* value_;
  Position position_;
  std::string path_;
  const FieldInfo* info_ = nullptr;
};

}  // namespace

void read_group(const Document& document, std::string_view path, Fields::Group& group,
                std::initializer_list<std::string_view> also) {
  const Value* map = document.find(path);
  const Position position =
      map != nullptr ? map->position : Position{std::make_shared<std::string>(document.name()), 0, 0};
  Reader(map, position, std::string(path)).read(group, also);
}

}  // namespace mobula::config
