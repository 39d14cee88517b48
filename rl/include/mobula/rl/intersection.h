#pragma once

#include <mobula/rl/environment.h>
#include <mobula/rl/lane.h>
#include <mobula/rl/signal.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace mobula::rl {

// A crossing of two streets whose traffic light is the agent: a busy main street (west-east) and a quiet side street
// (north-south), one lane each way, all traffic straight on. An episode is an hour with a decision every 5 s.
//
// Cars arrive as a Poisson process on each approach, drive by the intelligent driver model and stop at yellow if they
// can. The reward is efficiency alone: minus the mean number of waiting cars since the last decision, over 10. Who
// bears the waiting is not in it; that is what the annotation and the report tell.
struct Intersection {
  enum Approach : int { west, east, north, south };  // where cars come from
  enum Street : int { main_street, side_street };
  static constexpr int approaches = 4;
  static constexpr std::array<std::string_view, approaches> approach_names{"west", "east", "north", "south"};
  static constexpr Street street_of(int approach) { return approach <= east ? main_street : side_street; }

  struct Config {
    double main_demand = 900;      // vehicles/h on each of the two main approaches
    double side_demand = 180;      // vehicles/h on each of the two side approaches
    double min_green = 20;         // s: a pedestrian's 7 s to start and 15 m at 1.2 m/s
    double yellow = 3;             // s
    double all_red = 2;            // s
    double decision_period = 5;    // s
    double episode_length = 3600;  // s
    double time_step = 0.5;        // s, of the car-following model
    double yellow_braking = 4;     // m/s^2: a car that would have to brake harder passes at yellow
    Idm driver;

    void describe(Fields& fields);
    std::string problem() const;
    // Why no signal can serve this demand, or empty.
    std::string overload() const;
  };

  // Per step and approach: seconds that cars waited in it, summed over cars.
  static constexpr std::array<std::string_view, approaches> cost_names{"waiting_west", "waiting_east", "waiting_north",
                                                                       "waiting_south"};
  static constexpr std::array<std::string_view, 2> group_names{"main", "side"};
  static std::span<const GroupSetView> group_sets();  // street: main, side; approach: west, east, north, south

  // All roughly in [0, 1]:
  //   0, 1  one-hot: the phase that has green, or gets it after the change under way
  //   2     1 while green is shown, 0 during a change
  //   3     seconds in this stage / 60, at most 2
  //   4     1 if a change may begin now
  // then for each approach in the order of `Approach`, cars counted up to the stop line:
  //   +0    waiting cars on the road / 28            +4  mean speed / desired speed (1 if empty)
  //   +1    cars in the last 50 m / 7                +5  longest wait so far / 120 s, at most 2
  //   +2    cars 50 to 120 m away / 10               +6  cars outside / 20, at most 2
  //   +3    cars 120 to 200 m away / 12
  static constexpr int features_per_approach = 7;
  using Observation = std::array<float, 5 + approaches * features_per_approach>;
  using Action = Discrete<2>;  // the phase that shall have green next; see Signal for when it is heeded

  Intersection() : Intersection(Config{}) {}
  // Throws std::invalid_argument with what Config::problem() says. Times are rounded to whole steps of the model.
  explicit Intersection(const Config& config);

  Observation reset(Random& random);
  Step<Observation> step(const Action& action, Random& random);

  Annotation<approaches> annotate() const { return last_; }
  std::array<bool, 2> action_mask() const;

  // Samples `wait` and `delay` (ms) of every car that arrived, including those still on the road or outside at the
  // end; totals `throughput` (cars that left, an hour) and `queue` (mean number of waiting cars). Over all, and for
  // the groups main, side, west, east, north and south.
  void report(EpisodeReport& out) const;

  // fixed_time, max_pressure, longest_queue: see rl/traffic/baselines.cc for the rules and their sources.
  static std::span<const Baseline<Intersection>> baselines();

  std::string render_text() const;  // at most 80 columns
  std::string render_svg() const;   // a picture that needs nothing else

  const Config& config() const { return config_; }
  const Lane& lane(int approach) const { return lanes_[approach]; }
  const Signal& signal() const { return signal_; }
  const Signal::Times& times() const { return times_; }
  std::int32_t now() const { return now_; }  // ms since the episode began
  // Displayed green (ms) of each street in the fixed-time plan.
  const std::array<std::int32_t, 2>& fixed_green() const { return fixed_green_; }
  std::int64_t waited(int approach) const { return waited_[approach]; }  // ms, summed over cars, this episode
  std::int64_t vehicle_updates() const { return vehicle_updates_; }      // car-steps since construction

  template <class Archive>
  void serialize(Archive& archive) {
    archive(now_, signal_, vehicle_updates_);
    for (auto& lane : lanes_) archive(lane);
    for (auto& next : next_arrival_) archive(next);
    for (auto& waited : waited_) archive(waited);
    for (auto& cost : last_.cost) archive(cost);
  }

 private:
  void advance(Random& random);
  void draw_arrival(int approach, Random& random);
  Observation observe() const;
  double demand(int approach) const;

  // Constant after construction.
  Config config_;
  Signal::Times times_;
  std::int32_t step_ms_, steps_per_decision_, end_ms_;
  std::array<std::int32_t, 2> fixed_green_{};
  // The state.
  std::array<Lane, approaches> lanes_;
  std::array<double, approaches> next_arrival_{};  // s; infinity without demand
  std::array<std::int64_t, approaches> waited_{};
  Signal signal_;
  std::int32_t now_ = 0;
  std::int64_t vehicle_updates_ = 0;
  Annotation<approaches> last_;
};

// An animated picture of an episode: frames are copies of the environment at successive decisions, and cars move
// smoothly between them. `frame_seconds` is how long one lasts on the screen.
std::string render_episode_svg(std::span<const Intersection> frames, double frame_seconds = 0.4);

}  // namespace mobula::rl
