// Rows of values: large ones, and many at once.
#include <fmt/format.h>

#include <memory>
#include <numeric>
#include <stdexcept>
#include <vector>

#include "cli/benchmark_cases.h"

namespace mobula::cli {

namespace {

using bench::Case;
using bench::Measure;

/// Memory of the program's own, which put() copies into the arena.
Array<char> from_heap(std::size_t bytes) {
  const auto memory = std::make_shared<std::vector<char>>(bytes, 'm');
  return {memory->data(), memory->size(), memory};
}

/// Takes all of them: what a task with so many arguments has to do.
long sum_of(const std::vector<Ref<int>>& refs) {
  const std::vector<int> values = Runtime::current().get(refs);
  return std::accumulate(values.begin(), values.end(), 0L);
}

Case put(BenchmarkBed& bed, const char* name, const char* floor, std::size_t bytes) {
  const Lazily value([bytes] { return from_heap(bytes); });
  return measured(name, fmt::format("put() of {} MB where an earlier value was", bytes / 1'000'000), Measure::speed,
                  floor, 1, [&bed, value] { const auto ref = bed.runtime->put(*value); });
}

}  // namespace

void add_object_cases(BenchmarkBed& bed, std::vector<Case>& cases) {
  cases.push_back(put(bed, "put_100mb", "memcpy_touched", bed.many(100'000'000)));
  cases.push_back(put(bed, "put_1gb", "memcpy_1gb", bed.many(1'000'000'000)));

  const Lazily fresh([&bed] { return from_heap(bed.many(100'000'000)); });
  cases.push_back(measured("put_first_touch", "put() of 100 MB, the first value of its runtime", Measure::speed,
                           "memcpy_fresh", 1, [] {}));
  cases.back().once = [fresh] {
    const Runtime other = Runtime::start({.workers = 1, .object_memory = std::size_t{1} << 30});
    const Array<char>& value = *fresh;
    return bench::timed([&] { const auto ref = other.put(value); });
  };

  const Lazily gibibyte([&bed] { return bed.runtime->put(from_heap(bed.many(std::size_t{1} << 30))); });
  cases.push_back(measured("get_1gib", "get() of 1 GiB that lies on this node", Measure::latency, "", 1, [gibibyte] {
    const Array<char> value = gibibyte->get();
    if (value[0] != 'm') throw std::logic_error("get_1gib: another value than was put");
  }));

  const std::size_t many = bed.many(10'000);
  const Lazily refs([&bed, many] {
    std::vector<Ref<int>> out;
    for (std::size_t i = 0; i < many; ++i) out.push_back(bed.runtime->put(static_cast<int>(i)));
    return out;
  });
  cases.push_back(measured("get_10k", fmt::format("get() of {} values", many), Measure::latency, "", 1, [&bed, refs] {
    if (bed.runtime->get(*refs).size() != refs->size()) throw std::logic_error("get_10k: values are missing");
  }));
  cases.push_back(measured("args_10k", fmt::format("a task that takes {} refs, and reads them all", many),
                           Measure::latency, "", 1, [&bed, refs, many] {
                             const long sum = bed.runtime->remote<sum_of>(*refs).get();
                             const auto n = static_cast<long>(many);
                             if (sum != n * (n - 1) / 2) throw std::logic_error("args_10k: another sum");
                           }));
}

}  // namespace mobula::cli
