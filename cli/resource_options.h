// What `mobula head` and `mobula node` say of their machine besides its cpus.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "runtime/base/resources.h"

namespace mobula::cli {

struct ResourceOptions {
  std::optional<double> gpus;
  std::optional<std::uint64_t> memory;
  std::vector<std::string> named;  // NAME=AMOUNT
};

void add_resource_options(CLI::App& app, ResourceOptions& options);

// All that the node can lease. Throws UsageError naming the option that is wrong.
Resources resources_of(const ResourceOptions& options, std::uint32_t cpus, std::uint64_t object_memory);

}  // namespace mobula::cli
