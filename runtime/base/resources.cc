#include "runtime/base/resources.h"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

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

namespace {
std::string bytes_text(double bytes) {
  static constexpr const char* units[]{"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(units)) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{:.4g} {}", bytes, units[unit]);
}
}  // namespace

std::string to_string(const Resources& resources) {
  std::string text;
  for (const auto& [name, units] : resources.amounts) {
    const double amount = static_cast<double>(units) / static_cast<double>(Resources::unit);
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name,
                        name == "memory" ? bytes_text(amount) : fmt::format("{:.10g}", amount));
  }
  return text.empty() ? "nothing" : text;
}

}  // namespace mobula
