#include "runtime/daemon/machine_resources.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <system_error>

#include "runtime/base/memory.h"

namespace mobula::daemon {
namespace {

// The arena takes this part of the available memory unless told otherwise (object::ArenaOptions).
constexpr double arena_share = 0.3;

Error refused(std::string message) {
  return {.code = ErrorCode::invalid, .message = std::move(message)};
}

}  // namespace

Result<std::int64_t> resource_units(const std::string& name, double amount) {
  constexpr double unit = static_cast<double>(Resources::unit);
  if (!std::isfinite(amount) || amount < 0 || amount > 9e14 / unit * 1e3) {
    return refused(fmt::format("resource {} = {:g}: an amount is zero or more, and finite", name, amount));
  }
  const std::int64_t units = std::llround(amount * unit);
  if (units == 0 && amount > 0) {
    return refused(
        fmt::format("resource {} = {:g}: amounts are counted down to {:g}; ask for that much, or for nothing", name,
                    amount, 1 / unit));
  }
  return units;
}

int count_gpus(const std::string& folder) {
  int found = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(folder, none)) {
    const std::string name = entry.path().filename().string();
    found += name.size() > 6 && name.starts_with("nvidia") &&
             std::all_of(name.begin() + 6, name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  }
  return found;
}

Result<Resources> machine_resources(std::uint32_t cpus, const ResourceWish& wish, std::uint64_t object_memory) {
  Resources out = Resources::cpus(cpus);
  const bool finds = cpus > 0;
  const auto gpus = resource_units("gpu", wish.gpus.value_or(finds ? count_gpus() : 0));
  if (!gpus) return gpus.error();
  out.set("gpu", *gpus);
  std::uint64_t memory = wish.memory.value_or(0);
  if (!wish.memory && finds) {
    const std::uint64_t available = available_memory();
    const auto arena =
        object_memory != 0 ? object_memory : static_cast<std::uint64_t>(static_cast<double>(available) * arena_share);
    memory = available - std::min(available, arena);
  }
  const auto bytes = resource_units("memory", static_cast<double>(memory));
  if (!bytes) return bytes.error();
  out.set("memory", *bytes);
  for (const auto& [name, amount] : wish.custom) {
    if (name.empty() || name == "cpu" || name == "gpu" || name == "memory") {
      return refused(
          fmt::format("resource '{}': a name of your own is neither empty nor cpu, gpu or memory, which have "
                      "options of their own",
                      name));
    }
    const auto units = resource_units(name, amount);
    if (!units) return units.error();
    out.set(name, *units);
  }
  return out;
}

}  // namespace mobula::daemon
