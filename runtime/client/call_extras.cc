#include "runtime/client/call_extras.h"

#include <cstring>

#include <mobula/codec.h>
#include <mobula/detail/registry.h>

namespace mobula::client {
namespace {

// The prefix's size in front of it; all of it a multiple of 16, so that the arguments stay as aligned as they were.
constexpr std::size_t aligned_to = 16;

std::vector<std::byte> prefix_of(const CallExtras& extras) {
  if (extras == CallExtras{}) return {};
  const std::vector<std::byte> encoded = encode_to_bytes(extras);
  const std::uint64_t size = (sizeof size + encoded.size() + aligned_to - 1) / aligned_to * aligned_to;
  std::vector<std::byte> prefix(size);
  std::memcpy(prefix.data(), &size, sizeof size);
  std::memcpy(prefix.data() + sizeof size, encoded.data(), encoded.size());
  return prefix;
}

}  // namespace

std::uint32_t window_of(const Options* options) {
  return options != nullptr ? static_cast<std::uint32_t>(options->max_unread_items) : CallExtras::default_window;
}

std::uint32_t group_number(const std::string& name) {
  if (name.empty()) return 0;
  std::uint64_t hash = 1;
  for (const char c : name) hash = hash_mix(hash, static_cast<unsigned char>(c));
  return static_cast<std::uint32_t>(hash) | 1;
}

process::Surroundings surroundings_of(const Options& options) {
  return {.variables = options.env, .directory = options.working_dir, .memory = options.memory_limit};
}

std::uint64_t surroundings_number(const Options& options) {
  const process::Surroundings surroundings = surroundings_of(options);
  if (!surroundings.any()) return 0;
  std::uint64_t hash = 1;
  for (const std::byte byte : encode_to_bytes(surroundings)) hash = hash_mix(hash, static_cast<std::uint64_t>(byte));
  return hash | 1;
}

std::vector<std::byte> extras_of_actor(const Options& options) {
  CallExtras extras;
  extras.surroundings = surroundings_of(options);
  extras.name = options.name;
  extras.max_concurrency = static_cast<std::uint32_t>(options.max_concurrency.value_or(0));
  for (const auto& [name, at_once] : options.concurrency_groups) {
    extras.concurrency_groups[name] = static_cast<std::uint32_t>(at_once);
  }
  return prefix_of(extras);
}

std::vector<std::byte> extras_of(const Options& options) {
  CallExtras extras;
  extras.name = options.name;
  extras.metadata = options.metadata;
  if (options.retry_if.entry() != nullptr) {
    const detail::FunctionId id = detail::id_of(*options.retry_if.entry());
    extras.retry_on = RetryOn::chosen_exceptions;
    extras.retry_module = id.module;
    extras.retry_offset = id.offset;
  } else if (options.retry_exceptions) {
    extras.retry_on = RetryOn::exceptions;
  }
  extras.max_calls = static_cast<std::uint32_t>(options.max_calls);
  extras.max_worker_memory = options.max_worker_memory;
  extras.window = window_of(&options);
  extras.group = options.group;
  extras.surroundings = surroundings_of(options);
  return prefix_of(extras);
}

std::span<const std::byte> cut_extras(std::span<const std::byte>& args) {
  std::uint64_t size = 0;
  if (args.size() >= sizeof size) std::memcpy(&size, args.data(), sizeof size);
  if (size < sizeof size || size > args.size()) {
    throw TaskError({.code = ErrorCode::bad_message, .message = "a call's options cannot be read: it ends early"});
  }
  const auto prefix = args.subspan(sizeof size, size - sizeof size);
  args = args.subspan(size);
  return prefix;
}

CallExtras decode_extras(std::span<const std::byte> prefix) {
  return decode_from_bytes<CallExtras>(prefix);
}

}  // namespace mobula::client
