#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "runtime/base/ids.h"

namespace mobula {

/// Tells whether bytes are those that were written: against accidents, not against attackers. Some 10 GB/s. Can be
/// continued: the sum of what came before is the seed of the next part, where all parts but the last have a multiple of
/// 32 bytes.
inline std::uint64_t checksum(std::span<const std::byte> bytes, std::uint64_t seed = 0) {
  // Each word goes into its lane by a step that can be undone, so one wrong word always shows.
  std::uint64_t lanes[4] = {seed ^ 0x6a09e667f3bcc908u, seed ^ 0xbb67ae8584caa73bu, seed ^ 0x3c6ef372fe94f82bu,
                            seed ^ 0xa54ff53a5f1d36f1u};
  const std::size_t whole = bytes.size() / 32 * 32;
  for (std::size_t at = 0; at < whole; at += 32) {
    std::uint64_t words[4];
    std::memcpy(words, bytes.data() + at, sizeof words);
    for (int i = 0; i < 4; ++i) lanes[i] = std::rotl((lanes[i] ^ words[i]) * 0x9e3779b97f4a7c15u, 29);
  }
  std::uint64_t tail[4] = {};
  if (whole < bytes.size()) std::memcpy(tail, bytes.data() + whole, bytes.size() - whole);
  std::uint64_t sum = bytes.size();
  for (int i = 0; i < 4; ++i) sum = hash_mix(sum, hash_mix(lanes[i], tail[i]));
  return sum;
}

}  // namespace mobula
