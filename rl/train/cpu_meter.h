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
  double cpu_seconds = 0;  ///< user and system, since the process began, or since an actor was made in it

  /// Of the calling process.
  static ProcessTime here();
  /// Of the calling process, since `start` in it.
  static ProcessTime since(const ProcessTime& start);
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
  /// What an actor says of its process, since the actor was made.
  void report(const ProcessTime& worker);

  /// This process and the workers as far as they reported. Cheap.
  double reported_seconds() const;
  /// This process, all that descend from it on this machine (also those that ended and were waited for), and what
  /// other workers reported. Looks at every process of the machine.
  double seconds() const;

 private:
  static double of_family();
  struct Reported {
    bool of_family = false;  // when it first reported: a worker that has died since then is counted with its parent
    double of_earlier_actors = 0, of_the_last = 0;
    double seconds() const { return of_earlier_actors + of_the_last; }
  };

  double before_ = 0, own_before_ = 0;
  std::map<std::pair<std::string, std::int32_t>, Reported> reported_;
};

}  // namespace mobula::rl
