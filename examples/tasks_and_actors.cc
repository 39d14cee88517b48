// A walk through the runtime: tasks, references, actors, large arrays, waiting, cancelling, failures. Run by the tests;
// docs/guide/tasks_and_actors.md is cut from it.
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <map>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <mobula/runtime.h>

// [functions]
double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}
std::string describe(const std::string& name, double value) {
  return name + " = " + std::to_string(value);
}
// [/functions]

// [own-type]
struct Reading {
  std::string sensor;
  std::vector<double> values;
  std::map<std::string, int> flags;
  template <class A>
  void serialize(A& a) {
    a(sensor, values, flags);
  }
};
// [/own-type]

std::size_t count_values(const Reading& reading) {
  return reading.values.size();
}

// [array]
mobula::Array<double> ramp(int n) {
  mobula::ArrayBuilder<double> values(n);  // in the node's shared memory, if it is large
  for (int i = 0; i < n; ++i) values[i] = i;
  return std::move(values).finish();
}
// [/array]

// [nested]
int fib(int n) {
  if (n < 2) return n;
  auto rt = mobula::Runtime::current();
  auto a = rt.remote<fib>(n - 1), b = rt.remote<fib>(n - 2);
  return a.get() + b.get();  // while it waits, others use its cpu
}
// [/nested]

// [container]
double total(const std::vector<mobula::Ref<double>>& parts) {
  double sum = 0;
  for (const auto& part : parts) sum += part.get();
  return sum;
}
// [/container]
double root(double x) {
  return std::sqrt(x);
}

// [actor]
class Account {
 public:
  explicit Account(std::string owner, double balance = 0) : owner_(std::move(owner)), balance_(balance) {}
  double deposit(double amount) { return balance_ += amount; }
  double withdraw(double amount) {
    if (amount > balance_) throw std::runtime_error(owner_ + " has only " + std::to_string(balance_));
    return balance_ -= amount;
  }

 private:
  std::string owner_;
  double balance_;
};

double pay(mobula::Actor<Account> from, mobula::Actor<Account> to, double amount) {
  from.call<&Account::withdraw>(amount).get();
  return to.call<&Account::deposit>(amount).get();
}
// [/actor]

// [stop]
int search_forever() {
  auto stop = mobula::stop_token();
  int tried = 0;
  while (!stop.stop_requested()) ++tried;
  return tried;
}
// [/stop]

int divide(int a, int b) {
  if (b == 0) std::abort();
  return a / b;
}

// [function]
double integrate(mobula::Function<double(double)> f, double from, double to) {
  const int steps = 1000;
  double sum = 0;
  for (int i = 0; i < steps; ++i) sum += f(from + (to - from) * (i + 0.5) / steps);
  return sum * (to - from) / steps;
}
double cube(double x) {
  return x * x * x;
}
// [/function]

int main(int argc, char** argv) {
  using namespace std::chrono_literals;
  mobula::init(argc, argv);
  // 0 runs everything in this process, for a debugger.
  auto rt = mobula::Runtime::start({.workers = argc > 1 ? std::atoi(argv[1]) : 2});

  // [tasks]
  mobula::Ref<double> average = rt.remote<mean>(std::vector<double>{1, 2, 6});
  mobula::Ref<std::string> text = rt.remote<describe>("average", average);  // runs when `average` is there
  std::cout << text.get() << '\n';
  auto product = rt.remote<[](int a, int b) { return a * b; }>(6, 7);  // a lambda without captures
  std::cout << product.get() << '\n';
  // [/tasks]

  // [put]
  mobula::Ref<Reading> reading = rt.put(Reading{"north", {1, 2, 3}, {{"ok", 1}}});
  std::cout << rt.remote<count_values>(reading).get() << " values\n";
  // [/put]

  // [arrays]
  mobula::Ref<mobula::Array<double>> large = rt.remote<ramp>(1'000'000);
  std::cout << rt.remote<mean>(large).get() << '\n';  // the worker reads it where it lies
  mobula::Array<double> here = large.get();           // so does this process; it stays as long as `here`
  std::cout << here[999'999] << '\n';
  // [/arrays]

  std::cout << "fib(12) = " << rt.remote<fib>(12).get() << '\n';

  // [refs-inside]
  std::vector<mobula::Ref<double>> parts;
  for (int i = 1; i <= 4; ++i) parts.push_back(rt.remote<root>(i * i));
  std::cout << rt.remote<total>(parts).get() << '\n';
  // [/refs-inside]

  // [actors]
  mobula::Actor<Account> anna = rt.spawn<Account>("Anna", 100.0), bob = rt.spawn<Account>("Bob", 0.0);
  std::cout << "Bob has " << rt.remote<pay>(anna, bob, 30.0).get() << '\n';  // handles travel
  // [/actors]

  // [waiting]
  std::vector<mobula::Ref<double>> several;
  for (int i = 0; i < 8; ++i) several.push_back(rt.remote<root>(i));
  auto [ready, pending] = rt.wait(several, 3, 100ms);  // at least 3, or what there is after 100 ms
  std::cout << (ready.size() >= 3 ? "three are there\n" : "not yet\n");
  double sum = 0;
  for (mobula::Ref<double> ref : rt.as_completed(several)) sum += ref.get();
  std::cout << sum << '\n';
  // [/waiting]

  std::cout << rt.remote<integrate>(mobula::function<cube>(), 0.0, 2.0).get() << '\n';

  // [errors]
  mobula::Result<double> refused = rt.remote<pay>(bob, anna, 1000.0).try_get();
  if (!refused) std::cout << refused.error().describe() << '\n';
  // [/errors]

  if (!rt.in_process()) {
    // [cancel]
    auto endless = rt.remote<search_forever>();
    if (!endless.try_get(50ms)) rt.cancel(endless);  // the first answer is ErrorCode::timed_out
    std::cout << to_string(endless.try_get().error().code) << '\n';
    // [/cancel]

    // [crash]
    auto crashed = rt.with({.name = "fragile", .max_retries = 1}).remote<divide>(1, 0);
    const mobula::Error error = crashed.try_get().error();
    std::cout << to_string(error.code) << " by signal " << error.signal << " in attempt " << error.attempt << '\n';
    std::cerr << error.describe() << '\n';  // with the backtrace of each attempt
    // [/crash]
  }
}
