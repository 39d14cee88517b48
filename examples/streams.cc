// Streams, several results, coroutines, and actors that run several calls: what docs/guide/streams_and_coroutines.md
// shows.
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include <mobula/runtime.h>

using namespace std::chrono_literals;

// [generator]
mobula::Generator<int> primes(int below) {
  for (int n = 2; n < below; ++n) {
    bool prime = true;
    for (int d = 2; d * d <= n; ++d) prime &= n % d != 0;
    if (prime) co_yield n;
  }
}
// [/generator]

// [writer]
void lines(mobula::Writer<std::string>& out, int n) {
  for (int i = 0; i < n; ++i) out.write("line " + std::to_string(i));
}
// [/writer]

// [several]
std::tuple<int, int> divide(int a, int b) {
  return {a / b, a % b};
}
// [/several]

int square(int x) {
  return x * x;
}

// [coroutine]
mobula::Task<int> sum_of_squares(int n) {
  auto rt = mobula::Runtime::current();
  std::vector<mobula::Ref<int>> parts;
  for (int i = 1; i <= n; ++i) parts.push_back(rt.remote<square>(i));
  int sum = 0;
  for (const mobula::Ref<int>& part : parts) sum += co_await part;  // meanwhile others use its cpu
  co_return sum;
}
// [/coroutine]

// [service]
class Service {
 public:
  mobula::Task<int> answer(int question) {
    ++in_flight_;
    const int found = co_await mobula::Runtime::current().remote<square>(question);  // others are let in here
    --in_flight_;
    co_return found;
  }
  int in_flight() const { return in_flight_; }
  void stop() { mobula::exit_actor(); }

 private:
  int in_flight_ = 0;  // no lock: calls take turns at co_await and nowhere else
};
// [/service]

// [transient]
bool is_transient(const mobula::Error& error) {
  return error.message.find("busy") != std::string::npos;
}
int fetch() {
  if (mobula::this_task().attempt < 3) throw std::runtime_error("the server is busy");
  return mobula::this_task().attempt;
}
// [/transient]

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  auto rt = mobula::Runtime::start({.workers = argc > 1 ? std::atoi(argv[1]) : 2});

  // [read]
  int last = 0;
  for (const int prime : rt.stream<primes>(1000)) last = prime;  // while it still looks for more
  std::cout << "the last prime is " << last << '\n';
  for (const std::string& line : rt.stream<lines>(2)) std::cout << line << '\n';
  // [/read]

  // [pass-on]
  auto stream = rt.with({.max_unread_items = 8}).stream<primes>(20);
  std::vector<mobula::Ref<int>> squares;
  while (const auto prime = stream.next()) squares.push_back(rt.remote<square>(*prime));  // a Ref, passed on unread
  for (const int value : rt.get(squares)) std::cout << value << ' ';
  std::cout << '\n';
  // [/pass-on]

  // [tuple]
  auto [quotient, remainder] = rt.remote<divide>(17, 5);  // two refs, each with a life of its own
  std::cout << quotient.get() << " rest " << remainder.get() << '\n';
  // [/tuple]

  std::cout << rt.remote<sum_of_squares>(4).get() << '\n';

  // [serve]
  auto service = rt.spawn<Service>();
  std::vector<mobula::Ref<int>> answers;
  for (int i = 0; i < 100; ++i) answers.push_back(service.call<&Service::answer>(i));
  int total = 0;
  for (const mobula::Ref<int>& answer : rt.as_completed(answers, 60s)) total += answer.get();
  std::cout << total << '\n';
  service.call<&Service::stop>().get();
  std::cout << to_string(service.call<&Service::in_flight>().try_get().error().code) << '\n';
  // [/serve]

  // [retry]
  auto patient = rt.with({.max_retries = 5,
                          .retry_if = mobula::function<is_transient>(),
                          .backoff = {.first = 5ms, .factor = 2, .most = 1s, .jitter = 0.25}});
  std::cout << "attempt " << patient.remote<fetch>().get() << '\n';
  // [/retry]
}
