// Where this tree and its build lie. Functions, so that only one file is compiled anew when a checkout moves.
#pragma once

#include <filesystem>

namespace mobula::tests {

std::filesystem::path source_dir();
std::filesystem::path binary_dir();

}  // namespace mobula::tests
