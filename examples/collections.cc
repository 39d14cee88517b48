// Queues, pools of actors, maps over ranges, signals and task environments: what docs/guide/collections.md shows.
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <optional>
#include <ranges>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <mobula/actor_pool.h>
#include <mobula/parallel.h>
#include <mobula/queue.h>
#include <mobula/runtime.h>
#include <mobula/signal.h>

using namespace std::chrono_literals;

// [functions]
double root(int x) {
  return std::sqrt(x);
}
double weigh(double x, const std::vector<double>& weights) {
  return x * weights.front();
}
std::vector<double> totals(std::span<const double> batch) {
  return {std::accumulate(batch.begin(), batch.end(), 0.0)};
}
int small_only(int x) {
  if (x > 41) throw std::out_of_range("too large");
  return x;
}
// [/functions]

// [model]
struct Model {
  int score(int x) { return 10 * x; }
};
// [/model]

// [producer]
void produce(mobula::Queue<int> jobs, int n) {
  for (int i = 1; i <= n; ++i) jobs.put(i);  // waits while it is full
}
int consume(mobula::Queue<int> jobs) {
  int sum = 0;
  while (std::optional<int> job = jobs.next()) sum += *job;  // until it is closed and empty
  return sum;
}
// [/producer]

// [gate]
class Gate {  // an actor that lets its callers wait for one another
 public:
  mobula::Task<bool> pass() {
    while (!open_) {
      const bool in_time = co_await changed_.wait(60s);  // other calls run meanwhile; false: a minute has passed
      if (!in_time) co_return false;
    }
    co_return true;
  }
  mobula::Task<void> open() {
    open_ = true;
    changed_.notify_all();
    co_return;
  }

 private:
  bool open_ = false;
  mobula::Signal changed_;
};
// [/gate]

// [where]
std::string where() {
  const char* colour = std::getenv("COLOUR");
  return std::filesystem::current_path().string() + " " + (colour != nullptr ? colour : "without a colour");
}
std::size_t hoard(std::size_t megabytes) {
  std::vector<std::vector<char>> all;
  for (std::size_t i = 0; i < megabytes; ++i) all.emplace_back(1 << 20, 'x');
  return all.size();
}
// [/where]

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  const auto rt = mobula::Runtime::start({.workers = 2});

  // [map]
  const std::vector<double> roots = mobula::parallel_map<root>(rt, std::views::iota(0, 100'000));
  const std::vector<double> weights{0.5, 1.0};
  const std::vector<double> weighed = mobula::parallel_map<weigh>(rt, roots, {}, weights);
  const std::vector<double> sums = mobula::map_batches<totals>(rt, weighed, {.batch = 25'000});
  // [/map]
  std::cout << roots[81] << ' ' << weighed[81] << ' ' << sums.size() << '\n';

  // [failed]
  try {
    mobula::parallel_map<small_only>(rt, std::views::iota(0, 100));
  } catch (const mobula::TaskError& e) {
    std::cout << e.error().message << '\n';  // element 42 failed: std::out_of_range: too large
  }
  // [/failed]

  // [pool]
  mobula::ActorPool<Model, int> pool({rt.spawn<Model>(), rt.spawn<Model>()});
  int total = 0;
  for (const int score : pool.map<&Model::score>(std::views::iota(1, 5))) total += score;  // in order
  pool.submit<&Model::score>(7);                                                           // or one by one
  while (pool.has_next()) total += pool.get_next();
  // [/pool]
  std::cout << total << '\n';

  // [queue]
  const mobula::Queue<int> jobs(rt, 10);  // holds at most ten
  auto first = rt.remote<consume>(jobs);
  rt.remote<produce>(jobs, 100).get();
  jobs.close();
  std::cout << first.get() << '\n';
  // [/queue]

  // [signal]
  auto gate = rt.spawn<Gate>();
  std::vector<mobula::Ref<bool>> passing;
  for (int i = 0; i < 100; ++i) passing.push_back(gate.call<&Gate::pass>());
  gate.call<&Gate::open>().get();
  std::cout << rt.get(passing).size() << " have passed\n";
  // [/signal]

  // [environment]
  auto blue = rt.with({.env = {{"COLOUR", "blue"}}, .working_dir = "/"}).remote<where>();
  std::cout << blue.get() << '\n';
  auto greedy = rt.with({.memory_limit = 50 << 20}).remote<hoard>(500);
  std::cout << to_string(greedy.try_get().error().code) << '\n';  // out_of_memory: the others are not disturbed
  auto lost = rt.with({.working_dir = "/no/such/folder"}).remote<where>();
  std::cout << to_string(lost.try_get().error().code) << '\n';  // invalid; its message names the folder
  // [/environment]
}
