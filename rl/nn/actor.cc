#include "rl/nn/actor.h"

#include "rl/nn/action_values.h"
#include "rl/nn/actor_critic.h"
#include "rl/nn/squashed.h"

namespace mobula::rl::nn {

std::unique_ptr<Actor> make_actor(const PolicySpec& spec) {
  switch (spec.kind) {
    case PolicySpec::Kind::actor_critic:
      return std::make_unique<ActorCritic>(spec);
    case PolicySpec::Kind::action_values:
      return std::make_unique<ActionValueActor>(spec);
    case PolicySpec::Kind::squashed_gaussian:
    case PolicySpec::Kind::deterministic:
      return std::make_unique<SquashedActor>(spec);
    case PolicySpec::Kind::categorical:
      return std::make_unique<CategoricalActor>(spec);
  }
  return nullptr;
}

}  // namespace mobula::rl::nn
