// A configuration file in memory, with the overrides of the command line laid over it. It knows no schema: structs are
// read out of it by read.h.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/config/error.h"
#include "runtime/config/value.h"

namespace mobula::config {

// Value type; not synchronised. Paths are dotted keys from the top ("algorithm.lr"; "stop.0" is a list's first
// element); the empty path is the whole document. All failures are ConfigError.
class Document {
 public:
  // Throws if the file cannot be read, is empty, has a syntax error or duplicate keys, or is no mapping at its top.
  static Document load(const std::filesystem::path& file);
  // As load; `name` stands for the file name in messages.
  static Document parse(const std::string& text, std::string_view name);
  // No keys; for programs that have only overrides.
  static Document empty(std::string_view name);

  // Lays "algorithm.lr=3e-4" over the document: the value is YAML ("[64, 64]", "{a: 1}", "~"), missing mappings on the
  // way are made, lists can be changed but not grown. On failure the document is as it was.
  void set(std::string_view assignment);

  // Takes the key at the path out of its mapping; false if it is not there.
  bool erase(std::string_view path);

  bool has(std::string_view path) const { return find(path) != nullptr; }
  // The text at the path; nothing if it is absent. Throws if a list, a mapping or nothing is written there.
  std::optional<std::string> text(std::string_view path) const;
  // The text at the path, which must be there and be one of the names: how a section that depends on `name:` is chosen.
  std::string choose(std::string_view path, std::span<const std::string> names) const;
  // The keys of the mapping at the path, in the order of the file; none if it is absent.
  std::vector<std::string> keys(std::string_view path) const;

  // An error about the value at the path: "FILE:LINE:COLUMN: PATH: MESSAGE".
  ConfigError error(std::string_view path, std::string_view message) const;

  const std::string& name() const { return *source_; }
  // Null if absent; valid until the document is changed or destroyed.
  const Value* find(std::string_view path) const;

 private:
  std::shared_ptr<const std::string> source_;
  Value root_;
};

}  // namespace mobula::config
