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

/// Processor time of a run, in seconds: of the first one in this process since the process began, for its start belongs
/// to it; of a later one since the meter was made. Runs at the same time count each other's.
class CpuMeter {
 public:
  CpuMeter();
  void report(const ProcessTime& worker);

  /// This process and the workers as far as they reported. Cheap.
  double reported_seconds() const;
  /// This process, all that descend from it on this machine (also those that ended and were waited for), and what
  /// workers on other machines reported. Looks at every process of the machine.
  double seconds() const;

 private:
  double of_this_machine() const;

  double before_ = 0, own_before_ = 0;
  std::map<std::pair<std::string, std::int32_t>, double> reported_;
};

}  // namespace mobula::rl
