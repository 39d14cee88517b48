// What a call takes along besides its arguments, when an option asked for it: a prefix of the arguments' bytes, which
// nobody between the two shells looks at. A call without such options has none and pays nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <mobula/options.h>
#include <mobula/result.h>

#include "runtime/base/ids.h"
#include "runtime/process/environment.h"

namespace mobula::client {

/// The shell's among wire::CallHeader::flags.
inline constexpr std::uint8_t has_extras = 1;
inline constexpr std::uint8_t lends_nothing = 2;  // an actor's constructor: its lease has no cpu

enum class RetryOn : std::uint8_t { deaths, exceptions, chosen_exceptions };

struct CallExtras {
  std::string name;
  std::map<std::string, std::string> metadata;
  RetryOn retry_on = RetryOn::deaths;
  std::uint64_t retry_module = 0;  // chosen_exceptions: the FunctionId of the test
  std::uint64_t retry_offset = 0;
  std::uint32_t max_calls = 0;
  std::uint64_t max_worker_memory = 0;
  std::uint32_t window = default_window;  // of a stream
  std::string group;
  // Of an actor's constructor; 0: not given.
  std::uint32_t max_concurrency = 0;
  std::map<std::string, std::uint32_t> concurrency_groups;
  process::Surroundings surroundings;  // of a task or of an actor's constructor

  static constexpr std::uint32_t default_window = 64;

  template <class A>
  void serialize(A& a) {
    a(name, metadata, retry_on, retry_module, retry_offset, max_calls, max_worker_memory, window, group,
      max_concurrency, concurrency_groups, surroundings);
  }
  bool operator==(const CallExtras&) const = default;
};

/// The prefix, or nothing if the options ask for nothing that has to travel.
std::vector<std::byte> extras_of(const Options& options);
std::vector<std::byte> extras_of_actor(const Options& options);

process::Surroundings surroundings_of(const Options& options);
/// Tells surroundings apart: their tasks do not share leases. 0 for none.
std::uint64_t surroundings_number(const Options& options);

/// Items that a stream may be ahead; null: by default.
std::uint32_t window_of(const Options* options);
/// What a call's header says of a concurrency group's name. 0 for none.
std::uint32_t group_number(const std::string& name);

/// Cuts the prefix off the arguments. Throws TaskError(bad_message).
std::span<const std::byte> cut_extras(std::span<const std::byte>& args);
CallExtras decode_extras(std::span<const std::byte> prefix);

}  // namespace mobula::client
