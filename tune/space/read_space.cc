#include "tune/space/read_space.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>

#include "runtime/config/config.h"

namespace mobula::tune {
namespace {

using config::ConfigError;
using config::Value;

const std::vector<std::string>& kinds() {
  static const std::vector<std::string> names{"uniform", "loguniform", "int", "choice", "grid"};
  return names;
}

bool is_kind(const std::string& key) {
  return std::find(kinds().begin(), kinds().end(), key) != kinds().end();
}

struct Found {
  std::string path;
  const Value* node;
  std::optional<Domain> domain = {};
  std::vector<When> when = {};
};

class Reader {
 public:
  explicit Reader(const config::Document& document) : document_(document) {}

  Space read(std::string_view skip) {
    const Value* root = document_.find("");
    for (const auto& entry : root->entries) {
      if (entry.key != skip) walk(entry.value, entry.key);
    }
    for (auto& found : found_) read_domain(found);
    for (auto& found : found_) read_conditions(found);
    return in_order();
  }

 private:
  void walk(const Value& value, const std::string& path) {
    if (value.kind == Value::Kind::list) {
      for (std::size_t i = 0; i < value.items.size(); ++i) walk(value.items[i], path + "." + std::to_string(i));
    }
    if (value.kind != Value::Kind::map) return;
    const bool space = std::any_of(value.entries.begin(), value.entries.end(),
                                   [](const auto& e) { return is_kind(e.key) && e.value.kind == Value::Kind::list; });
    if (space) {
      found_.push_back({path, &value});
      return;
    }
    for (const auto& entry : value.entries) walk(entry.value, path + "." + entry.key);
  }

  [[noreturn]] static void fail(const config::Position& position, const std::string& path, const std::string& message) {
    throw ConfigError(position.text() + ": " + path + ": " + message);
  }

  void read_domain(Found& found) {
    const config::Entry* kind = nullptr;
    const Value* step = nullptr;
    for (const auto& entry : found.node->entries) {
      if (is_kind(entry.key)) {
        if (kind != nullptr) {
          fail(entry.position, found.path, "a space is one of " + kind->key + " and " + entry.key + ", not both");
        }
        kind = &entry;
      } else if (entry.key == "step") {
        step = &entry.value;
      } else if (entry.key != "when") {
        std::vector<std::string> known = kinds();
        known.insert(known.end(), {"step", "when"});
        fail(entry.position, found.path,
             "unknown key '" + entry.key + "' in a space" + config::expected_one_of(entry.key, known));
      }
    }
    const auto& items = kind->value.items;
    const bool listed = kind->key == "choice" || kind->key == "grid";
    if (step != nullptr && (listed || kind->key == "loguniform")) {
      fail(step->position, found.path, kind->key + " takes no step; use uniform or int, or list the values");
    }
    if (!listed && items.size() != 2) {
      fail(kind->value.position, found.path,
           "found a list of " + std::to_string(items.size()) + "; expected " + kind->key + ": [low, high]");
    }
    try {
      if (listed) {
        std::vector<tune::Value> values;
        for (const auto& item : items) values.emplace_back(as_text(item, found.path));
        found.domain = kind->key == "choice" ? choice(std::move(values)) : grid(std::move(values));
      } else if (kind->key == "int") {
        found.domain = integer(whole(items[0], found.path), whole(items[1], found.path),
                               step != nullptr ? whole(*step, found.path) : 1);
      } else if (kind->key == "uniform") {
        found.domain = uniform(number(items[0], found.path), number(items[1], found.path),
                               step != nullptr ? number(*step, found.path) : 0);
      } else {
        found.domain = loguniform(number(items[0], found.path), number(items[1], found.path));
      }
    } catch (const TuneError& error) {
      fail(kind->value.position, found.path, error.what());
    }
  }

  void read_conditions(Found& found) {
    const Value* when = found.node->find("when");
    if (when == nullptr) return;
    if (when->kind != Value::Kind::map || when->entries.empty()) {
      fail(when->position, found.path + ".when", "found " + when->found() + "; expected {parameter: value}");
    }
    for (const auto& entry : when->entries) {
      const Found& parent = parent_of(found, entry);
      std::vector<const Value*> written;
      if (entry.value.kind == Value::Kind::list) {
        for (const auto& item : entry.value.items) written.push_back(&item);
      } else {
        written.push_back(&entry.value);
      }
      When condition{parent.path, {}};
      for (const Value* value : written) condition.values.push_back(value_of(parent, *value, found.path + ".when"));
      found.when.push_back(std::move(condition));
    }
  }

  const Found& parent_of(const Found& found, const config::Entry& entry) const {
    const auto dot = found.path.rfind('.');
    const std::string sibling = (dot == std::string::npos ? "" : found.path.substr(0, dot + 1)) + entry.key;
    for (const auto& name : {sibling, entry.key}) {
      for (const auto& other : found_) {
        if (other.path == name && &other != &found) return other;
      }
    }
    std::vector<std::string> known;
    for (const auto& other : found_) {
      if (&other != &found) known.push_back(other.path);
    }
    fail(entry.position, found.path + ".when",
         "'" + entry.key + "' is no parameter of the space" + config::expected_one_of(entry.key, known));
  }

  /// A value of the condition as the parent has it.
  tune::Value value_of(const Found& parent, const Value& value, const std::string& path) const {
    const Domain& domain = *parent.domain;
    if (domain.kind == Domain::Kind::integer) return whole(value, path);
    if (domain.values.empty()) {
      if (domain.size() == 0) {
        fail(value.position, path, "'" + parent.path + "' takes any number, so it never is just this one");
      }
      const double wanted = number(value, path);
      for (std::int64_t i = 0; i < domain.size(); ++i) {
        const double there = std::get<double>(domain.nth(i));
        if (std::abs(there - wanted) <= 1e-9 * domain.step) return there;
      }
      fail(value.position, path, "'" + parent.path + "' never is " + value.found());
    }
    const std::string text = as_text(value, path);
    std::vector<std::string> known;
    for (const auto& one : domain.values) known.push_back(std::get<std::string>(one));
    if (std::find(known.begin(), known.end(), text) == known.end()) {
      fail(value.position, path,
           "'" + parent.path + "' never is '" + text + "'" + config::expected_one_of(text, known));
    }
    return text;
  }

  Space in_order() {
    Space space;
    std::vector<bool> done(found_.size(), false);
    for (std::size_t left = found_.size(); left > 0;) {
      const std::size_t before = left;
      for (std::size_t i = 0; i < found_.size(); ++i) {
        if (done[i]) continue;
        const auto added = [&](const When& when) {
          const auto& p = space.parameters();
          return std::any_of(p.begin(), p.end(), [&](const auto& one) { return one.name == when.parameter; });
        };
        if (!std::all_of(found_[i].when.begin(), found_[i].when.end(), added)) continue;
        space.add(found_[i].path, *found_[i].domain, found_[i].when);
        done[i] = true;
        --left;
      }
      if (left < before) continue;
      const auto stuck = static_cast<std::size_t>(std::find(done.begin(), done.end(), false) - done.begin());
      fail(found_[stuck].node->position, found_[stuck].path, "its condition depends, in the end, on itself");
    }
    return space;
  }

  static double number(const Value& value, const std::string& path) {
    if (value.kind == Value::Kind::scalar && !value.quoted) {
      const std::string& text = value.scalar;
      const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
      double result = 0;
      const auto [end, error] = std::from_chars(begin, text.data() + text.size(), result);
      if (error == std::errc{} && end == text.data() + text.size() && std::isfinite(result)) return result;
    }
    fail(value.position, path, "found " + value.found() + "; expected a number");
  }

  static std::int64_t whole(const Value& value, const std::string& path) {
    if (value.kind == Value::Kind::scalar && !value.quoted) {
      const std::string& text = value.scalar;
      const char* begin = text.data() + (text.starts_with('+') ? 1 : 0);
      std::int64_t result = 0;
      const auto [end, error] = std::from_chars(begin, text.data() + text.size(), result);
      if (error == std::errc{} && end == text.data() + text.size()) return result;
    }
    fail(value.position, path, "found " + value.found() + "; expected an integer");
  }

  /// The value as YAML in one line.
  static std::string as_text(const Value& value, const std::string& path) {
    if (value.kind == Value::Kind::scalar) return value.quoted ? config::yaml_scalar(value.scalar) : value.scalar;
    if (value.kind == Value::Kind::nothing) return "~";
    if (value.kind == Value::Kind::map)
      fail(value.position, path, "a choice may be a literal or a list, not a mapping");
    std::string text = "[";
    for (std::size_t i = 0; i < value.items.size(); ++i) text += (i ? ", " : "") + as_text(value.items[i], path);
    return text + "]";
  }

  const config::Document& document_;
  std::vector<Found> found_;
};

}  // namespace

Space read_space(const config::Document& document, std::string_view skip) {
  return Reader(document).read(skip);
}

}  // namespace mobula::tune
