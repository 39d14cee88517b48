// A fuzz target: what is done with hostile bytes, and bytes to begin with.
//
// Each file NAME_fuzz.cc defines both functions. They are linked twice: with replay_main.cc into a test that every run
// of the suite does (seeds, the corpus of tests/fuzz/corpus/NAME, and fixed mutations of both), and, where clang's
// libFuzzer is there, into a program that searches for new inputs (docs/internals/fuzzing.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <vector>

#include "runtime/base/bytes.h"

namespace mobula::fuzz {

using Input = std::vector<std::byte>;

// Must not crash, hang or take much more memory than the input is long; aborts where what it finds is wrong.
void run(std::span<const std::byte> input);
std::vector<Input> seeds();

inline Input copy_of(std::span<const std::byte> bytes) {
  return {bytes.begin(), bytes.end()};
}
inline void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace mobula::fuzz
