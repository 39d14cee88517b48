#include "rl/nn/orthogonal.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace mobula::rl::nn {

std::vector<double> orthogonal(int rows, int columns, double gain, Random& random) {
  const int vectors = std::min(rows, columns);
  const int length = std::max(rows, columns);
  std::vector<std::vector<double>> basis(vectors, std::vector<double>(length));
  const auto dot = [](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0;
    for (std::size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
    return sum;
  };
  for (int i = 0; i < vectors; ++i) {
    double size = 0;
    while (size < 1e-6) {  // drawn again in the unlikely case that it lies in the span of the others
      for (double& x : basis[i]) x = random.normal();
      for (int pass = 0; pass < 2; ++pass) {
        for (int j = 0; j < i; ++j) {
          const double along = dot(basis[i], basis[j]);
          for (int k = 0; k < length; ++k) basis[i][k] -= along * basis[j][k];
        }
      }
      size = std::sqrt(dot(basis[i], basis[i]));
    }
    for (double& x : basis[i]) x /= size;
  }
  std::vector<double> matrix(static_cast<std::size_t>(rows) * columns);
  for (int r = 0; r < rows; ++r) {
    for (int c = 0; c < columns; ++c) {
      matrix[static_cast<std::size_t>(r) * columns + c] = gain * (rows <= columns ? basis[r][c] : basis[c][r]);
    }
  }
  return matrix;
}

}  // namespace mobula::rl::nn
