// Configuration files, read to the end: as the options of a training run. What is accepted is written again as a file
// that means the same.
#include "rl/train/experiment.h"

#include "runtime/config/document.h"
#include "tests/fuzz/input_file.h"

namespace mobula::fuzz {

void run(std::span<const std::byte> input) {
  std::string written;
  try {
    const config::Document document = config::Document::parse(text_of(input), "input.yaml");
    const rl::TrainOptions options = rl::read_experiment(document);
    static_cast<void>(rl::advice(options));
    written = rl::write_experiment(options);
  } catch (const config::ConfigError& error) {
    return require(*error.what() != 0);
  }
  const auto again = rl::read_experiment(config::Document::parse(written, "written.yaml"));
  require(rl::write_experiment(again) == written);
}

std::vector<Input> seeds() {
  return {
      bytes_of("experiment: cartpole\nenv: {name: cartpole}\nalgorithm: {name: ppo, lr: 3.0e-4, network: {hidden: [64, "
               "64]}}\nworkers: 2\nseed: 0\nstop: {env_steps: 100000}\nevaluate: {every: 20, episodes: 50}\n"),
      bytes_of("env: {name: intersection, main_demand: 900}\nalgorithm: {name: ppo}\nfairness:\n  groups: street\n  "
               "constraints: [{metric: mean_wait_gap, at_most: 10, confidence: 0.95}]\n"),
      bytes_of("env: {name: pendulum}\nalgorithm: {name: sac}\ncheckpoint: {keep: 3}\n"),
  };
}

}  // namespace mobula::fuzz
