#include "runtime/config/document.h"

#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>

#include "runtime/config/nearest.h"

namespace mobula::config {

namespace {

constexpr std::streamsize max_bytes = 16 << 20;

std::shared_ptr<const std::string> shared_name(std::string_view name) {
  return std::make_shared<const std::string>(name);
}

std::vector<std::string> split(std::string_view path) {
  std::vector<std::string> keys;
  while (!path.empty()) {
    const auto dot = path.find('.');
    keys.emplace_back(path.substr(0, dot));
    if (dot == std::string_view::npos) break;
    path.remove_prefix(dot + 1);
    if (path.empty()) keys.emplace_back();
  }
  return keys;
}

std::optional<std::size_t> index_of(std::string_view key) {
  std::size_t index = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), index);
  if (error != std::errc{} || end != key.data() + key.size()) return std::nullopt;
  return index;
}

std::string read_file(const std::filesystem::path& file) {
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) {
    throw ConfigError("cannot read the configuration file '" + file.string() +
                      "': it is a directory; name a YAML file");
  }
  errno = 0;
  std::ifstream in(file, std::ios::binary);
  std::string text;
  char buffer[64 * 1024];
  while (in) {
    in.read(buffer, sizeof buffer);
    text.append(buffer, static_cast<std::size_t>(in.gcount()));
    if (static_cast<std::streamsize>(text.size()) > max_bytes) {
      throw ConfigError("cannot read the configuration file '" + file.string() +
                        "': it has more than 16 MiB; name a YAML file");
    }
  }
  if (!in.eof()) {
    throw ConfigError("cannot read the configuration file '" + file.string() + "': " + std::strerror(errno));
  }
  return text;
}

}  // namespace

Document Document::load(const std::filesystem::path& file) {
  return parse(read_file(file), file.string());
}

Document Document::parse(const std::string& text, std::string_view name) {
  Document document = empty(name);
  Value root = parse_yaml(text, document.source_);
  if (root.kind == Value::Kind::nothing) {
    throw ConfigError(document.name() + ":1:1: the file is empty; expected lines such as 'key: value'");
  }
  if (root.kind != Value::Kind::map) {
    throw ConfigError(root.position.text() + ": found " + root.found() + "; expected lines such as 'key: value'");
  }
  document.root_ = std::move(root);
  return document;
}

Document Document::empty(std::string_view name) {
  Document document;
  document.source_ = shared_name(name);
  document.root_.kind = Value::Kind::map;
  document.root_.position = {document.source_, 0, 0};
  return document;
}

void Document::set(std::string_view assignment) {
  const std::string shown = "--set " + std::string(assignment);
  const auto equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0) {
    throw ConfigError(shown + ": expected key=value, such as algorithm.lr=3e-4");
  }
  const Position position{shared_name(shown), 0, 0};
  Value value = parse_yaml(std::string(assignment.substr(equals + 1)), position.source, false);

  Value changed = root_;
  Value* at = &changed;
  std::string so_far;
  for (const auto& key : split(assignment.substr(0, equals))) {
    if (key.empty()) throw ConfigError(shown + ": an empty key; expected dotted keys, such as algorithm.lr");
    if (at->kind == Value::Kind::nothing) *at = Value{.kind = Value::Kind::map, .position = position};
    Value* next = nullptr;
    if (at->kind == Value::Kind::list) {
      const auto index = index_of(key);
      if (!index || *index >= at->items.size()) {
        throw ConfigError(shown + ": '" + so_far + "' is a list of " + std::to_string(at->items.size()) + " (" +
                          at->position.text() + "); expected a number below that in place of '" + key + "'");
      }
      next = &at->items[*index];
    } else if (at->kind == Value::Kind::map) {
      next = at->find(key);
      if (next == nullptr) {
        at->entries.push_back({key, position, Value{.position = position}});
        next = &at->entries.back().value;
      }
    } else {
      throw ConfigError(shown + ": '" + so_far + "' is " + at->found() + " (" + at->position.text() +
                        "), which has no key '" + key + "'");
    }
    so_far += (so_far.empty() ? "" : ".") + key;
    at = next;
  }
  *at = std::move(value);
  root_ = std::move(changed);
}

bool Document::erase(std::string_view path) {
  const auto dot = path.rfind('.');
  const std::string_view parent = dot == std::string_view::npos ? std::string_view() : path.substr(0, dot);
  const std::string_view key = dot == std::string_view::npos ? path : path.substr(dot + 1);
  auto* mapping = const_cast<Value*>(find(parent));  // of this document, which is not const here
  if (mapping == nullptr) return false;
  return std::erase_if(mapping->entries, [&](const Entry& entry) { return entry.key == key; }) > 0;
}

const Value* Document::find(std::string_view path) const {
  const Value* at = &root_;
  for (const auto& key : split(path)) {
    if (at->kind == Value::Kind::list) {
      const auto index = index_of(key);
      at = index && *index < at->items.size() ? &at->items[*index] : nullptr;
    } else {
      at = at->find(key);
    }
    if (at == nullptr) return nullptr;
  }
  return at;
}

std::optional<std::string> Document::text(std::string_view path) const {
  const Value* value = find(path);
  if (value == nullptr) return std::nullopt;
  if (value->kind != Value::Kind::scalar) throw error(path, "found " + value->found() + "; expected a text");
  return value->scalar;
}

std::string Document::choose(std::string_view path, std::span<const std::string> names) const {
  if (const auto dot = path.rfind('.'); dot != std::string_view::npos) {
    const Value* parent = find(path.substr(0, dot));
    if (parent != nullptr && parent->kind != Value::Kind::map && parent->kind != Value::Kind::nothing) {
      throw error(path.substr(0, dot), "found " + parent->found() + "; expected a mapping with the key '" +
                                           std::string(path.substr(dot + 1)) + "'");
    }
  }
  const auto chosen = text(path);
  if (!chosen) throw error(path, "missing" + expected_one_of("", names));
  for (const auto& name : names) {
    if (name == *chosen) return name;
  }
  throw error(path, "found '" + *chosen + "'" + expected_one_of(*chosen, names));
}

std::vector<std::string> Document::keys(std::string_view path) const {
  std::vector<std::string> names;
  if (const Value* value = find(path)) {
    for (const auto& entry : value->entries) names.push_back(entry.key);
  }
  return names;
}

ConfigError Document::error(std::string_view path, std::string_view message) const {
  // An absent value is reported where it could be written: at its nearest section.
  std::string_view place = path;
  const Value* value = find(place);
  while (value == nullptr) {
    const auto dot = place.rfind('.');
    place = dot == std::string_view::npos ? std::string_view{} : place.substr(0, dot);
    value = find(place);
  }
  std::string where = value->position.text() + ": ";
  if (!path.empty()) where += std::string(path) + ": ";
  return ConfigError(where + std::string(message));
}

}  // namespace mobula::config
