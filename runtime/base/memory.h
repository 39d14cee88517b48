#pragma once

#include <cstdint>
#include <string>

namespace mobula {

/// Bytes that this process and its children can still use: what the system calls available, and no more than any of the
/// cgroups around it leaves. `root` stands in front of /proc and /sys (a test's own copy of them).
std::uint64_t available_memory(const std::string& root = "");

}  // namespace mobula
