// The error of every configuration mistake.
#pragma once

#include <stdexcept>
#include <string>

namespace mobula::config {

// what() is one line for the user: where ("run.yaml:3:7" or "--set algorithm.lr=x"), what was found, what was expected
// and, where one is near, what was probably meant. The programs end with exit status 2 on it.
class ConfigError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mobula::config
