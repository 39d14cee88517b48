#include "runtime/base/resources.h"

#include <fmt/format.h>

#include <cmath>

namespace mobula {

Resources Resources::cpus(double cpus) {
  Resources resources;
  resources.set("cpu", std::llround(cpus * unit));
  return resources;
}

std::int64_t Resources::amount(const std::string& name) const {
  const auto found = amounts.find(name);
  return found == amounts.end() ? 0 : found->second;
}

void Resources::set(const std::string& name, std::int64_t units) {
  if (units == 0) {
    amounts.erase(name);
  } else {
    amounts[name] = units;
  }
}

bool Resources::covers(const Resources& demand) const {
  for (const auto& [name, units] : demand.amounts) {
    if (units > 0 && amount(name) < units) return false;
  }
  return true;
}

Resources& Resources::operator+=(const Resources& other) {
  for (const auto& [name, units] : other.amounts) set(name, amount(name) + units);
  return *this;
}

Resources& Resources::operator-=(const Resources& other) {
  for (const auto& [name, units] : other.amounts) set(name, amount(name) - units);
  return *this;
}

std::string to_string(const Resources& resources) {
  std::string text;
  for (const auto& [name, units] : resources.amounts) {
    text += fmt::format("{}{} {:g}", text.empty() ? "" : ", ", name,
                        static_cast<double>(units) / static_cast<double>(Resources::unit));
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace mobula
