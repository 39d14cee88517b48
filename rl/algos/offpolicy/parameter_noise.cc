#include "rl/algos/offpolicy/parameter_noise.h"

#include <algorithm>

namespace mobula::rl {

void draw_parameter_noise(const nn::ParameterLayout& layout, Random& random, std::span<float> noise) {
  std::fill(noise.begin(), noise.end(), 0.0f);
  for (const nn::ParameterBlock& block : layout.blocks()) {
    if (!block.name.starts_with("actor.") && !block.name.starts_with("q.")) continue;
    for (int r = 0; r < block.rows; ++r) {
      float* row = noise.data() + block.offset + static_cast<std::size_t>(r) * block.stride;
      for (int c = 0; c < block.columns; ++c) row[c] = static_cast<float>(random.normal());
    }
  }
}

std::vector<float> perturbed(std::span<const float> parameters, const nn::ParameterLayout& layout, double deviation,
                             Random& random) {
  std::vector<float> moved(parameters.size());
  draw_parameter_noise(layout, random, moved);
  for (std::size_t k = 0; k < moved.size(); ++k) moved[k] = parameters[k] + static_cast<float>(deviation) * moved[k];
  return moved;
}

std::span<const float> episode_noise(nn::Actor& actor, std::size_t row, std::uint64_t seed, std::uint32_t env,
                                     std::uint32_t episode) {
  auto& rows = actor.perturbations.of_row;
  if (rows.size() <= row) rows.resize(row + 1);
  nn::PerturbationCache::Entry& entry = rows[row];
  if (entry.noise.empty() || entry.seed != seed || entry.env != env || entry.episode != episode) {
    entry.seed = seed, entry.env = env, entry.episode = episode;
    entry.noise.resize(actor.layout().size());
    Random random(seed, Stream::parameters, env + 1, episode);
    draw_parameter_noise(actor.layout(), random, entry.noise);
  }
  return entry.noise;
}

}  // namespace mobula::rl
