// Trains CartPole from C++: the settings of cartpole.yaml, with a callback that watches.
#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <iostream>

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  const mobula::rl::TrainOptions options{.experiment = "cartpole",
                                         .env = *mobula::rl::find_environment("cartpole"),
                                         .algorithm = mobula::rl::PpoOptions{.lr = 1e-3,
                                                                             .lr_schedule = "linear",
                                                                             .n_envs = 8,
                                                                             .n_steps = 32,
                                                                             .batch_size = 256,
                                                                             .n_epochs = 20,
                                                                             .gamma = 0.98,
                                                                             .gae_lambda = 0.8,
                                                                             .clip_range = 0.2,
                                                                             .clip_schedule = "linear"},
                                         .workers = 2,
                                         .stop = {.env_steps = 100'000}};
  const auto result = mobula::rl::train(options, {.on_rollout = [](const mobula::rl::RolloutEvent& event) {
                                          if (event.progress.iteration % 50 == 0) {
                                            std::cout << event.progress.env_steps << " steps, mean return "
                                                      << event.return_mean << '\n';
                                          }
                                        }});
  const auto* held_out = mobula::rl::find(*result.find("trained"), "return");
  std::cout << "on held-out episodes: " << held_out->value << " [" << held_out->low << ", " << held_out->high
            << "]; the policy is in " << result.run_directory.string() << '\n';
}
