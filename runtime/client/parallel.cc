#include <mobula/parallel.h>

#include <unistd.h>

#include <fmt/format.h>

#include "runtime/client/failure.h"

namespace mobula::detail {
namespace {

// A call of so long costs little beside its items, and there are many of them for balance.
constexpr std::chrono::nanoseconds call_of = std::chrono::milliseconds(4);
constexpr std::size_t most_items = 65536;
constexpr std::size_t most_bytes = 1 << 20;
constexpr std::size_t first_batch = 64;
constexpr std::size_t grows_by = 4;
constexpr std::size_t slots_elsewhere = 10;  // assumed of a cluster

}  // namespace

BatchPlan::BatchPlan(const MapOptions& options, int cpus, bool in_process, std::size_t known, std::size_t bytes)
    : fixed_(options.batch), known_(known) {
  slots_ = in_process ? 1 : cpus > 0 ? static_cast<std::size_t>(cpus) : slots_elsewhere;
  in_flight_ = options.in_flight != 0 ? options.in_flight : in_process ? 1 : cpus > 0 ? 3 * slots_ : 32;
  most_ = bytes == 0 ? most_items : std::clamp<std::size_t>(most_bytes / bytes, 1, most_items);
}

std::size_t BatchPlan::next() {
  if (fixed_ != 0) return fixed_;
  std::size_t size = last_ == 0 ? first_batch : last_;
  if (done_ > 0) {
    const auto each = (Clock::now() - began_) * slots_ / done_;
    const auto wanted = each.count() > 0 ? static_cast<std::size_t>(call_of / each) : most_;
    size = std::min(std::max<std::size_t>(wanted, 1), size * grows_by);
  }
  // The last ones become smaller, so that all workers end together.
  if (known_ > given_) size = std::min(size, (known_ - given_) / (2 * slots_) + 1);
  last_ = std::clamp<std::size_t>(size, 1, most_);
  given_ += last_;
  return last_;
}

void element_failed(std::uint64_t index) {
  Error error = client::error_of_current_exception({.task = {}, .node = {}, .pid = getpid(), .attempt = 0});
  error.pid = 0;
  throw TaskError(
      {.code = ErrorCode::exception, .message = fmt::format("element {} failed", index), .causes = {std::move(error)}});
}

void batch_failed(const Error& error, std::string_view name, std::uint64_t first, std::uint64_t count) {
  if (error.code == ErrorCode::exception && !error.causes.empty() &&
      error.causes.front().message.starts_with("element ")) {
    Error told = error.causes.front();
    if (!told.causes.empty()) told.message += ": " + told.causes.front().message;
    told.task = error.task;
    told.node = error.node;
    told.pid = error.pid;
    told.attempt = error.attempt;
    throw TaskError(std::move(told));
  }
  Error told = error;
  told.causes = {error};
  told.message =
      count == 1 ? fmt::format("element {} of {} failed", first, name)
                 : fmt::format("elements {} to {} of {}, which were one call, failed", first, first + count - 1, name);
  throw TaskError(std::move(told));
}

}  // namespace mobula::detail
