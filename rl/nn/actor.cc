#include "rl/nn/actor.h"

#include "rl/nn/actor_critic.h"

namespace mobula::rl::nn {

std::unique_ptr<Actor> make_actor(const PolicySpec& spec) {
  switch (spec.kind) {
    case PolicySpec::Kind::actor_critic:
      return std::make_unique<ActorCritic>(spec);
  }
  return nullptr;
}

}  // namespace mobula::rl::nn
