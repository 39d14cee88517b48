#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace mobula::tune {

/// One value of a hyper-parameter. A choice written in a YAML file is the text of the choice ("[64, 64]").
using Value = std::variant<std::int64_t, double, std::string>;
/// Reads back to an equal value: numbers with the fewest digits that do.
std::string to_text(const Value& value);

/// A space, a study or its journal that cannot be used: what was found and what to do about it.
class TuneError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The hyper-parameters of one trial, in the order of the space; conditional ones only where their condition holds.
/// The getters throw TuneError for a name that is not there or a value of another type; an integer is also a number.
class Params {
 public:
  using Entry = std::pair<std::string, Value>;
  Params() = default;
  explicit Params(std::vector<Entry> entries) : entries_(std::move(entries)) {}
  Params(std::initializer_list<Entry> entries) : entries_(entries) {}

  bool has(std::string_view name) const { return find(name) != nullptr; }
  const Value* find(std::string_view name) const;
  double number(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  const std::string& text(std::string_view name) const;

  const std::vector<Entry>& entries() const { return entries_; }
  friend bool operator==(const Params&, const Params&) = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(entries_);
  }

 private:
  const Value& get(std::string_view name) const;
  std::vector<Entry> entries_;
};

/// The values that one hyper-parameter may take. Both bounds are among them, whatever the kind.
struct Domain {
  enum class Kind { uniform, loguniform, integer, choice, grid };
  Kind kind = Kind::uniform;
  double low = 0, high = 1;
  double step = 0;  ///< 0: any value; else low, low + step, ... up to high
  std::vector<Value> values = {};

  /// The value at a fraction u in [0, 1] of the domain, by its measure: uniform in x, in log x, or over the values.
  Value at(double u) const;
  /// How many values there are; 0 for a continuum. nth(0) is the first.
  std::int64_t size() const;
  Value nth(std::int64_t index) const;
};

/// These throw TuneError for bounds that are not finite or not in order, an empty list, and so on.
Domain uniform(double low, double high, double step = 0);
Domain loguniform(double low, double high);
Domain integer(std::int64_t low, std::int64_t high, std::int64_t step = 1);
Domain choice(std::vector<Value> values);
Domain choice(std::initializer_list<Value> values);
/// Every value is tried: `grid` search walks through all combinations, the others take them in turn.
Domain grid(std::vector<Value> values);
Domain grid(std::initializer_list<Value> values);

/// The parameter is there only in trials in which another one has one of these values.
struct When {
  std::string parameter;
  std::vector<Value> values;
};

struct Parameter {
  std::string name;
  Domain domain;
  std::vector<When> when = {};  ///< all have to hold
};

/// What is searched: named domains, in order. Value type.
///
///   tune::Space space;
///   space.add("lr", tune::loguniform(1e-5, 1e-2)).add("optimizer", tune::choice({"adam", "sgd"}));
///   space.add("momentum", tune::uniform(0, 1), {{"optimizer", {"sgd"}}});
class Space {
 public:
  /// Conditions refer to parameters that were added before. Throws TuneError for a name that is taken or unknown.
  Space& add(std::string name, Domain domain, std::vector<When> when = {});

  const std::vector<Parameter>& parameters() const { return parameters_; }
  bool empty() const { return parameters_.empty(); }

  /// Asks `value` for the value of each parameter (by its index) whose condition holds.
  Params make(const std::function<Value(std::size_t)>& value) const;
  /// Every combination, the last parameter varying fastest. Throws TuneError for a continuum, naming it, or for more
  /// than a million.
  std::vector<Params> all() const;
  /// How many combinations of the `grid` parameters there are, conditions aside; at least 1.
  std::int64_t grid_size() const;
  /// The whole space in one line, equal for equal spaces.
  std::string describe() const;

 private:
  bool holds(const Parameter& parameter, const std::vector<Params::Entry>& so_far) const;
  std::vector<Parameter> parameters_;
};

}  // namespace mobula::tune
