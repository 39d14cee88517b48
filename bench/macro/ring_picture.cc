// Writes the time-space diagram of the ring to a file: every car's way over 300 s, coloured by speed; the agent takes
// over (or a hand-written controller does) after half of the time.
//
//   ring_picture FILE.svg [RUN STEPS_PER_DECISION]
#include <mobula/rl/policy.h>
#include <mobula/rl/ring.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

namespace {

using namespace mobula;
using namespace mobula::rl;

constexpr int length = 260;
constexpr double seconds = 300, width = 900, height = 420, left = 60, top = 40;

std::string colour(double share) {
  return fmt::format("hsl({:.0f} 75% 45%)", 10 * std::round(14 * std::clamp(share / 2, 0.0, 1.0)));
}

// A short stroke per car and second.
void add(std::string& out, const Ring& env, double time) {
  double position = env.odometer();
  for (std::size_t i = 0; i < env.gaps().size(); ++i) {
    const double x = left + time / seconds * width;
    const double y = top + height * (1 - std::fmod(position, length) / length);
    const double rise = std::min(env.speeds()[i] / length * height, y - top);
    out += fmt::format("<path d=\"M{:.1f} {:.1f}l{:.1f} {:.1f}\" stroke=\"{}\" stroke-width=\"{}\"/>\n", x, y,
                       width / seconds, -rise, i == 0 ? "#1d5bd8" : colour(env.speeds()[i] / env.equilibrium_speed()),
                       i == 0 ? 2.4 : 1.4);
    position += env.gaps()[i] + env.config().driver.length;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: ring_picture FILE.svg [RUN STEPS_PER_DECISION]\n");
    return 2;
  }
  std::optional<Policy> policy;
  if (argc > 2) policy = Policy::load(argv[2]);
  const int held = argc > 3 ? std::atoi(argv[3]) : 1;
  Ring::Config config;
  config.min_length = config.max_length = length;
  config.warmup = 1500;
  Ring env(config);
  Random random(1, Stream::evaluation);
  env.reset(random);

  std::string strokes;
  Ring::Action action;
  for (int step = 0; step < 10 * seconds; ++step) {
    if (step % 10 == 0) add(strokes, env, step / 10.0);
    if (step < 1500) {
      action = Ring::baselines()[0].act(env);
    } else if (!policy) {
      action = Ring::baselines()[2].act(env);
    } else if (step % held == 0) {
      const auto v = env.speeds();
      const std::array<float, 3> seen{static_cast<float>(v[0] / 15), static_cast<float>((v[1] - v[0]) / 15),
                                      static_cast<float>((env.gaps()[0] + 5) / 270)};
      action = policy->act<Ring::Action>(seen);
    }
    env.step(action, random);
  }
  std::ofstream file(argv[1]);
  file << fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"13\" "
      "fill=\"#3a4048\">\n<rect width=\"{0}\" height=\"{1}\" fill=\"#fbfbf8\"/>\n"
      "<text x=\"{2}\" y=\"26\">position on a ring of {3} m; the automated car (blue) is driven as a human at first, "
      "by "
      "{4} from the line on</text>\n<g fill=\"none\">\n{5}</g>\n",
      left * 2 + width, top * 2 + height, left, length, policy ? "the policy" : "PI with saturation", strokes);
  const double middle = left + width / 2;
  file << fmt::format("<path d=\"M{0} {1}v{2}\" stroke=\"#3a4048\" stroke-dasharray=\"5 4\"/>\n", middle, top, height);
  for (int t = 0; t <= 300; t += 50)
    file << fmt::format("<text x=\"{:.0f}\" y=\"{:.0f}\" text-anchor=\"middle\">{} s</text>\n",
                        left + t / seconds * width, top + height + 22, t);
  file << "</svg>\n";
  return file ? 0 : 1;
}
