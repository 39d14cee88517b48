#pragma once

#include <mobula/rl/car_following.h>
#include <mobula/rl/environment.h>
#include <mobula/rl/follow_models.h>
#include <mobula/rl/wave_control.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mobula::rl {

// A ring road with one lane on which human drivers make stop-and-go waves out of nothing, as in the experiment of
// Sugiyama et al. (New J. Phys. 10, 2008). The agent drives one of the cars and can make the waves vanish.
//
// The task is WaveAttenuationPO of the Flow project (Wu et al., arXiv:1710.05465): 22 cars, a length drawn anew for
// each episode, 75 s in which the automated car drives as a human, then 300 s of control in steps of 0.1 s. Speeds are
// updated as SUMO does: v' = max(0, v + a dt), then x' = x + v' dt.
struct Ring {
  struct Config {
    int vehicles = 22;
    int min_length = 220, max_length = 270;  // m: whole metres, each as likely
    bool automated = true;                   // false: the action is not heeded, all drive as humans
    int warmup = 750;                        // steps before the first observation
    int horizon = 3000;                      // steps of an episode
    int steps_per_decision = 1;              // an action is held for so many steps
    double time_step = 0.1;                  // s
    double noise = 0.2;                      // a human's acceleration gets sqrt(time_step) N(0, noise) added
    double bunching = 50;                    // m of road that are empty at the start, ahead of a random car
    Idm driver{.desired_speed = 30, .time_headway = 1, .acceleration = 1, .deceleration = 1.5, .standstill_gap = 2};

    void describe(Fields& fields);
    std::string problem() const;
  };

  // What the automated car sees: its speed / 15, the car ahead's speed less its own / 15, and the distance from front
  // bumper to front bumper / max_length.
  using Observation = std::array<float, 3>;
  // Acceleration, m/s^2. A car that would run into the one ahead brakes harder than asked (Krauss's safe speed, braking
  // at 4.5 m/s^2 after 1 s, as SUMO does for Flow).
  using Action = Box<1, -1.0f, 1.0f>;

  Ring() : Ring(Config{}) {}
  // Throws std::invalid_argument with what Config::problem() says.
  explicit Ring(const Config& config);

  // The reward of a decision is 4 (mean speed since the last one) / 20 - 4 |action|: drive on, and smoothly. A crash
  // ends the episode with 0.
  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random& random);

  // Totals of an episode, m/s unless said: `mean_speed` of all cars over the episode; over its last third
  // `settled_speed`, `settled_deviation` (of single speeds from the mean), `slowest` (least speed of any car),
  // `of_equilibrium` (settled_speed / equilibrium_speed), `stopped` (share of car-steps slower than 0.1 m/s).
  void report(EpisodeReport& out) const;

  // human, follower_stopper (wanted speed: the equilibrium's), pi_saturation; all within the limits of Action.
  static std::span<const Baseline<Ring>> baselines();

  std::string render_text() const;  // at most 80 columns
  std::string render_svg() const;   // a picture that needs nothing else

  const Config& config() const { return config_; }
  int length() const { return length_; }                     // m
  int now() const { return now_; }                           // steps since control began
  double equilibrium_speed() const { return equilibrium_; }  // at which all could drive for ever on this length
  std::span<const double> speeds() const { return {speed_.data(), gap_.size()}; }
  std::span<const double> gaps() const { return gap_; }  // m, bumper to bumper; car i follows car i + 1
  double odometer() const { return odometer_; }          // m that car 0, the automated one, has driven
  double human_acceleration() const;                     // of car 0, if its driver were an undisturbed human
  const PiSaturation& pi() const { return pi_; }
  std::int64_t vehicle_updates() const { return vehicle_updates_; }  // since construction

  template <class Archive>
  void serialize(Archive& archive) {
    archive(length_, now_, equilibrium_, odometer_, vehicle_updates_, crashed_, speed_, gap_, pi_, sum_);
    archive(settled_sum_, settled_squares_, slowest_, settled_steps_, settled_stopped_);
  }

 private:
  void advance(const double* command, Random& random);
  void measure();
  Observation observe() const;

  // Constant after construction.
  Config config_;
  IdmLaw<double> law_;
  // The state. speed_ has the automated car's once more at its end, so that every car finds its leader's one further.
  std::vector<double> speed_, gap_;
  int length_ = 0, now_ = 0;
  double equilibrium_ = 0, odometer_ = 0;
  bool crashed_ = false;
  PiSaturation pi_;
  std::int64_t vehicle_updates_ = 0;
  // What the report needs.
  double sum_ = 0, settled_sum_ = 0, settled_squares_ = 0, slowest_ = 0;
  std::int64_t settled_steps_ = 0, settled_stopped_ = 0;
};

}  // namespace mobula::rl
