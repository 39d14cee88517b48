// Values that together need more memory than there is: they go to disk and come back by themselves.
#include <algorithm>
#include <iostream>
#include <numeric>
#include <vector>

#include <mobula/runtime.h>

namespace {

using Numbers = mobula::Array<double>;
constexpr std::size_t four_megabytes = 4 * 1024 * 1024 / sizeof(double);

// [tasks]
Numbers ones() {
  mobula::ArrayBuilder<double> numbers(four_megabytes);
  std::ranges::fill(numbers.span(), 1.0);
  return std::move(numbers).finish();
}
double sum(Numbers numbers) {
  return std::accumulate(numbers.begin(), numbers.end(), 0.0);
}
// [/tasks]

void hold_more_than_fits() {
  // [hold]
  const auto rt = mobula::Runtime::start({.workers = 2, .object_memory = 32 * 1024 * 1024});
  std::vector<mobula::Ref<Numbers>> held;
  for (int i = 0; i < 20; ++i) held.push_back(rt.remote<ones>());  // 80 MB where 32 fit
  double total = 0;
  for (const auto& ref : held) total += rt.remote<sum>(ref).get();
  // [/hold]
  std::cout << total / static_cast<double>(four_megabytes) << " arrays\n";
}

void ask_for_too_much() {
  // [too_much]
  const auto rt = mobula::Runtime::start({.workers = 1, .object_memory = 32 * 1024 * 1024, .spill_directory = ""});
  std::vector<mobula::Ref<Numbers>> held;
  try {
    for (int i = 0; i < 20; ++i) held.push_back(rt.put(ones()));
  } catch (const mobula::TaskError& error) {
    std::cout << mobula::to_string(error.code()) << " after " << held.size() << '\n';
  }
  // [/too_much]
}

}  // namespace

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  hold_more_than_fits();
  ask_for_too_much();
}
