#include "cli/resource_options.h"

#include <fmt/format.h>

#include <cstdlib>
#include <utility>

#include "runtime/daemon/machine_resources.h"

namespace mobula::cli {

void add_resource_options(CLI::App& app, ResourceOptions& options) {
  app.add_option("--gpus", options.gpus, "GPUs that tasks may ask for; default: those of this machine");
  app.add_option("--memory", options.memory, "Bytes that tasks may ask for, or 8GB; default: what is available")
      ->transform(CLI::AsSizeValue(false));
  app.add_option("--resource", options.named, "NAME=AMOUNT of a resource of your own; may be repeated");
}

Resources resources_of(const ResourceOptions& options, std::uint32_t cpus, std::uint64_t object_memory) {
  daemon::ResourceWish wish{options.gpus, options.memory, {}};
  for (const std::string& given : options.named) {
    const std::size_t equals = given.find('=');
    const std::string amount = equals == std::string::npos ? std::string() : given.substr(equals + 1);
    char* end = nullptr;
    wish.custom[given.substr(0, equals)] = std::strtod(amount.c_str(), &end);
    if (amount.empty() || *end != '\0') {
      throw UsageError(fmt::format("--resource {}: give NAME=AMOUNT, such as licence=2", given));
    }
  }
  auto resources = daemon::machine_resources(cpus, wish, object_memory);
  if (!resources) throw UsageError(resources.error().message);
  return *std::move(resources);
}

}  // namespace mobula::cli
