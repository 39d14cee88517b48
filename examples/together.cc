// Collectives and prepared graphs: what docs/guide/together.md shows.
#include <chrono>
#include <iostream>
#include <numeric>
#include <span>
#include <tuple>
#include <vector>

#include <mobula/collective.h>
#include <mobula/graph.h>
#include <mobula/runtime.h>

using namespace std::chrono_literals;

// [learner]
class Learner {
 public:
  void join(mobula::Collective group, int rank) { ring_ = group.join(rank); }  // waits until all have joined
  std::vector<float> step() {
    std::vector<float> gradients(3, static_cast<float>(ring_.rank() + 1));
    ring_.all_reduce(std::span(gradients), mobula::Reduce::mean);  // in place; the same bytes on all members
    return gradients;
  }
  int first_of_all(int mine) {
    std::vector<int> value{mine};
    ring_.broadcast(std::span(value), 0);  // what the member of rank 0 has
    ring_.barrier();
    return value[0];
  }

 private:
  mobula::Communicator ring_;
};
// [/learner]

// [stages]
struct Scale {
  double factor = 1;
  explicit Scale(double f) : factor(f) {}
  double by(double x) { return factor * x; }
};
struct Sum {
  double of(double a, double b) { return a + b; }
};
// [/stages]

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  const auto rt = mobula::Runtime::start({.workers = 2});

  // [join]
  const mobula::Collective group(rt, 3, {.timeout = 60s});
  std::vector<mobula::Actor<Learner>> learners;
  std::vector<mobula::Ref<void>> joined;
  for (int rank = 0; rank < group.size(); ++rank) {
    learners.push_back(rt.spawn<Learner>());
    joined.push_back(learners.back().call<&Learner::join>(group, rank));
  }
  for (const auto& one : joined) one.get();
  // [/join]

  // [step]
  std::vector<mobula::Ref<std::vector<float>>> steps;
  for (const auto& learner : learners) steps.push_back(learner.call<&Learner::step>());
  for (const auto& step : steps) std::cout << step.get()[0] << ' ';  // 2 2 2
  // [/step]
  std::vector<mobula::Ref<int>> values;
  for (int rank = 0; rank < 3; ++rank) {
    values.push_back(learners[static_cast<std::size_t>(rank)].call<&Learner::first_of_all>(rank + 7));
  }
  for (const int value : rt.get(values)) std::cout << value << ' ';
  std::cout << '\n';

  // [died]
  rt.kill(learners[2]);
  auto alone = learners[0].call<&Learner::step>();
  std::cout << alone.try_get().error().causes.front().message << '\n';  // ... rank 2 has died ...
  // [/died]

  // [graph]
  auto scale = rt.spawn<Scale>(10.0);
  auto sum = rt.spawn<Sum>();
  mobula::Graph<double(double)> graph(rt, [&](mobula::GraphBuilder& build, mobula::Node<double> x) {
    const auto scaled = build.call<&Scale::by>(scale, x);
    return build.call<&Sum::of>(sum, scaled, 0.5);
  });
  std::cout << graph.execute(3).get() << '\n';  // 30.5
  // [/graph]

  // [in-flight]
  std::vector<mobula::GraphResult<double>> results;
  for (int i = 0; i < 100; ++i) results.push_back(graph.execute(i));  // at most 8 are on their way
  double total = 0;
  for (auto& result : results) total += result.get();
  std::cout << total << '\n';
  // [/in-flight]

  // [several]
  const auto half = rt.spawn<Scale>(0.5), more = rt.spawn<Scale>(3.0);
  const auto last = rt.spawn<Sum>();
  mobula::Graph<std::tuple<double, double>(double)> both(rt, [&](mobula::GraphBuilder& build, mobula::Node<double> x) {
    const auto first = build.call<&Scale::by>(half, x), second = build.call<&Scale::by>(more, x);  // side by side
    return std::tuple{first, build.call<&Sum::of>(last, first, second)};
  });
  const auto [halved, sum_of_both] = both.execute(4).get();
  std::cout << halved << ' ' << sum_of_both << '\n';  // 2 14
  // [/several]
}
