#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

namespace mobula::rl {

/// Who used how much processor time; workers send one with each answer.
struct ProcessTime {
  std::string host;
  std::int32_t pid = 0;
  double cpu_seconds = 0;  ///< user and system, since the process began

  /// Of the calling process.
  static ProcessTime here();
  template <class Archive>
  void serialize(Archive& archive) {
    archive(host, pid, cpu_seconds);
  }
};

/// Processor time of a run: this process, all that descend from it on this machine (also those that ended and were
/// waited for), and workers on other machines as far as they reported.
class CpuMeter {
 public:
  void report(const ProcessTime& worker);
  /// Seconds since this process began.
  double seconds() const;

 private:
  std::map<std::pair<std::string, std::int32_t>, double> remote_;
};

}  // namespace mobula::rl
