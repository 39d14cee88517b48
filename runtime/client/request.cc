#include "runtime/client/request.h"

#include <fmt/format.h>

#include <cmath>

#include <mobula/result.h>

#include "runtime/client/call_extras.h"
#include "runtime/daemon/machine_resources.h"

namespace mobula::client {
namespace {

[[noreturn]] void refuse(std::string message) {
  throw TaskError({.code = ErrorCode::invalid, .message = std::move(message)});
}

void set(Resources& resources, const std::string& name, double amount) {
  resources.set(name, daemon::resource_units(name, amount).value());
}

void check_count(const char* option, int value) {
  if (value < -1)
    refuse(fmt::format("{} = {}: give a number of attempts, or -1 for as many as it takes", option, value));
}

void check_surroundings(const Options& options) {
  for (const auto& [name, value] : options.env) {
    const bool good = !name.empty() && name.find_first_of(std::string_view("=\0", 2)) == std::string::npos;
    if (!good) refuse(fmt::format("env: '{}' cannot be the name of a variable: it is empty, or has '=' in it", name));
    if (value.find('\0') != std::string::npos) refuse(fmt::format("env: the value of {} has a zero byte in it", name));
  }
}

}  // namespace

Resources resources_of(const ResourceRequest& request, double default_cpu) {
  Resources out;
  set(out, "cpu", request.cpu.value_or(default_cpu));
  if (request.gpu != 0) set(out, "gpu", request.gpu);
  if (request.memory != 0) set(out, "memory", static_cast<double>(request.memory));
  for (const auto& [name, amount] : request.custom) {
    if (out.amount(name) != 0)
      refuse(fmt::format("resource {} is asked for twice, by its own field and in custom", name));
    set(out, name, amount);
  }
  return out;
}

void check_copies(const Options& options) {
  constexpr int most_copies = 100;
  if (options.copies >= 1 && options.copies <= most_copies) return;
  refuse(
      fmt::format("copies = {}: give the number of nodes on which the value shall lie, from 1 (where it is made) to "
                  "{}; with 2 it survives the death of any one of them",
                  options.copies, most_copies));
}

TaskOptions task_options(const Options& options) {
  check_count("max_retries", options.max_retries);
  check_copies(options);
  if (options.max_calls < 0) refuse(fmt::format("max_calls = {}: give a number of calls, or 0", options.max_calls));
  if (options.max_unread_items < 1) {
    refuse(fmt::format("max_unread_items = {}: a stream is at least one item ahead of its reader",
                       options.max_unread_items));
  }
  check_surroundings(options);
  const Backoff& backoff = options.backoff;
  if (backoff.first.count() < 0 || backoff.most < backoff.first || !(backoff.factor >= 1) || !(backoff.jitter >= 0) ||
      backoff.jitter > 1) {
    refuse("backoff: first is zero or more, most is at least first, factor at least 1, and jitter from 0 to 1");
  }
  return {.name = options.name,
          .max_retries = options.max_retries,
          .backoff = options.backoff,
          .resources = resources_of(options.resources, 1),
          .surroundings = surroundings_number(options),
          .copies = static_cast<std::uint32_t>(options.copies)};
}

ActorOptions actor_options(const Options& options) {
  check_count("max_restarts", options.max_restarts);
  check_surroundings(options);
  check_count("max_call_retries", options.max_call_retries);
  constexpr int most_at_once = 100'000;
  if (options.max_concurrency && (*options.max_concurrency < 1 || *options.max_concurrency > most_at_once)) {
    refuse(fmt::format("max_concurrency = {}: give a number of calls from 1 to {}", *options.max_concurrency,
                       most_at_once));
  }
  for (const auto& [name, at_once] : options.concurrency_groups) {
    if (name.empty() || at_once < 1 || at_once > 1000) {
      refuse(fmt::format("concurrency group '{}' of {} threads: a group has a name and from 1 to 1000 threads", name,
                         at_once));
    }
  }
  if (options.max_pending_calls < 0) {
    refuse(fmt::format("max_pending_calls = {}: give a number of calls, or 0", options.max_pending_calls));
  }
  if (options.checkpoint_every < 0 || options.checkpoint_period.count() < 0 ||
      (options.checkpoint_every == 0 && options.checkpoint_period.count() == 0)) {
    refuse(fmt::format("checkpoint_every = {}, checkpoint_period = {} ms: give a number of calls, a time, or both",
                       options.checkpoint_every, options.checkpoint_period.count()));
  }
  return {.name = options.name,
          .max_restarts = options.max_restarts,
          .max_call_retries = options.max_call_retries,
          .max_pending_calls = static_cast<std::uint32_t>(options.max_pending_calls),
          .unordered = options.unordered,
          .resources = resources_of(options.resources, 0),
          .checkpoint_every = static_cast<std::uint32_t>(options.checkpoint_every),
          .checkpoint_period = Duration(options.checkpoint_period)};
}

void keep_state(ActorSpec& spec, const Options& options) {
  if (spec.options.max_restarts == 0) return;
  if (options.max_concurrency.value_or(1) > 1 || !options.concurrency_groups.empty()) {
    refuse(
        "max_concurrency, concurrency_groups: this actor has save() and load(), and restarts; its calls run one at a "
        "time, so that its state is that after a whole number of them. Leave these options out, or max_restarts");
  }
  spec.options.keeps_state = true;
}

}  // namespace mobula::client
