#pragma once

namespace mobula::rl {

// What fitting two critics to their targets came to.
struct CriticFit {
  double loss = 0;
  double q_mean = 0;  // of both critics
};

}  // namespace mobula::rl
