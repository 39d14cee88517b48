#include "rl/box2d/lander_world.h"

#include <cmath>
#include <numbers>

namespace mobula::rl {
namespace {

constexpr double kFps = 50.0;
constexpr double kScale = 30.0;  // pixels a metre
constexpr double kWidth = 600.0 / kScale, kHeight = 400.0 / kScale;
constexpr double kMainPower = 13.0, kSidePower = 0.6;
constexpr double kFirstPush = 1000.0;
constexpr double kLegAway = 20.0 / kScale, kLegDown = 18.0 / kScale;
constexpr double kLegWidth = 2.0 / kScale, kLegHeight = 8.0 / kScale;
constexpr float kLegTorque = 40.0f;
constexpr double kMainBelow = 4.0 / kScale, kSideAway = 12.0 / kScale, kSideHeight = 14.0 / kScale,
                 kSideReach = 17.0 / kScale;
constexpr double kPad = kHeight / 4;
constexpr int kChunks = 11;
constexpr std::uint16_t kGround = 0x0001, kLander = 0x0010, kLeg = 0x0020;

b2Vec2 vector(double x, double y) {
  return {static_cast<float>(x), static_cast<float>(y)};
}

}  // namespace

LanderWorld::LanderWorld(const LunarLanderConfig& config, Random& random)
    : config_(config), world_(vector(0, config.gravity)) {
  world_.SetContactListener(this);
  if (config_.wind) {
    wind_index_ = static_cast<int>(random.below(19998)) - 9999;
    torque_index_ = static_cast<int>(random.below(19998)) - 9999;
  }
  build_moon(random);
  build_lander(random);
  build_leg(-1);
  build_leg(+1);
}

void LanderWorld::build_moon(Random& random) {
  std::array<double, kChunks + 1> height;
  for (double& h : height) h = random.uniform(0, kHeight / 2);
  for (int k = kChunks / 2 - 2; k <= kChunks / 2 + 2; ++k) height[k] = kPad;
  std::array<b2Vec2, kChunks> point;
  for (int i = 0; i < kChunks; ++i) {
    // (The first chunk's left neighbour is the last one.)
    const double before = height[i == 0 ? kChunks : i - 1];
    point[i] = vector(kWidth / (kChunks - 1) * i, 0.33 * (before + height[i] + height[i + 1]));
  }
  b2BodyDef definition;
  b2Body* moon = world_.CreateBody(&definition);
  b2EdgeShape edge;
  edge.SetTwoSided(vector(0, 0), vector(kWidth, 0));
  moon->CreateFixture(&edge, 0);
  for (int i = 0; i + 1 < kChunks; ++i) {
    edge.SetTwoSided(point[i], point[i + 1]);
    b2FixtureDef fixture;
    fixture.shape = &edge;
    fixture.friction = 0.1f;
    moon->CreateFixture(&fixture);
  }
}

void LanderWorld::build_lander(Random& random) {
  b2BodyDef definition;
  definition.type = b2_dynamicBody;
  definition.position = vector(kWidth / 2, kHeight);
  lander_ = world_.CreateBody(&definition);
  constexpr int outline[6][2] = {{-14, 17}, {-17, 0}, {-17, -10}, {17, -10}, {17, 0}, {14, 17}};
  std::array<b2Vec2, 6> corners;
  for (int k = 0; k < 6; ++k) corners[k] = vector(outline[k][0] / kScale, outline[k][1] / kScale);
  b2PolygonShape shape;
  shape.Set(corners.data(), 6);
  b2FixtureDef fixture;
  fixture.shape = &shape;
  fixture.density = 5.0f;
  fixture.friction = 0.1f;
  fixture.filter.categoryBits = kLander;
  fixture.filter.maskBits = kGround;
  lander_->CreateFixture(&fixture);
  const double x = random.uniform(-kFirstPush, kFirstPush);
  const double y = random.uniform(-kFirstPush, kFirstPush);
  lander_->ApplyForceToCenter(vector(x, y), true);
}

void LanderWorld::build_leg(int side) {
  b2BodyDef definition;
  definition.type = b2_dynamicBody;
  definition.position = vector(kWidth / 2 - side * kLegAway, kHeight);
  definition.angle = static_cast<float>(side * 0.05);
  b2Body* leg = world_.CreateBody(&definition);
  b2PolygonShape shape;
  shape.SetAsBox(static_cast<float>(kLegWidth), static_cast<float>(kLegHeight));
  b2FixtureDef fixture;
  fixture.shape = &shape;
  fixture.density = 1.0f;
  fixture.filter.categoryBits = kLeg;
  fixture.filter.maskBits = kGround;
  leg->CreateFixture(&fixture);
  b2RevoluteJointDef joint;
  joint.bodyA = lander_;
  joint.bodyB = leg;
  joint.localAnchorA = vector(0, 0);
  joint.localAnchorB = vector(side * kLegAway, kLegDown);
  joint.referenceAngle = leg->GetAngle() - lander_->GetAngle();  // as pybox2d sets it
  joint.enableMotor = true;
  joint.enableLimit = true;
  joint.maxMotorTorque = kLegTorque;
  joint.motorSpeed = static_cast<float>(0.3 * side);  // presses the leg outwards, too slowly to jump
  joint.lowerAngle = static_cast<float>(side < 0 ? 0.9 - 0.5 : -0.9);
  joint.upperAngle = static_cast<float>(side < 0 ? 0.9 : -0.9 + 0.5);
  world_.CreateJoint(&joint);
  legs_[side < 0 ? 0 : 1] = leg;
}

void LanderWorld::BeginContact(b2Contact* contact) {
  for (const b2Body* body : {contact->GetFixtureA()->GetBody(), contact->GetFixtureB()->GetBody()}) {
    if (body == lander_) crashed_ = true;
    for (int k = 0; k < 2; ++k) {
      if (body == legs_[k]) touching_[k] = true;
    }
  }
}

void LanderWorld::EndContact(b2Contact* contact) {
  for (const b2Body* body : {contact->GetFixtureA()->GetBody(), contact->GetFixtureB()->GetBody()}) {
    for (int k = 0; k < 2; ++k) {
      if (body == legs_[k]) touching_[k] = false;
    }
  }
}

void LanderWorld::blow() {
  if (!config_.wind || touching_[0] || touching_[1]) return;
  const auto gust = [](int& index) {
    const double value = std::tanh(std::sin(0.02 * index) + std::sin(std::numbers::pi * 0.01 * index));
    ++index;
    return value;
  };
  lander_->ApplyForceToCenter(vector(gust(wind_index_) * config_.wind_power, 0), true);
  lander_->ApplyTorque(static_cast<float>(gust(torque_index_) * config_.turbulence_power), true);
}

void LanderWorld::fire(const LanderInput& input) {
  const double angle = lander_->GetAngle();
  const double up[2] = {std::sin(angle), std::cos(angle)};
  const double across[2] = {-up[1], up[0]};
  const auto [d0, d1] = input.dispersion;
  const b2Vec2 position = lander_->GetPosition();
  if (input.main > 0) {
    const double x = up[0] * (kMainBelow + 2 * d0) + across[0] * d1;
    const double y = -up[1] * (kMainBelow + 2 * d0) - across[1] * d1;
    lander_->ApplyLinearImpulse(vector(-x * kMainPower * input.main, -y * kMainPower * input.main),
                                vector(position.x + x, position.y + y), true);
  }
  if (input.side != 0) {
    const double power = std::abs(input.side);
    const double away = 3 * d1 + (input.side < 0 ? -kSideAway : kSideAway);
    const double x = up[0] * d0 + across[0] * away;
    const double y = -up[1] * d0 - across[1] * away;
    lander_->ApplyLinearImpulse(vector(-x * kSidePower * power, -y * kSidePower * power),
                                vector(position.x + x - up[0] * kSideReach, position.y + y + up[1] * kSideHeight),
                                true);
  }
}

LanderWorld::Result LanderWorld::step(const LanderInput& input) {
  blow();
  fire(input);
  world_.Step(static_cast<float>(1.0 / kFps), 6 * 30, 2 * 30);

  const b2Vec2 position = lander_->GetPosition(), velocity = lander_->GetLinearVelocity();
  const double state[8] = {(position.x - kWidth / 2) / (kWidth / 2),
                           (position.y - (kPad + kLegDown)) / (kHeight / 2),
                           velocity.x * (kWidth / 2) / kFps,
                           velocity.y * (kHeight / 2) / kFps,
                           lander_->GetAngle(),
                           20.0 * lander_->GetAngularVelocity() / kFps,
                           touching_[0] ? 1.0 : 0.0,
                           touching_[1] ? 1.0 : 0.0};
  const double shaping = -100 * std::sqrt(state[0] * state[0] + state[1] * state[1]) -
                         100 * std::sqrt(state[2] * state[2] + state[3] * state[3]) - 100 * std::abs(state[4]) +
                         10 * state[6] + 10 * state[7];
  Result result{};
  for (int k = 0; k < 8; ++k) result.observation[k] = static_cast<float>(state[k]);
  result.reward = (has_shaping_ ? shaping - shaping_ : 0) - input.main * 0.30 - std::abs(input.side) * 0.03;
  has_shaping_ = true;
  shaping_ = shaping;
  if (crashed_ || std::abs(state[0]) >= 1.0) {
    result.terminated = true;
    result.reward = -100;
  }
  if (!lander_->IsAwake()) {
    result.terminated = true;
    result.reward = +100;
  }
  result.box2d_seconds = 1e-3 * world_.GetProfile().step;
  return result;
}

}  // namespace mobula::rl
