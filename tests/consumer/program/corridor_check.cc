#include <mobula/rl/check.h>

#include <iostream>

#include "corridor.h"

int main() {
  const auto problems = mobula::rl::check_environment<Corridor>();
  for (const auto& problem : problems) std::cerr << problem << '\n';
  return problems.empty() ? 0 : 1;
}
