// Questions that nodes answer about themselves: to other nodes (a program's file) and to people's commands (what runs,
// logs, jobs). They go beside the protocol of the participants: nothing that runs depends on them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/bytes.h"

namespace mobula::daemon {

enum class Topic : std::uint8_t {
  program = 1,  // words: build-id. number: offset. Answer: number: bytes of the file; row: bytes, checksum of the file
  details,      // how the node stands, beyond what the head knows (see details.h)
  stacks,       // what its workers do
  logs,         // what its workers printed
  timeline,     // what its workers did
  job,          // of the head: programs that were submitted (see jobs.h)
};

struct Question {
  std::uint64_t id = 0;  // the asker's own; comes back in the answer
  Topic topic = Topic::program;
  std::uint64_t number = 0;
  std::vector<std::string> words;
  bool operator==(const Question&) const = default;
};

using Row = std::vector<std::string>;

struct Answer {
  std::uint64_t id = 0;
  std::uint64_t number = 0;
  std::string error;  // why there is none; empty: there is
  std::vector<Row> rows;
  bool operator==(const Answer&) const = default;
};

// The bytes of a file that one answer carries, and of the text that all its rows have together at most.
inline constexpr std::size_t program_chunk = std::size_t{1} << 20;
inline constexpr std::size_t most_answer_bytes = std::size_t{16} << 20;

Bytes encode(const Question& question);
Bytes encode(const Answer& answer);
// Nothing where the bytes are none; they may be anything.
std::optional<Question> decode_question(std::span<const std::byte> bytes);
std::optional<Answer> decode_answer(std::span<const std::byte> bytes);

}  // namespace mobula::daemon
