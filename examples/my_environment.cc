// An environment of one's own, with the whole command line of Mobula:
//
//   my_environment train my_environment.yaml
//   my_environment evaluate runs/heating-1
#include <mobula/cli.h>
#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <cmath>
#include <span>

/// A house whose heating is off, low or high, in weather that drifts. A step is a quarter of an hour, an episode a day.
struct Heating {
  struct Config {
    double wanted = 20;
    double price = 0.05;
    void describe(mobula::Fields& f) {
      f("wanted", wanted, {.unit = "deg C", .min = 10, .max = 30, .help = "Temperature that is comfortable."});
      f("price", price, {.min = 0, .help = "Cost of a unit of heat, against a degree of discomfort."});
    }
  };
  using Observation = std::array<float, 2>;
  using Action = mobula::rl::Discrete<3>;

  explicit Heating(const Config& c) : config(c) {}

  Observation reset(mobula::Random& random) {
    inside = config.wanted + random.uniform(-5, 5);
    outside = random.uniform(-5, 10);
    steps = 0;
    return observe();
  }

  mobula::rl::Step<Observation> step(const Action& action, mobula::Random& random) {
    inside += 1.5 * action.index + 0.08 * (outside - inside);
    outside += 0.5 * random.normal();
    const double discomfort = std::abs(inside - config.wanted);
    return {observe(), -discomfort - config.price * action.index, false, ++steps == 96};
  }

  // What it is compared with: full heat below the wanted temperature, none above.
  static std::span<const mobula::rl::Baseline<Heating>> baselines() {
    static constexpr mobula::rl::Baseline<Heating> all[] = {
        {"thermostat", [](const Heating& house) { return Action{house.inside < house.config.wanted ? 2 : 0}; }}};
    return all;
  }

  Observation observe() const {
    return {static_cast<float>(inside - config.wanted) / 5, static_cast<float>(outside - config.wanted) / 20};
  }

  Config config;
  double inside = 0, outside = 0;
  int steps = 0;
};

int main(int argc, char** argv) {
  mobula::rl::register_environment<Heating>("heating");
  return mobula::command_line(argc, argv);
}
