#pragma once

#include <mobula/random.h>

#include <vector>

namespace mobula::rl::nn {

// A random [rows][columns] matrix whose rows (or columns, whichever are fewer) are orthogonal and have length `gain`:
// Gram-Schmidt, applied twice, on normal numbers. In double, so that the float weights are the same however it is
// compiled.
std::vector<double> orthogonal(int rows, int columns, double gain, Random& random);

}  // namespace mobula::rl::nn
