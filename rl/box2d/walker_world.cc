#include "rl/box2d/walker_world.h"

#include <algorithm>
#include <cmath>

namespace mobula::rl {
namespace {

constexpr double kFps = 50.0;
constexpr double kScale = 30.0;
constexpr double kWidth = 600.0 / kScale, kHeight = 400.0 / kScale;
constexpr double kTorque = 80, kHipSpeed = 4, kKneeSpeed = 6;
constexpr double kLidarRange = 160.0 / kScale;
constexpr double kFirstPush = 5;
constexpr double kLegDown = -8.0 / kScale, kLegWidth = 8.0 / kScale, kLegHeight = 34.0 / kScale;
constexpr double kStep = 14.0 / kScale;
constexpr int kLength = 200, kGrass = 10, kStartPad = 20;
constexpr double kStartX = kStep * kStartPad / 2, kStartY = kHeight / 4 + 2 * kLegHeight;
constexpr float kFriction = 2.5f;
constexpr std::uint16_t kGround = 0x0001, kWalker = 0x0020;

b2Vec2 vector(double x, double y) {
  return {static_cast<float>(x), static_cast<float>(y)};
}

// The nearest ground on a ray, as a fraction of it.
struct Lidar : b2RayCastCallback {
  float fraction = 1.0f;
  float ReportFixture(b2Fixture* fixture, const b2Vec2&, const b2Vec2&, float at) override {
    if ((fixture->GetFilterData().categoryBits & kGround) == 0) return -1;  // goes on as if it were not there
    return fraction = at;
  }
};

}  // namespace

WalkerWorld::WalkerWorld(const BipedalWalker::Config& config, Random& random) : world_(b2Vec2(0, -10)) {
  world_.SetContactListener(this);
  build_ground(make_terrain(config.hardcore, random));
  build_hull(random.uniform(-kFirstPush, kFirstPush));
  build_leg(-1);
  build_leg(+1);
}

void WalkerWorld::build_ground(const WalkerTerrain& terrain) {
  const auto add = [this](const b2Shape& shape) {
    b2BodyDef definition;
    b2FixtureDef fixture;
    fixture.shape = &shape;
    fixture.friction = kFriction;
    world_.CreateBody(&definition)->CreateFixture(&fixture);
  };
  for (const auto& corners : terrain.blocks) {
    b2PolygonShape shape;
    shape.Set(corners.data(), 4);
    add(shape);
  }
  for (std::size_t i = 0; i + 1 < terrain.height.size(); ++i) {
    b2EdgeShape edge;
    edge.SetTwoSided(vector(kStep * static_cast<double>(i), terrain.height[i]),
                     vector(kStep * static_cast<double>(i + 1), terrain.height[i + 1]));
    add(edge);
  }
}

void WalkerWorld::build_hull(double push) {
  b2BodyDef definition;
  definition.type = b2_dynamicBody;
  definition.position = vector(kStartX, kStartY);
  hull_ = world_.CreateBody(&definition);
  constexpr int outline[5][2] = {{-30, 9}, {6, 9}, {34, 1}, {34, -8}, {-30, -8}};
  std::array<b2Vec2, 5> corners;
  for (int k = 0; k < 5; ++k) corners[k] = vector(outline[k][0] / kScale, outline[k][1] / kScale);
  b2PolygonShape shape;
  shape.Set(corners.data(), 5);
  b2FixtureDef fixture;
  fixture.shape = &shape;
  fixture.density = 5.0f;
  fixture.friction = 0.1f;
  fixture.filter.categoryBits = kWalker;
  fixture.filter.maskBits = kGround;
  hull_->CreateFixture(&fixture);
  hull_->ApplyForceToCenter(vector(push, 0), true);
}

b2Body* WalkerWorld::build_limb(int side, double width, double y) {
  b2BodyDef definition;
  definition.type = b2_dynamicBody;
  definition.position = vector(kStartX, y);
  definition.angle = static_cast<float>(side * 0.05);
  b2Body* limb = world_.CreateBody(&definition);
  b2PolygonShape shape;
  shape.SetAsBox(static_cast<float>(width / 2), static_cast<float>(kLegHeight / 2));
  b2FixtureDef fixture;
  fixture.shape = &shape;
  fixture.density = 1.0f;
  fixture.filter.categoryBits = kWalker;
  fixture.filter.maskBits = kGround;
  limb->CreateFixture(&fixture);
  return limb;
}

b2RevoluteJoint* WalkerWorld::join(b2Body* upper, b2Body* lower, double y, float speed, double low, double high) {
  b2RevoluteJointDef joint;
  joint.bodyA = upper;
  joint.bodyB = lower;
  joint.localAnchorA = vector(0, y);
  joint.localAnchorB = vector(0, kLegHeight / 2);
  joint.referenceAngle = lower->GetAngle() - upper->GetAngle();  // as pybox2d sets it
  joint.enableMotor = true;
  joint.enableLimit = true;
  joint.maxMotorTorque = static_cast<float>(kTorque);
  joint.motorSpeed = speed;
  joint.lowerAngle = static_cast<float>(low);
  joint.upperAngle = static_cast<float>(high);
  return static_cast<b2RevoluteJoint*>(world_.CreateJoint(&joint));
}

void WalkerWorld::build_leg(int side) {
  const int k = side < 0 ? 0 : 1;
  b2Body* upper = build_limb(side, kLegWidth, kStartY - kLegHeight / 2 - kLegDown);
  joints_[2 * k] = join(hull_, upper, kLegDown, static_cast<float>(side), -0.8, 1.1);
  feet_[k] = build_limb(side, 0.8 * kLegWidth, kStartY - kLegHeight * 3 / 2 - kLegDown);
  joints_[2 * k + 1] = join(upper, feet_[k], -kLegHeight / 2, 1.0f, -1.6, -0.1);
}

void WalkerWorld::BeginContact(b2Contact* contact) {
  for (const b2Body* body : {contact->GetFixtureA()->GetBody(), contact->GetFixtureB()->GetBody()}) {
    if (body == hull_) fallen_ = true;
    for (int k = 0; k < 2; ++k) {
      if (body == feet_[k]) touching_[k] = true;
    }
  }
}

void WalkerWorld::EndContact(b2Contact* contact) {
  for (const b2Body* body : {contact->GetFixtureA()->GetBody(), contact->GetFixtureB()->GetBody()}) {
    for (int k = 0; k < 2; ++k) {
      if (body == feet_[k]) touching_[k] = false;
    }
  }
}

WalkerWorld::Result WalkerWorld::step(const BipedalWalker::Input& action) {
  double effort = 0;
  for (int k = 0; k < 4; ++k) {
    const double size = std::min(std::abs(static_cast<double>(action[k])), 1.0);
    const int sign = (action[k] > 0) - (action[k] < 0);
    joints_[k]->SetMotorSpeed(static_cast<float>((k % 2 ? kKneeSpeed : kHipSpeed) * sign));
    joints_[k]->SetMaxMotorTorque(static_cast<float>(kTorque * size));
    effort += 0.00035 * kTorque * size;
    // Box2D 2.3 wakes the bodies of a joint whose motor is set, 2.4 only where the value changes.
    joints_[k]->GetBodyA()->SetAwake(true);
    joints_[k]->GetBodyB()->SetAwake(true);
  }
  world_.Step(static_cast<float>(1.0 / kFps), 6 * 30, 2 * 30);

  const b2Vec2 position = hull_->GetPosition(), velocity = hull_->GetLinearVelocity();
  const double angle = hull_->GetAngle();
  Result result{};
  auto& seen = result.observation;
  seen[0] = static_cast<float>(angle);
  seen[1] = static_cast<float>(2.0 * hull_->GetAngularVelocity() / kFps);
  seen[2] = static_cast<float>(0.3 * velocity.x * kWidth / kFps);
  seen[3] = static_cast<float>(0.3 * velocity.y * kHeight / kFps);
  for (int k = 0; k < 2; ++k) {
    float* leg = seen.data() + 4 + 5 * k;
    leg[0] = joints_[2 * k]->GetJointAngle();
    leg[1] = static_cast<float>(joints_[2 * k]->GetJointSpeed() / kHipSpeed);
    leg[2] = static_cast<float>(joints_[2 * k + 1]->GetJointAngle() + 1.0);
    leg[3] = static_cast<float>(joints_[2 * k + 1]->GetJointSpeed() / kKneeSpeed);
    leg[4] = touching_[k] ? 1.0f : 0.0f;
  }
  for (int i = 0; i < 10; ++i) {
    Lidar lidar;
    world_.RayCast(&lidar, position,
                   vector(position.x + std::sin(1.5 * i / 10.0) * kLidarRange,
                          position.y - std::cos(1.5 * i / 10.0) * kLidarRange));
    seen[14 + i] = lidar.fraction;
  }

  const double shaping = 130 * position.x / kScale - 5.0 * std::abs(angle);
  result.reward = (has_shaping_ ? shaping - shaping_ : 0) - effort;
  has_shaping_ = true;
  shaping_ = shaping;
  if (fallen_ || position.x < 0) {
    result.reward = -100;
    result.terminated = true;
  }
  if (position.x > (kLength - kGrass) * kStep) result.terminated = true;
  result.box2d_seconds = 1e-3 * world_.GetProfile().step;
  return result;
}

}  // namespace mobula::rl
