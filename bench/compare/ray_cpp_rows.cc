// The rows of `mobula microbenchmark` that Ray's C++ API can express, under the same names and with the same counting.
// Prints one JSON object a line; bench/compare/run builds and runs it. Arguments after "--" are Ray's.
#include <ray/api.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

int trials = 4;
double trial_seconds = 2;

void row(const char* name, double operations, bool latency, const std::function<void()>& work) {
  for (const auto begin = Clock::now(); seconds_since(begin) < trial_seconds / 4;) work();
  std::vector<double> rates, times;
  for (int trial = 0; trial < trials; ++trial) {
    double spent = 0;
    int count = 0;
    for (; spent < trial_seconds; ++count) {
      const auto begin = Clock::now();
      work();
      times.push_back(seconds_since(begin));
      spent += times.back();
    }
    rates.push_back(operations * count / spent);
  }
  double mean = 0, squares = 0;
  for (const double rate : rates) mean += rate / static_cast<double>(rates.size());
  for (const double rate : rates) squares += (rate - mean) * (rate - mean);
  std::sort(times.begin(), times.end());
  std::printf("{\"name\": \"%s\", \"per_second\": %.3f, \"sd\": %.3f, \"n\": %zu", name, mean,
              rates.size() > 1 ? std::sqrt(squares / static_cast<double>(rates.size() - 1)) : 0.0, times.size());
  if (latency) {
    std::printf(", \"p50_us\": %.2f, \"p99_us\": %.2f", 1e6 * times[times.size() / 2],
                1e6 * times[times.size() * 99 / 100]);
  }
  std::printf("}\n");
  std::fflush(stdout);
}

template <class T>
void get_all(const std::vector<ray::ObjectRef<T>>& refs) {
  for (const auto& ref : refs) ref.Get();
}

}  // namespace

int small() {
  return 0;
}
RAY_REMOTE(small);

struct Server {
  static Server* make() { return new Server(); }
  int small() { return 0; }
};
RAY_REMOTE(Server::make, &Server::small);

int main(int argc, char** argv) {
  if (const char* count = std::getenv("TRIALS")) trials = std::atoi(count);
  if (const char* time = std::getenv("SECONDS_OF_A_TRIAL")) trial_seconds = std::atof(time);
  ray::RayConfig config;
  ray::Init(config, argc, argv);
  auto server = ray::Actor(Server::make).Remote();
  const auto tasks = [](int count) {
    std::vector<ray::ObjectRef<int>> refs;
    for (int i = 0; i < count; ++i) refs.push_back(ray::Task(small).Remote());
    get_all(refs);
  };
  const auto calls = [&](int count) {
    std::vector<ray::ObjectRef<int>> refs;
    for (int i = 0; i < count; ++i) refs.push_back(server.Task(&Server::small).Remote());
    get_all(refs);
  };
  row("task_sync", 1, true, [] { ray::Task(small).Remote().Get(); });
  row("actor_sync", 1, true, [&] { server.Task(&Server::small).Remote().Get(); });
  row("single client tasks sync", 1, true, [] { ray::Task(small).Remote().Get(); });
  row("single client tasks async", 1000, false, [&] { tasks(1000); });
  row("single client tasks and get batch", 1, true, [&] { tasks(1000); });
  row("1:1 actor calls sync", 1, true, [&] { server.Task(&Server::small).Remote().Get(); });
  row("1:1 actor calls async", 1000, false, [&] { calls(1000); });
  const auto value = ray::Put(0);
  row("single client get calls", 1000, false, [&] {
    for (int i = 0; i < 1000; ++i) value.Get();
  });
  row("single client put calls", 1000, false, [] {
    for (int i = 0; i < 1000; ++i) ray::Put(0);
  });
  const std::vector<char> hundred(100'000'000, 'm');
  row("put_100mb", 1, true, [&] { ray::Put(hundred); });
  row("actor_start", 1, true, [] {
    auto one = ray::Actor(Server::make).Remote();
    one.Task(&Server::small).Remote().Get();
    one.Kill();
  });
  std::_Exit(0);  // ray::Shutdown() would end every Ray cluster of this user
}
