#include <mobula/queue.h>

#include <fmt/format.h>

namespace mobula::detail {

void queue_closed(const char* tried) {
  throw TaskError({.code = ErrorCode::unavailable,
                   .message = fmt::format("{}: the queue was closed{}", tried,
                                          std::string_view(tried).starts_with("taking") ? ", and it is empty" : "")});
}

void queue_failed(const Error& error) {
  if (error.code == ErrorCode::exception && !error.causes.empty()) throw TaskError(error.causes.front());
  throw TaskError(error);
}

Options queue_options(Options options) {
  if (options.title.empty()) options.title = "Queue";
  // Those that wait must not keep out the one that they wait for.
  options.max_concurrency = 100'000;  // the most there can be
  return options;
}

}  // namespace mobula::detail
