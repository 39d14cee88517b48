#include "tests/support/paths.h"

namespace mobula::tests {

std::filesystem::path source_dir() {
  return MOBULA_SOURCE_DIR;
}

std::filesystem::path binary_dir() {
  return MOBULA_BINARY_DIR;
}

}  // namespace mobula::tests
