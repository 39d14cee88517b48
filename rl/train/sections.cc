#include "rl/train/sections.h"

#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

#include "rl/train/checkpoint.h"
#include "runtime/base/json_integer.h"

namespace mobula::rl {
namespace {

using Json = nlohmann::ordered_json;
static_assert(std::endian::native == std::endian::little, "parameters are written as they lie in memory");

constexpr const char* kPolicies[] = {"actor_critic", "action_values", "squashed_gaussian", "deterministic",
                                     "categorical"};
constexpr const char* kKinds[] = {"discrete", "box", "multi_discrete"};
constexpr std::string_view kMemories[] = {"none", "lstm", "gru"};

template <class Parse>
auto parsed(const char* what, Parse parse) {
  try {
    return parse();
  } catch (const nlohmann::json::exception& error) {
    throw CheckpointError(std::string("the ") + what + " in the checkpoint cannot be read: " + error.what());
  }
}

}  // namespace

std::string to_json(const Counters& counters) {
  Json json;
  json["episodes"] = counters.episodes;
  json["env_restarts"] = counters.env_restarts;
  json["wall_seconds"] = counters.wall_seconds;
  json["cpu_seconds"] = counters.cpu_seconds;
  json["stage_seconds"] = counters.stages.seconds;
  const WorkSeconds& w = counters.work;
  json["work"] = {w.environment, w.inference, w.transfer, w.advantage, w.idle, w.operations};
  json["returns"] = counters.returns;
  return json.dump();
}

Counters counters_from_json(const std::string& text) {
  return parsed("counters", [&] {
    const auto json = Json::parse(text);
    Counters counters;
    counters.episodes = json_integer(json.at("episodes"));
    counters.env_restarts = json_integer<std::int64_t>(json, "env_restarts", 0);
    counters.wall_seconds = json.at("wall_seconds");
    counters.cpu_seconds = json.at("cpu_seconds");
    if (json.contains("stage_seconds")) counters.stages.seconds = json.at("stage_seconds");
    if (json.contains("work")) {
      const std::array<double, 6> w = json.at("work");
      counters.work = {w[0], w[1], w[2], w[3], w[4], w[5]};
    }
    counters.returns = json.at("returns").get<std::vector<double>>();
    return counters;
  });
}

std::string policy_section(const nn::PolicySpec& spec, std::span<const float> parameters) {
  Json json;
  json["observation_size"] = spec.observation_size;
  Json& action = json["action"];
  action["kind"] = kKinds[static_cast<int>(spec.action.kind)];
  action["sizes"] = spec.action.sizes;
  action["dimensions"] = spec.action.dimensions;
  action["low"] = spec.action.low;
  action["high"] = spec.action.high;
  json["hidden"] = spec.hidden;
  json["activation"] = nn::name_of(spec.activation);
  json["log_std_init"] = spec.log_std_init;
  json["normalize_observation"] = spec.normalize_observation;
  json["shared_trunk"] = spec.shared_trunk;
  json["memory"] = kMemories[static_cast<int>(spec.memory)];
  json["memory_units"] = spec.memory_units;
  json["value_function"] = spec.value_function;
  if (spec.squash_output) json["squash_output"] = true;
  if (spec.state_dependent_noise) json["state_dependent_noise"] = true;
  if (!spec.network.empty()) json["network"] = spec.network;
  if (spec.kind != nn::PolicySpec::Kind::actor_critic) json["kind"] = kPolicies[static_cast<int>(spec.kind)];
  if (spec.kind == nn::PolicySpec::Kind::action_values) {
    json["dueling"] = spec.dueling;
    json["atoms"] = spec.atoms;
    json["v_min"] = spec.v_min;
    json["v_max"] = spec.v_max;
  }
  json["floats"] = parameters.size();
  const auto actor = nn::make_actor(spec);
  for (const auto& block : actor->layout().blocks()) {
    Json& entry = json["blocks"].emplace_back();
    entry["name"] = block.name;
    entry["rows"] = block.rows;
    entry["columns"] = block.columns;
    entry["stride"] = block.stride;
    entry["offset"] = block.offset;
  }
  return json.dump() + "\n" + as_text(std::as_bytes(parameters));
}

StoredPolicy policy_from_section(const std::string& bytes) {
  return parsed("policy", [&] {
    const auto end = bytes.find('\n');
    const auto json = Json::parse(bytes.substr(0, end));
    StoredPolicy policy;
    policy.spec.observation_size = json_integer<int>(json.at("observation_size"));
    const auto& action = json.at("action");
    const std::string kind = action.at("kind");
    const auto* found = std::find(std::begin(kKinds), std::end(kKinds), kind);
    if (found == std::end(kKinds)) throw CheckpointError("the checkpoint's policy has actions of kind '" + kind + "'");
    policy.spec.action.kind = static_cast<ActionSpace::Kind>(found - kKinds);
    policy.spec.action.sizes = json_integers<int>(action.at("sizes"));
    policy.spec.action.dimensions = json_integer<int>(action.at("dimensions"));
    policy.spec.action.low = action.at("low");
    policy.spec.action.high = action.at("high");
    policy.spec.hidden = json_integers<int>(json.at("hidden"));
    try {
      policy.spec.activation = nn::activation_named(json.at("activation").get<std::string>());
    } catch (const std::invalid_argument& error) {
      throw CheckpointError(std::string("the checkpoint's policy cannot be used: ") + error.what());
    }
    policy.spec.log_std_init = json.at("log_std_init");
    policy.spec.normalize_observation = json.at("normalize_observation");
    // Policies that were written before there were such have none of these.
    policy.spec.shared_trunk = json.value("shared_trunk", false);
    const std::string memory = json.value("memory", "none");
    const auto* which = std::find(std::begin(kMemories), std::end(kMemories), memory);
    if (which == std::end(kMemories)) throw CheckpointError("the checkpoint's policy has a memory '" + memory + "'");
    policy.spec.memory = static_cast<nn::Memory>(which - kMemories);
    policy.spec.memory_units = json_integer<int>(json, "memory_units", 64);
    policy.spec.value_function = json.value("value_function", true);
    policy.spec.squash_output = json.value("squash_output", false);
    policy.spec.state_dependent_noise = json.value("state_dependent_noise", false);
    policy.spec.network = json.value("network", "");
    const std::string policy_kind = json.value("kind", kPolicies[0]);
    const auto* known = std::find(std::begin(kPolicies), std::end(kPolicies), policy_kind);
    if (known == std::end(kPolicies)) throw CheckpointError("the checkpoint's policy is of kind '" + policy_kind + "'");
    policy.spec.kind = static_cast<nn::PolicySpec::Kind>(known - kPolicies);
    policy.spec.dueling = json.value("dueling", false);
    policy.spec.atoms = json_integer<int>(json, "atoms", 1);
    policy.spec.v_min = json.value("v_min", 0.0);
    policy.spec.v_max = json.value("v_max", 0.0);
    const auto floats = json_integer<std::size_t>(json.at("floats"));
    const std::size_t expected = nn::make_actor(policy.spec)->layout().size();
    if (end == std::string::npos || floats != expected || bytes.size() - end - 1 != floats * sizeof(float)) {
      throw CheckpointError("the checkpoint's policy holds " + std::to_string(floats) +
                            " numbers where its network has " + std::to_string(expected) +
                            ": it was written by another version of the program");
    }
    policy.parameters.resize(floats);
    std::memcpy(policy.parameters.data(), bytes.data() + end + 1, floats * sizeof(float));
    return policy;
  });
}

}  // namespace mobula::rl
