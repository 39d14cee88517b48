// The same function over many items, in batches: the items of one batch travel in one call, so that small ones cost
// nanoseconds each.
//
//   std::vector<double> roots = mobula::parallel_map<root>(rt, numbers);                      // double root(int)
//   std::vector<double> scores = mobula::parallel_map<score>(rt, games, {.batch = 8}, model); // double score(Game,
//   Model) mobula::parallel_for_each<store>(rt, rows); std::vector<float> out = mobula::map_batches<infer>(rt, rows,
//   {.batch = 256});  // of a whole batch at once:
//                                       // std::vector<float> infer(std::span<const Row> batch)
//
// Items come from any input range, which is read by the calling thread and only as far as calls are made: it may be
// longer than memory. Results have the order of the items, whatever the batches. What comes after the options are
// further arguments, the same for all items: stored once (or Refs) and read in place by every batch.
//
// The first item that fails (in the order of the range) ends the whole by TaskError, whose message names its index;
// later batches are cancelled. Where a worker died and no retry was left it names the items of that batch. A function
// that is tried again (Options::max_retries) is called again for all items of its batch.
//
// Any thread, also inside a task (which lends its cpu meanwhile).
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <ranges>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "mobula/runtime.h"

namespace mobula {

struct MapOptions {
  // Items in one call. 0: from what the items take, so that a call takes some milliseconds; map_batches: 1024.
  std::size_t batch = 0;
  std::size_t in_flight = 0;  // calls at once; 0: three for each worker slot of this node (without slots 32)
  Options task{};             // of each call
};

namespace detail {

// How many items the next call takes.
class BatchPlan {
 public:
  // `known` items in all, or 0 where that is not known; of `bytes` each, or 0.
  BatchPlan(const MapOptions& options, int cpus, bool in_process, std::size_t known, std::size_t bytes);
  std::size_t in_flight() const { return in_flight_; }
  std::size_t next();
  void done(std::size_t items) { done_ += items; }

 private:
  std::size_t fixed_ = 0;
  std::size_t in_flight_ = 0;
  std::size_t slots_ = 1;
  std::size_t known_ = 0;
  std::size_t most_ = 0;
  std::size_t last_ = 0;
  std::size_t given_ = 0, done_ = 0;
  Clock::time_point began_ = Clock::now();
};

// In a handler, where element `index` failed.
[[noreturn]] void element_failed(std::uint64_t index);
// What the caller is told of a batch that failed.
[[noreturn]] void batch_failed(const Error& error, std::string_view name, std::uint64_t first, std::uint64_t count);

// All calls of one run. `submit(batch, first)` makes a Ref<V>; returns what came, in order.
template <class In, class V, class Range, class Submit>
auto run_batches(const Runtime& rt, Range&& range, BatchPlan plan, std::string_view name, const Submit& submit) {
  struct Flight {
    Ref<V> ref;
    std::size_t number;
    std::uint64_t first, count;
  };
  struct Failure {
    std::size_t number;
    std::uint64_t first, count;
    Error error;
  };
  using Part = std::conditional_t<std::is_void_v<V>, bool, V>;
  std::vector<std::optional<Part>> parts;
  std::vector<Flight> flights;
  std::optional<Failure> failure;
  std::vector<Slot> slots;
  std::vector<bool> ready;
  std::vector<In> batch;
  std::uint64_t first = 0;
  auto it = std::ranges::begin(range);
  const auto end = std::ranges::end(range);
  for (;;) {
    while (!failure && flights.size() < plan.in_flight() && it != end) {
      batch.clear();
      for (std::size_t n = plan.next(); n > 0 && it != end; --n, ++it) batch.push_back(static_cast<In>(*it));
      const std::uint64_t count = batch.size();
      flights.push_back({submit(batch, first), parts.size(), first, count});
      parts.emplace_back();
      first += count;
    }
    if (flights.empty()) break;
    slots.clear();
    for (const Flight& flight : flights) slots.push_back(flight.ref.base().slot());
    ready.assign(flights.size(), false);
    rt.core().wait(slots, 1, Deadline::max(), ready);
    std::size_t kept = 0;
    for (std::size_t i = 0; i < flights.size(); ++i) {
      Flight& flight = flights[i];
      if (!ready[i]) {
        if (kept != i) flights[kept] = std::move(flight);
        ++kept;
        continue;
      }
      Result<V> result = flight.ref.try_get();
      if (!result) {
        if (!failure || flight.number < failure->number) {
          failure = Failure{flight.number, flight.first, flight.count, result.error()};
        }
      } else {
        plan.done(flight.count);
        if constexpr (!std::is_void_v<V>) parts[flight.number] = *std::move(result);
      }
    }
    flights.resize(kept, Flight{});
    if (failure) {
      for (const Flight& flight : flights) {
        if (flight.number > failure->number) rt.cancel(flight.ref);
      }
      std::erase_if(flights, [&](const Flight& flight) { return flight.number > failure->number; });
    }
  }
  if (failure) batch_failed(failure->error, name, failure->first, failure->count);
  return parts;
}

template <class Parts>
auto joined(Parts&& parts) {
  using Value = std::ranges::range_value_t<std::remove_cvref_t<decltype(*parts.front())>>;
  std::size_t size = 0;
  for (const auto& part : parts) size += std::ranges::size(*part);
  std::vector<Value> out;
  out.reserve(size);
  for (auto& part : parts) {
    if constexpr (std::is_trivially_copyable_v<Value>) {
      out.insert(out.end(), part->begin(), part->end());
    } else {
      out.insert(out.end(), std::make_move_iterator(part->begin()), std::make_move_iterator(part->end()));
    }
    part.reset();
  }
  return out;
}

// One call: F for each item of a batch. Its items, and what comes back, are a run of bytes where they can be one.
template <auto F, class Parameters = typename Signature<std::remove_cv_t<decltype(F)>>::Parameters>
struct MapEntry;
template <auto F, class P0, class... P>
struct MapEntry<F, Types<P0, P...>> {
  using S = Signature<std::remove_cv_t<decltype(F)>>;
  static_assert(std::is_void_v<typename S::Object>, "mobula: parallel_map takes a function of the item");
  static_assert(!ResultShape<typename S::Result>::coroutine && !IsGenerator<typename S::Result>::value,
                "mobula: parallel_map takes a plain function; coroutines are called by rt.remote<f>");
  using In = Stored<P0>;
  using Out = Stored<typename S::Result>;
  static constexpr bool runs = Codec<std::vector<In>>::is_block;
  using Batch = std::conditional_t<runs, std::span<const In>, std::vector<In>>;

  static auto one(const In& item, const Stored<P>&... shared) -> typename S::Result {
    In copy = item;
    return F(pass<P0>(copy), pass_shared<P>(shared)...);
  }
  template <class Q>
  static decltype(auto) pass_shared(const Stored<Q>& shared) {
    if constexpr (std::is_rvalue_reference_v<Q>) {
      return Stored<Q>(shared);
    } else {
      return static_cast<const Stored<Q>&>(shared);
    }
  }

  static auto run(std::uint64_t first, Batch items, const Stored<P>&... shared) {
    std::size_t i = 0;
    try {
      if constexpr (std::is_void_v<Out>) {
        for (; i < items.size(); ++i) one(items[i], shared...);
      } else if constexpr (std::is_trivially_copyable_v<Out> && std::is_default_constructible_v<Out> &&
                           !std::is_same_v<Out, bool> && alignof(Out) <= 64) {
        ArrayBuilder<Out> out(items.size());
        for (; i < items.size(); ++i) out[i] = one(items[i], shared...);
        return std::move(out).finish();
      } else {
        std::vector<Out> out;
        out.reserve(items.size());
        for (; i < items.size(); ++i) out.push_back(one(items[i], shared...));
        return out;
      }
    } catch (...) {
      element_failed(first + i);
    }
  }
};

// A further argument: stored once.
template <class P, class Given>
auto shared_argument(const Runtime& rt, Given&& given) {
  using D = std::remove_cvref_t<Given>;
  if constexpr (IsRef<D>::value && !std::is_convertible_v<Given&&, Stored<P>>) {
    return D(std::forward<Given>(given));
  } else {
    return rt.put(Stored<P>(std::forward<Given>(given)));
  }
}
template <class... P, class... Shared>
auto shared_arguments(const Runtime& rt, Types<P...>, Shared&&... shared) {
  static_assert(sizeof...(P) == sizeof...(Shared),
                "mobula: after the options come the arguments for the function's further parameters, one for each");
  return std::tuple{shared_argument<P>(rt, std::forward<Shared>(shared))...};
}

template <class Range>
std::size_t known_size(const Range& range) {
  if constexpr (std::ranges::sized_range<const Range>) {
    return static_cast<std::size_t>(std::ranges::size(range));
  } else {
    return 0;
  }
}
template <auto F>
Options named(Options options) {
  if (options.name.empty()) options.name = std::string(spelled_value<F>());
  return options;
}

template <auto F, class Range, class... Shared>
auto map_parts(const Runtime& rt, Range&& items, const MapOptions& options, Shared&&... shared) {
  using Entry = MapEntry<F>;
  using In = typename Entry::In;
  using Split = SplitFirst<typename Entry::S::Parameters>;
  const auto further = shared_arguments(rt, typename Split::Rest{}, std::forward<Shared>(shared)...);
  const Options task = named<F>(options.task);
  const Configured on = rt.with(task);
  const BatchPlan plan(options, rt.cpus(), rt.in_process(), known_size(items), Entry::runs ? sizeof(In) : 0);
  using V = typename Signature<decltype(&Entry::run)>::Result;
  return run_batches<In, V>(rt, items, plan, task.name, [&](const std::vector<In>& batch, std::uint64_t first) {
    return std::apply([&](const auto&... each) { return on.template remote<&Entry::run>(first, batch, each...); },
                      further);
  });
}

}  // namespace detail

// f(item, shared...) of every item.
template <auto F, std::ranges::input_range Range, class... Shared>
auto parallel_map(const Runtime& rt, Range&& items, const MapOptions& options = {}, Shared&&... shared) {
  static_assert(!std::is_void_v<typename detail::MapEntry<F>::Out>,
                "mobula: the function returns nothing; call it by parallel_for_each");
  using Out = typename detail::MapEntry<F>::Out;
  auto parts = detail::map_parts<F>(rt, items, options, std::forward<Shared>(shared)...);
  return parts.empty() ? std::vector<Out>() : std::vector<Out>(detail::joined(parts));
}

// The same for what it does; results, if it has any, are dropped.
template <auto F, std::ranges::input_range Range, class... Shared>
void parallel_for_each(const Runtime& rt, Range&& items, const MapOptions& options = {}, Shared&&... shared) {
  detail::map_parts<F>(rt, items, options, std::forward<Shared>(shared)...);
}

// f(batch, shared...) of so many items at a time (the last batch may be smaller); f takes a std::span<const T> or a
// std::vector<T>, and returns a vector (or Array) of as many values as it likes, or nothing.
template <auto F, std::ranges::input_range Range, class... Shared>
auto map_batches(const Runtime& rt, Range&& items, const MapOptions& options = {}, Shared&&... shared) {
  using Sig = detail::Signature<std::remove_cv_t<decltype(F)>>;
  using Split = detail::SplitFirst<typename Sig::Parameters>;
  using In = typename detail::Stored<typename Split::First>::value_type;
  using V = detail::Stored<typename Sig::Result>;
  const auto further = detail::shared_arguments(rt, typename Split::Rest{}, std::forward<Shared>(shared)...);
  MapOptions fixed = options;
  if (fixed.batch == 0) fixed.batch = 1024;
  const Options task = detail::named<F>(options.task);
  const Configured on = rt.with(task);
  auto parts = detail::run_batches<In, V>(
      rt, items, detail::BatchPlan(fixed, rt.cpus(), rt.in_process(), 0, 0), task.name,
      [&](const std::vector<In>& batch, std::uint64_t) {
        return std::apply([&](const auto&... each) { return on.template remote<F>(batch, each...); }, further);
      });
  if constexpr (!std::is_void_v<V>) {
    using Out = std::ranges::range_value_t<V>;
    return parts.empty() ? std::vector<Out>() : std::vector<Out>(detail::joined(parts));
  }
}

}  // namespace mobula
