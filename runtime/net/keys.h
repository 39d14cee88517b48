#pragma once

#include <string>

#include <mobula/result.h>

namespace mobula::net {

/// The CURVE key pair of a cluster (in Z85, 40 characters each). All its nodes share it: whoever has the file may join,
/// and run code on every node; whoever has not can neither join nor listen.
struct Keys {
  std::string public_key;
  std::string secret_key;

  /// A new pair, from the system's random source. Throws std::runtime_error if this libzmq was built without CURVE.
  static Keys generate();

  /// Reads a file that save() wrote. Fails with `invalid`, saying what is wrong with it: missing, readable for others,
  /// not a keys file, damaged.
  static Result<Keys> load(const std::string& path);

  /// Writes the file, readable for its owner only. It is written aside and renamed, so it is whole or not there.
  Result<void> save(const std::string& path) const;

  friend bool operator==(const Keys&, const Keys&) = default;
};

}  // namespace mobula::net
