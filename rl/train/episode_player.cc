#include "rl/train/episode_player.h"

#include <fmt/format.h>

#include <algorithm>

namespace mobula::rl {

std::optional<EpisodeEnd> play_episode(const EnvironmentSpec& env, const StoredPolicy& policy, std::uint64_t seed,
                                       std::uint32_t episode, std::optional<int> baseline,
                                       const std::function<bool(const AnyVecEnv&)>& look) {
  const auto envs = env.factory(env.config, {.count = 1, .first = episode, .seed = seed, .stream = Stream::evaluation});
  const auto actor = nn::make_actor(policy.spec);
  std::vector<float> action(static_cast<std::size_t>(envs->info().action.dimensions));
  envs->reset(0);
  // The environment is reset in the step that ends its episode, so the last state cannot be looked at.
  while (look(*envs)) {
    if (baseline) {
      envs->baseline_actions(*baseline, action);
    } else {
      actor->mode(policy.parameters, envs->observations(), envs->masks(), action.data());
    }
    envs->step(action);
    if (!envs->ended().empty() && !envs->ended()[0].crashed) return envs->ended()[0];
  }
  return std::nullopt;
}

std::string animate_svg(const std::vector<std::string>& frames, double frame_seconds) {
  if (frames.empty()) return {};
  // The opening tag of the first frame gives the size.
  const auto open = frames[0].find("<svg");
  const auto close = frames[0].find('>', open);
  if (open == std::string::npos || close == std::string::npos) return {};
  std::string text = frames[0].substr(open, close + 1 - open) + "\n";
  const double count = static_cast<double>(frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    // Shown from i/n to (i+1)/n of the whole. keyTimes begin at 0, so the first frame starts visible.
    const double from = static_cast<double>(i) / count, to = static_cast<double>(i + 1) / count;
    std::string values = "none;inline", times = fmt::format("0;{:.6f}", from);
    if (i == 0) values = "inline", times = "0";
    if (i + 1 < frames.size()) values += ";none", times += fmt::format(";{:.6f}", to);
    text += fmt::format("<g{}>", i == 0 ? "" : " display=\"none\"");
    if (frames.size() > 1) {
      text += fmt::format(
          "<animate attributeName=\"display\" calcMode=\"discrete\" dur=\"{:.3f}s\" repeatCount=\"indefinite\" "
          "values=\"{}\" keyTimes=\"{}\"/>",
          frame_seconds * count, values, times);
    }
    const auto begin = frames[i].find("<svg");
    text += begin == std::string::npos ? "" : frames[i].substr(begin);
    text += "</g>\n";
  }
  return text + "</svg>\n";
}

}  // namespace mobula::rl
