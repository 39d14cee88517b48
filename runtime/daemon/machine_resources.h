#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <mobula/result.h>

#include "runtime/base/resources.h"

namespace mobula::daemon {

// What a node has to give besides its worker slots, as a user or a command line said it.
struct ResourceWish {
  std::optional<double> gpus;           // unset: those found on this machine
  std::optional<std::uint64_t> memory;  // bytes; unset: what is available, less the arena's default share
  std::map<std::string, double> custom;
};

// An amount as the scheduler counts it. The error names `name` and the amount that was given.
Result<std::int64_t> resource_units(const std::string& name, double amount);

// All that the node of this machine can lease. With no cpus nothing is found by itself: such a node only submits.
Result<Resources> machine_resources(std::uint32_t cpus, const ResourceWish& wish, std::uint64_t object_memory);

// The GPUs that this machine's driver shows: entries nvidiaN of `folder`.
int count_gpus(const std::string& folder = "/dev");

}  // namespace mobula::daemon
