#include "runtime/node/pressure.h"

#include <fmt/format.h>

#include <map>

namespace mobula {
namespace {

std::string gigabytes(std::uint64_t bytes) {
  return fmt::format("{:.2f} GB", static_cast<double>(bytes) / 1e9);
}

}  // namespace

std::string describe(const MemoryReading& reading, double threshold) {
  return fmt::format("{} of {} of {} are in use ({:.0f} %, the threshold is {:.4g} %)", gigabytes(reading.used),
                     gigabytes(reading.limit), reading.where,
                     100 * static_cast<double>(reading.used) / static_cast<double>(reading.limit), 100 * threshold);
}

std::optional<PressureVictim> choose_victim(const std::vector<PressureCandidate>& candidates, std::uint64_t worth) {
  struct Group {
    std::uint64_t bytes = 0;
    std::size_t members = 0;
    const PressureCandidate* newest = nullptr;
  };
  std::map<ProcessId, Group> groups;
  const PressureCandidate* newest_of_all = nullptr;
  for (const PressureCandidate& one : candidates) {
    if (one.bytes < worth) continue;
    if (newest_of_all == nullptr || one.since > newest_of_all->since) newest_of_all = &one;
    if (!one.retriable) continue;
    Group& group = groups[one.owner];
    group.bytes += one.bytes;
    ++group.members;
    if (group.newest == nullptr || one.since > group.newest->since) group.newest = &one;
  }
  if (newest_of_all == nullptr) return std::nullopt;
  const Group* greediest = nullptr;
  for (const auto& [owner, group] : groups) {
    if (greediest == nullptr || group.bytes > greediest->bytes ||
        (group.bytes == greediest->bytes && group.newest->since > greediest->newest->since)) {
      greediest = &group;
    }
  }
  if (greediest != nullptr) {
    const PressureCandidate& victim = *greediest->newest;
    return PressureVictim{
        victim.process,
        fmt::format("it holds {} and is the newest of the {} {} that can be tried again of process "
                    "{}, whose tasks take most ({})",
                    gigabytes(victim.bytes), greediest->members, greediest->members == 1 ? "task" : "tasks",
                    to_string(victim.owner), gigabytes(greediest->bytes))};
  }
  return PressureVictim{newest_of_all->process,
                        fmt::format("it holds {} and is the newest {}, and nothing that runs here can be tried again",
                                    gigabytes(newest_of_all->bytes), newest_of_all->actor ? "actor" : "task")};
}

}  // namespace mobula
