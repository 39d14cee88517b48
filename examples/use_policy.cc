// Uses a trained policy: use_policy RUN NUMBER... prints the action for an observation.
//
//   use_policy runs/cartpole-1 0.02 -0.3 0.04 0.5
#include <mobula/rl/policy.h>

#include <exception>
#include <iostream>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
  if (argc < 3) {
    std::cerr << "usage: use_policy RUN NUMBER...\n";
    return 2;
  }
  // [policy]
  const auto policy = mobula::rl::Policy::load(argv[1]);
  std::vector<float> observation;
  for (int i = 2; i < argc; ++i) observation.push_back(std::stof(argv[i]));
  for (const float number : policy.act(observation)) std::cout << number << ' ';
  // [/policy]
  std::cout << '\n';
} catch (const std::exception& error) {
  std::cerr << "use_policy: " << error.what() << '\n';
  return 1;
}
