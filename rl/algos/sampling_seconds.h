#pragma once

#include <chrono>

namespace mobula::rl {

// Where the time of sampling goes, in seconds of the process that samples.
struct SamplingSeconds {
  double environment = 0;  // steps and resets
  double inference = 0;    // actions, and values of what was seen
  double transfer = 0;     // all that carries data: rows into fragments, snapshots, fragments into one

  double total() const { return environment + inference + transfer; }
  SamplingSeconds& operator+=(const SamplingSeconds& more) {
    environment += more.environment;
    inference += more.inference;
    transfer += more.transfer;
    return *this;
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(environment, inference, transfer);
  }
};

// Times the steps of a vector of environments. It reads the clock in every eighth step only, and has the whole time
// divided as those were: a step may take less than the reading.
class StepTimer {
 public:
  void begin(int step) {
    timed_ = step % 8 == 0;
    if (timed_) last_ = Clock::now();
  }
  void inferred() { book(sampled_.inference); }
  void stepped() { book(sampled_.environment); }
  void carried() { book(sampled_.transfer); }

  // Since the timer was made.
  SamplingSeconds seconds() const {
    const double all = std::chrono::duration<double>(Clock::now() - made_).count();
    const double sampled = sampled_.total();
    if (sampled <= 0) return {.transfer = all};
    const double scale = all / sampled;
    return {sampled_.environment * scale, sampled_.inference * scale, sampled_.transfer * scale};
  }

 private:
  using Clock = std::chrono::steady_clock;
  void book(double& part) {
    if (!timed_) return;
    const auto now = Clock::now();
    part += std::chrono::duration<double>(now - last_).count();
    last_ = now;
  }

  const Clock::time_point made_ = Clock::now();
  Clock::time_point last_ = made_;
  bool timed_ = false;
  SamplingSeconds sampled_;
};

}  // namespace mobula::rl
