#pragma once

#include <box2d/box2d.h>

#include <array>

#include "rl/box2d/lunar_lander.h"

namespace mobula::rl {

// The world of one episode of the lunar lander. All numbers are those of Gymnasium's lunar_lander.py.
class LanderWorld : private b2ContactListener {
 public:
  LanderWorld(const LunarLanderConfig& config, Random& random);
  LanderWorld(const LanderWorld&) = delete;
  LanderWorld& operator=(const LanderWorld&) = delete;

  struct Result {
    std::array<float, 8> observation;
    double reward;
    bool terminated;
    double box2d_seconds;
  };
  Result step(const LanderInput& input);

 private:
  void build_moon(Random& random);
  void build_lander(Random& random);
  void build_leg(int side);
  void blow();
  void fire(const LanderInput& input);
  void BeginContact(b2Contact* contact) override;
  void EndContact(b2Contact* contact) override;

  const LunarLanderConfig config_;
  b2World world_;
  b2Body* lander_ = nullptr;
  std::array<b2Body*, 2> legs_{};
  std::array<bool, 2> touching_{};
  bool crashed_ = false;
  bool has_shaping_ = false;
  double shaping_ = 0;
  int wind_index_ = 0, torque_index_ = 0;
};

}  // namespace mobula::rl
