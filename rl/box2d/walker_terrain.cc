#include "rl/box2d/walker_world.h"

namespace mobula::rl {
namespace {

constexpr double kScale = 30.0;
constexpr double kStep = 14.0 / kScale;
constexpr int kLength = 200, kGrass = 10, kStartPad = 20;
constexpr double kHeight = 400.0 / kScale / 4;

enum class Ground { grass, stump, stairs, pit };

std::array<b2Vec2, 4> block(double left, double right, double top, double bottom) {
  const auto corner = [](double x, double y) { return b2Vec2(static_cast<float>(x), static_cast<float>(y)); };
  return {corner(left, top), corner(right, top), corner(right, bottom), corner(left, bottom)};
}

int between(Random& random, int low, int end) {
  return low + static_cast<int>(random.below(static_cast<std::uint32_t>(end - low)));
}

}  // namespace

WalkerTerrain make_terrain(bool hardcore, Random& random) {
  WalkerTerrain terrain;
  Ground ground = Ground::grass;
  double y = kHeight, slope = 0, before = 0;
  int counter = kStartPad;
  bool begins = false;
  int stair_steps = 0, stair_width = 0, stair_height = 0;
  for (int i = 0; i < kLength; ++i) {
    const double x = i * kStep;
    if (ground == Ground::grass && !begins) {
      slope = 0.8 * slope + 0.01 * ((kHeight > y) - (kHeight < y));
      if (i > kStartPad) slope += random.uniform(-1, 1) / kScale;
      y += slope;
    } else if (ground == Ground::pit && begins) {
      counter = between(random, 3, 5);
      terrain.blocks.push_back(block(x, x + kStep, y, y - 4 * kStep));
      terrain.blocks.push_back(block(x + kStep * counter, x + kStep * (counter + 1), y, y - 4 * kStep));
      counter += 2;
      before = y;
    } else if (ground == Ground::pit) {
      y = before - (counter > 1 ? 4 * kStep : 0);
    } else if (ground == Ground::stump && begins) {
      counter = between(random, 1, 3);
      terrain.blocks.push_back(block(x, x + counter * kStep, y + counter * kStep, y));
    } else if (ground == Ground::stairs && begins) {
      stair_height = random.uniform() > 0.5 ? 1 : -1;
      stair_width = 4;
      stair_steps = between(random, 3, 5);
      before = y;
      for (int s = 0; s < stair_steps; ++s) {
        terrain.blocks.push_back(block(x + s * stair_width * kStep, x + (1 + s) * stair_width * kStep,
                                       y + s * stair_height * kStep, y + (-1 + s * stair_height) * kStep));
      }
      counter = stair_steps * stair_width;
    } else if (ground == Ground::stairs) {
      const double n = static_cast<double>(stair_steps * stair_width - counter - stair_height) / stair_width;
      y = before + n * stair_height * kStep;
    }
    begins = false;
    terrain.height.push_back(y);
    if (--counter == 0) {
      counter = between(random, kGrass / 2, kGrass);
      const bool obstacle = ground == Ground::grass && hardcore;
      ground = obstacle ? static_cast<Ground>(between(random, 1, 4)) : Ground::grass;
      begins = true;
    }
  }
  return terrain;
}

}  // namespace mobula::rl
