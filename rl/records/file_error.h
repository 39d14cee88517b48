#pragma once

#include <stdexcept>

namespace mobula::rl {

/// A file could not be read or written; what() names it and the reason.
class FileError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace mobula::rl
