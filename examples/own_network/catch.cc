// A game whose observations are pictures, with the whole command line of Mobula:
//
//   catch train catch.yaml
#include <mobula/cli.h>
#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <algorithm>
#include <array>

/// A ball falls through a picture of 8 by 8 points; a paddle on the lowest line catches it (+1) or does not (-1). The
/// paddle stays, or moves a point to the left or right.
struct Catch {
  static constexpr int kSide = 8;
  struct Config {
    void describe(mobula::Fields&) {}
  };
  using Observation = std::array<float, kSide * kSide>;
  using Action = mobula::rl::Discrete<3>;

  explicit Catch(const Config&) {}

  Observation reset(mobula::Random& random) {
    line = 0;
    column = static_cast<int>(random.below(kSide));
    paddle = kSide / 2;
    return observe();
  }

  mobula::rl::Step<Observation> step(const Action& action, mobula::Random&) {
    paddle = std::clamp(paddle + action.index - 1, 0, kSide - 1);
    ++line;
    const bool down = line == kSide - 1;
    return {observe(), !down ? 0.0 : column == paddle ? 1.0 : -1.0, down, false};
  }

  Observation observe() const {
    Observation picture{};
    picture[static_cast<std::size_t>(line * kSide + column)] = 1;
    picture[static_cast<std::size_t>((kSide - 1) * kSide + paddle)] = 1;
    return picture;
  }

  int line = 0, column = 0, paddle = 0;
};

int main(int argc, char** argv) {
  mobula::rl::register_environment<Catch>("catch");
  return mobula::command_line(argc, argv);
}
