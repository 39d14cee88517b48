#include "tests/cluster/nodes/driver_together.h"

#include <signal.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

#include <mobula/collective.h>
#include <mobula/graph.h>
#include <mobula/runtime.h>

namespace {

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Numbers of which sums in another order have other bytes.
std::vector<float> numbers(int rank, std::size_t n) {
  std::vector<float> out(n);
  for (std::size_t i = 0; i < n; ++i) {
    out[i] = 0.1F * static_cast<float>(i % 1000) + 1000.0F * static_cast<float>(rank * rank * rank) + 0.003F;
  }
  return out;
}
std::vector<float> sum_in_order(int size, std::size_t n) {
  std::vector<float> sum = numbers(0, n);
  for (int r = 1; r < size; ++r) {
    const std::vector<float> next = numbers(r, n);
    for (std::size_t i = 0; i < n; ++i) sum[i] += next[i];
  }
  return sum;
}

class Member {
 public:
  std::string join(mobula::Collective group, int rank) {
    ring_ = group.join(rank);
    return mobula::this_task().node;
  }
  // The operation that failed, or "".
  std::string all_of_them() {
    const int rank = ring_.rank(), size = ring_.size();
    for (const std::size_t n : {std::size_t{3}, std::size_t{2000}, std::size_t{300'001}}) {
      const std::vector<float> all = sum_in_order(size, n);
      std::vector<float> values = numbers(rank, n);
      ring_.all_reduce(std::span(values));
      if (!same(values, all)) return "all_reduce";
      values = numbers(rank, n);
      ring_.reduce(std::span(values), 2);
      if (!same(values, rank == 2 ? all : numbers(rank, n))) return "reduce";
      values = numbers(rank, n);
      ring_.broadcast(std::span(values), 1);
      if (!same(values, numbers(1, n))) return "broadcast";
      const std::vector<float> part = ring_.reduce_scatter(numbers(rank, n));
      if (!same(part, {all.begin() + at(n, rank), all.begin() + at(n, rank + 1)})) return "reduce_scatter";
      const std::vector<float> mine = ring_.scatter(numbers(rank, n), 3);
      const std::vector<float> from = numbers(3, n);
      if (!same(mine, {from.begin() + at(n, rank), from.begin() + at(n, rank + 1)})) return "scatter";
      const auto gathered = ring_.all_gather(numbers(rank, n + static_cast<std::size_t>(rank)));
      for (int r = 0; r < size; ++r) {
        if (!same(gathered.at(static_cast<std::size_t>(r)), numbers(r, n + static_cast<std::size_t>(r)))) {
          return "all_gather";
        }
      }
      if (ring_.gather(numbers(rank, n), 0).size() != (rank == 0 ? static_cast<std::size_t>(size) : 0)) return "gather";
      ring_.barrier();
    }
    return "";
  }
  // Until the collective ends.
  void for_ever(std::size_t n) {
    std::vector<float> values(n, 1.0F);
    for (;;) ring_.all_reduce(std::span(values), mobula::Reduce::max);
  }
  void dies() { raise(SIGKILL); }
  // One of them brings more than the others.
  void gather(int rank, std::size_t n) { ring_.all_gather(std::vector<float>(rank == 1 ? n : 50'000)); }
  void differs(int rank) {
    std::vector<float> values(rank == 0 ? 5 : 50'000);
    ring_.all_reduce(std::span(values));
  }

 private:
  std::ptrdiff_t at(std::size_t n, int rank) const { return static_cast<std::ptrdiff_t>(ring_.share_begin(n, rank)); }
  static bool same(const std::vector<float>& a, const std::vector<float>& b) {
    return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
  }
  mobula::Communicator ring_;
};

// Every other member is on the node `second`.
std::vector<mobula::Actor<Member>> members(const mobula::Runtime& rt, int size) {
  const mobula::Collective group(rt, size);
  std::vector<mobula::Actor<Member>> out;
  std::vector<mobula::Ref<std::string>> joined;
  for (int rank = 0; rank < size; ++rank) {
    out.push_back(rt.with({.placement = {.node = rank % 2 == 0 ? "first" : "second"}}).spawn<Member>());
    joined.push_back(out.back().call<&Member::join>(group, rank));
  }
  std::string nodes;
  for (const auto& one : joined) nodes += " " + one.get();
  say("joined on" + nodes);
  return out;
}

struct Stage {
  double twice(double x) { return 2 * x; }
};
// A graph of two actors, made and executed on the node of the task.
double graph_there(double value) {
  const auto rt = mobula::Runtime::current();
  const auto here = rt.with({.placement = {.node = mobula::this_task().node}});
  const auto first = here.spawn<Stage>(), second = here.spawn<Stage>();
  mobula::Graph<double(double)> graph(rt, [&](mobula::GraphBuilder& build, mobula::Node<double> x) {
    return build.call<&Stage::twice>(second, build.call<&Stage::twice>(first, x));
  });
  return graph.execute(value).get();
}

}  // namespace

int collective(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  auto ring = members(rt, 4);
  std::vector<mobula::Ref<std::string>> all;
  for (auto& member : ring) all.push_back(member.call<&Member::all_of_them>());
  for (const auto& one : all) say("wrong:" + one.get());
  for (const std::size_t n : {std::size_t{100}, std::size_t{500'000}}) {
    if (ring.empty()) ring = members(rt, 4);
    std::vector<mobula::Ref<void>> running;
    for (int rank = 0; rank < 3; ++rank)
      running.push_back(ring[static_cast<std::size_t>(rank)].call<&Member::for_ever>(n));
    ring[3].call<&Member::dies>();
    for (const auto& one : running) say("ended: " + one.try_get().error().describe());
    ring.clear();
  }
  ring = members(rt, 4);
  std::vector<mobula::Ref<void>> differ;
  for (int rank = 0; rank < 4; ++rank)
    differ.push_back(ring[static_cast<std::size_t>(rank)].call<&Member::differs>(rank));
  for (const auto& one : differ) say("differs: " + one.try_get().error().describe());
  return 0;
}

// One member's node has no room for what it brings.
int uneven(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  const auto ring = members(rt, 4);
  std::vector<mobula::Ref<void>> all;
  for (int rank = 0; rank < 4; ++rank) {
    all.push_back(ring[static_cast<std::size_t>(rank)].call<&Member::gather>(rank, std::size_t{16} << 20));
  }
  for (const auto& one : all) say("ended: " + one.try_get(std::chrono::seconds(20)).error().describe());
  return 0;
}

int graph(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  const auto on_second = rt.with({.placement = {.node = "second"}});
  mobula::Graph<double(double)> graph(rt, [&](mobula::GraphBuilder& build, mobula::Node<double> x) {
    return build.call<&Stage::twice>(on_second.spawn<Stage>(), x);
  });
  say("graph: " + graph.execute(1).try_get().error().describe());
  say("there: " + std::to_string(on_second.remote<graph_there>(3.0).get()));
  return 0;
}
