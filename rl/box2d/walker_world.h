#pragma once

#include <box2d/box2d.h>

#include <array>
#include <vector>

#include "rl/box2d/bipedal_walker.h"

namespace mobula::rl {

// Heights of the ground at multiples of 14 / 30 m, and what stands or gapes in it.
struct WalkerTerrain {
  std::vector<double> height;
  std::vector<std::array<b2Vec2, 4>> blocks;  // corners of solid obstacles
};
// All numbers here and below are those of Gymnasium's bipedal_walker.py.
WalkerTerrain make_terrain(bool hardcore, Random& random);

// The world of one episode.
class WalkerWorld : private b2ContactListener {
 public:
  WalkerWorld(const BipedalWalker::Config& config, Random& random);
  WalkerWorld(const WalkerWorld&) = delete;
  WalkerWorld& operator=(const WalkerWorld&) = delete;

  struct Result {
    BipedalWalker::Observation observation;
    double reward;
    bool terminated;
    double box2d_seconds;
  };
  Result step(const BipedalWalker::Input& action);

 private:
  void build_ground(const WalkerTerrain& terrain);
  void build_hull(double push);
  void build_leg(int side);
  b2Body* build_limb(int side, double width, double y);
  b2RevoluteJoint* join(b2Body* upper, b2Body* lower, double y, float speed, double low, double high);
  void BeginContact(b2Contact* contact) override;
  void EndContact(b2Contact* contact) override;

  b2World world_;
  b2Body* hull_ = nullptr;
  std::array<b2Body*, 2> feet_{};             // the lower legs
  std::array<b2RevoluteJoint*, 4> joints_{};  // hip and knee of the first leg, then of the second
  std::array<bool, 2> touching_{};
  bool fallen_ = false;
  bool has_shaping_ = false;
  double shaping_ = 0;
};

}  // namespace mobula::rl
