#include <mobula/tune/space.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace mobula::tune {
namespace {

constexpr double kLargestInteger = 9007199254740992.0;  // 2^53: beyond it not every integer is a double
constexpr std::size_t kMostCombinations = 1'000'000;

std::string number_text(double value) {
  char buffer[40];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value);
  std::string text(buffer, end);
  // A number stays one of its kind when it is read back.
  if (text.find_first_of(".en") == std::string::npos) text += ".0";
  return text;
}

std::string kind_name(Domain::Kind kind) {
  switch (kind) {
    case Domain::Kind::uniform:
      return "uniform";
    case Domain::Kind::loguniform:
      return "loguniform";
    case Domain::Kind::integer:
      return "int";
    case Domain::Kind::choice:
      return "choice";
    case Domain::Kind::grid:
      break;
  }
  return "grid";
}

void check_bounds(const char* kind, double low, double high) {
  if (!std::isfinite(low) || !std::isfinite(high)) {
    throw TuneError(std::string(kind) + ": the bounds " + number_text(low) + " and " + number_text(high) +
                    " are not both finite");
  }
  if (!(low < high)) {
    throw TuneError(std::string(kind) + ": the lower bound " + number_text(low) + " is not below the upper bound " +
                    number_text(high));
  }
}

/// The nearest number of 15 digits: 0.1 + 0.05 is 0.15 for whoever reads the table, not 0.15000000000000002.
double tidy(double value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value, std::chars_format::general, 15).ptr;
  std::from_chars(text, end, value);
  return value;
}

/// The values of a stepped domain; the quotient may fall short of a whole number by rounding.
std::int64_t steps(double low, double high, double step) {
  return static_cast<std::int64_t>(std::floor((high - low) / step * (1 + 1e-12))) + 1;
}

std::vector<Value> distinct(const char* kind, std::vector<Value> values) {
  if (values.empty()) throw TuneError(std::string(kind) + ": the list is empty; give at least one value");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (std::find(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(i), values[i]) !=
        values.begin() + static_cast<std::ptrdiff_t>(i)) {
      throw TuneError(std::string(kind) + ": " + to_text(values[i]) + " is in the list twice");
    }
  }
  return values;
}

}  // namespace

std::string to_text(const Value& value) {
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return std::to_string(*integer);
  if (const auto* number = std::get_if<double>(&value)) return number_text(*number);
  return std::get<std::string>(value);
}

const Value* Params::find(std::string_view name) const {
  for (const auto& [key, value] : entries_) {
    if (key == name) return &value;
  }
  return nullptr;
}

const Value& Params::get(std::string_view name) const {
  if (const Value* value = find(name)) return *value;
  std::string known;
  for (const auto& entry : entries_) known += (known.empty() ? "" : ", ") + entry.first;
  throw TuneError("the trial has no parameter '" + std::string(name) + "'; it has " + (known.empty() ? "none" : known));
}

double Params::number(std::string_view name) const {
  const Value& value = get(name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return static_cast<double>(*integer);
  if (const auto* number = std::get_if<double>(&value)) return *number;
  throw TuneError("parameter '" + std::string(name) + "' is the text '" + to_text(value) + "'; ask for text()");
}

std::int64_t Params::integer(std::string_view name) const {
  const Value& value = get(name);
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  throw TuneError("parameter '" + std::string(name) + "' is " + to_text(value) + ", no integer");
}

const std::string& Params::text(std::string_view name) const {
  const Value& value = get(name);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  throw TuneError("parameter '" + std::string(name) + "' is the number " + to_text(value) +
                  "; ask for number() or integer()");
}

Value Domain::at(double u) const {
  const double fraction = std::clamp(u, 0.0, 1.0);
  if (const std::int64_t n = size(); n > 0) {
    return nth(std::min(n - 1, static_cast<std::int64_t>(fraction * static_cast<double>(n))));
  }
  if (kind == Kind::loguniform) {
    return std::clamp(std::exp(std::log(low) + fraction * (std::log(high) - std::log(low))), low, high);
  }
  return std::clamp(low + fraction * (high - low), low, high);
}

std::int64_t Domain::size() const {
  switch (kind) {
    case Kind::uniform:
      return step > 0 ? steps(low, high, step) : 0;
    case Kind::loguniform:
      return 0;
    case Kind::integer:
      return steps(low, high, step);
    case Kind::choice:
    case Kind::grid:
      break;
  }
  return static_cast<std::int64_t>(values.size());
}

Value Domain::nth(std::int64_t index) const {
  if (!values.empty()) return values.at(static_cast<std::size_t>(index));
  const double value = std::min(high, tidy(low + static_cast<double>(index) * step));
  if (kind == Kind::integer) return static_cast<std::int64_t>(value);
  return value;
}

Domain uniform(double low, double high, double step) {
  check_bounds("uniform", low, high);
  if (!std::isfinite(step) || step < 0 || step > high - low) {
    throw TuneError("uniform: the step " + number_text(step) + " is not between 0 and the width of the range");
  }
  if (step > 0 && (high - low) / step > kLargestInteger) throw TuneError("uniform: the step is too small");
  return {.kind = Domain::Kind::uniform, .low = low, .high = high, .step = step};
}

Domain loguniform(double low, double high) {
  check_bounds("loguniform", low, high);
  if (low <= 0) {
    throw TuneError("loguniform: the lower bound " + number_text(low) + " is not above 0; a logarithm needs that");
  }
  return {.kind = Domain::Kind::loguniform, .low = low, .high = high};
}

Domain integer(std::int64_t low, std::int64_t high, std::int64_t step) {
  const auto a = static_cast<double>(low), b = static_cast<double>(high);
  check_bounds("int", a, b);
  if (std::max(std::abs(a), std::abs(b)) > kLargestInteger) throw TuneError("int: the bounds are beyond 2^53");
  if (step < 1 || step > high - low) {
    throw TuneError("int: the step " + std::to_string(step) + " is not between 1 and the width of the range");
  }
  return {.kind = Domain::Kind::integer, .low = a, .high = b, .step = static_cast<double>(step)};
}

Domain choice(std::vector<Value> values) {
  return {.kind = Domain::Kind::choice, .values = distinct("choice", std::move(values))};
}
Domain choice(std::initializer_list<Value> values) {
  return choice(std::vector<Value>(values));
}
Domain grid(std::vector<Value> values) {
  return {.kind = Domain::Kind::grid, .values = distinct("grid", std::move(values))};
}
Domain grid(std::initializer_list<Value> values) {
  return grid(std::vector<Value>(values));
}

Space& Space::add(std::string name, Domain domain, std::vector<When> when) {
  const auto find = [&](const std::string& wanted) {
    return std::find_if(parameters_.begin(), parameters_.end(), [&](const auto& p) { return p.name == wanted; });
  };
  if (name.empty()) throw TuneError("a parameter needs a name");
  if (find(name) != parameters_.end()) throw TuneError("parameter '" + name + "' is in the space twice");
  for (const auto& condition : when) {
    const auto parent = find(condition.parameter);
    if (parent == parameters_.end()) {
      throw TuneError("parameter '" + name + "' depends on '" + condition.parameter +
                      "', which is no parameter of the space so far; add that one before");
    }
    if (parent->domain.values.empty()) continue;
    for (const auto& value : condition.values) {
      const auto& known = parent->domain.values;
      if (std::find(known.begin(), known.end(), value) != known.end()) continue;
      throw TuneError("parameter '" + name + "' depends on '" + condition.parameter + "' being " + to_text(value) +
                      ", which it never is");
    }
  }
  parameters_.push_back({std::move(name), std::move(domain), std::move(when)});
  return *this;
}

bool Space::holds(const Parameter& parameter, const std::vector<Params::Entry>& so_far) const {
  return std::all_of(parameter.when.begin(), parameter.when.end(), [&](const When& when) {
    const auto parent =
        std::find_if(so_far.begin(), so_far.end(), [&](const auto& entry) { return entry.first == when.parameter; });
    return parent != so_far.end() &&
           std::find(when.values.begin(), when.values.end(), parent->second) != when.values.end();
  });
}

Params Space::make(const std::function<Value(std::size_t)>& value) const {
  std::vector<Params::Entry> entries;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    if (holds(parameters_[i], entries)) entries.emplace_back(parameters_[i].name, value(i));
  }
  return Params(std::move(entries));
}

std::vector<Params> Space::all() const {
  std::vector<std::vector<Params::Entry>> partial{{}};
  for (const auto& parameter : parameters_) {
    const std::int64_t n = parameter.domain.size();
    if (n == 0) {
      throw TuneError("a grid cannot go through all values of '" + parameter.name +
                      "': there is a continuum of them; " + "give a step, a list, or another search");
    }
    std::vector<std::vector<Params::Entry>> longer;
    for (auto& entries : partial) {
      if (!holds(parameter, entries)) {
        longer.push_back(std::move(entries));
        continue;
      }
      if (static_cast<std::size_t>(n) > kMostCombinations - std::min(kMostCombinations, longer.size())) {
        throw TuneError("the grid has more than a million points; use another search, or fewer values");
      }
      for (std::int64_t k = 0; k < n; ++k) {
        longer.push_back(entries);
        longer.back().emplace_back(parameter.name, parameter.domain.nth(k));
      }
    }
    partial = std::move(longer);
  }
  std::vector<Params> points;
  for (auto& entries : partial) points.emplace_back(std::move(entries));
  return points;
}

std::int64_t Space::grid_size() const {
  std::int64_t size = 1;
  for (const auto& parameter : parameters_) {
    if (parameter.domain.kind != Domain::Kind::grid) continue;
    if (size > static_cast<std::int64_t>(kMostCombinations) / parameter.domain.size()) {
      throw TuneError("the grid has more than a million points; use fewer values");
    }
    size *= parameter.domain.size();
  }
  return size;
}

std::string Space::describe() const {
  std::string text;
  for (const auto& parameter : parameters_) {
    const Domain& domain = parameter.domain;
    text += (text.empty() ? "" : "; ") + parameter.name + ": " + kind_name(domain.kind) + " [";
    if (domain.values.empty()) {
      text += number_text(domain.low) + ", " + number_text(domain.high) + ", " + number_text(domain.step);
    }
    for (std::size_t i = 0; i < domain.values.size(); ++i) text += (i ? ", " : "") + to_text(domain.values[i]);
    text += "]";
    for (const auto& when : parameter.when) {
      text += " when " + when.parameter + " in [";
      for (std::size_t i = 0; i < when.values.size(); ++i) text += (i ? ", " : "") + to_text(when.values[i]);
      text += "]";
    }
  }
  return text;
}

}  // namespace mobula::tune
