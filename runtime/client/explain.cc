// Runtime::explain(): asks, and waits for those who answer in time.
#include <fmt/format.h>

#include "runtime/client/process_core.h"

namespace mobula::client {

namespace {
constexpr Duration patience = std::chrono::milliseconds(800);
}

std::string ProcessCore::wait_for_why(Lock& lock, std::uint64_t question, std::string_view nothing) {
  std::optional<std::vector<std::string>> lines;
  const bool all = wait_until(lock, steady_now() + patience, {}, [&] {
    if (!lines) lines = owner_->take_why(question, false);
    return lines.has_value();
  });
  if (!all) lines = owner_->take_why(question, true);
  std::string text;
  for (const std::string& line : lines.value_or(std::vector<std::string>())) text += line + "\n";
  if (text.empty()) text = std::string(nothing) + "\n";
  if (!all) text += "(some processes or nodes did not answer in time)\n";
  return text;
}

std::string ProcessCore::explain(detail::Slot ref) {
  Lock lock(mutex_);
  if (closed_) throw_closed("asking why");
  return wait_for_why(lock, owner_->ask_why(handle_of(ref), steady_now()), "nothing is known of it");
}

std::string ProcessCore::explain_name(std::string_view subject) {
  Lock lock(mutex_);
  if (closed_) throw_closed("asking why");
  return wait_for_why(lock, owner_->ask_why(std::string(subject)),
                      fmt::format("no task, actor or reference called '{}' waits or runs", subject));
}

}  // namespace mobula::client
