// Where tasks and actors run, and which of them first.
#include <mobula/runtime.h>

#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

namespace {

int square(int x) {
  return x * x;
}
int slow_number() {
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  return 9;
}
struct Cache {
  std::string last;
  std::string set(const std::string& value) { return last = value; }
  std::string get() { return last; }
};

}  // namespace

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  // On a cluster the nodes have names and labels of their own; here is only this one.
  auto rt = mobula::Runtime::start({.workers = 2, .name = "laptop", .labels = {{"zone", "home"}, {"disk", "ssd"}}});

  // [place]
  auto here = rt.with({.placement = {.node = "laptop"}}).remote<square>(3);
  auto fast = rt.with({.placement = {.labels = {{"disk", "ssd"}, {"zone", "!office"}}}}).spawn<Cache>();
  auto apart = rt.with({.placement = {.spread = true}}).remote<square>(4);  // the least loaded node
  auto elsewhere = rt.with({.placement = {.node = "desktop", .soft = true}}).remote<square>(5);  // if it is there
  auto nowhere = rt.with({.placement = {.labels = {{"zone", "mars"}}}}).remote<square>(6);
  std::cout << nowhere.try_get().error().describe() << '\n';  // says of each node why not
  // [/place]
  std::cout << here.get() << ' ' << apart.get() << ' ' << elsewhere.get() << '\n';
  std::cout << fast.call<&Cache::set>("kept").get() << '\n';

  // [priority]
  std::vector<mobula::Ref<int>> night;  // may be interrupted, and is repeated
  for (int i = 0; i < 100; ++i) {
    night.push_back(rt.with({.priority = -1, .preemptible = true}).remote<square>(i));
  }
  auto urgent = rt.with({.priority = 10}).remote<square>(7);  // the next worker is for this one
  // [/priority]
  std::cout << urgent.get() << '\n';
  int sum = 0;
  for (const int value : rt.get(night)) sum += value;
  std::cout << sum << '\n';

  // [names]
  auto cache = rt.with({.name = "cache"}).spawn<Cache>();
  auto same = rt.with({.name = "cache", .get_if_exists = true}).spawn<Cache>();  // whoever is first makes it
  same.call<&Cache::set>("shared").get();
  std::cout << rt.get_actor<Cache>("cache").call<&Cache::get>().get() << '\n';  // from any process of this job
  // Lives on when this program has ended; others find it by name, until someone kills it.
  auto log = rt.with({.name = "log", .detached = true, .max_restarts = 3}).spawn<Cache>();
  // [/names]
  log.call<&Cache::set>("kept").get();
  rt.kill(log);

  // [groups]
  mobula::Group pair = rt.placement_group({{.resources = {.cpu = 1}}, {.resources = {.cpu = 1}}},
                                          {.strategy = mobula::GroupStrategy::pack});
  auto first = rt.with({.placement = {.group = pair, .bundle = 0}}).remote<square>(8);
  auto second = rt.with({.resources = {.cpu = 1}, .placement = {.group = pair, .bundle = 1}}).spawn<Cache>();
  std::cout << rt.wait(pair).value().size() << " bundles are reserved\n";
  std::cout << first.get() << ' ' << second.call<&Cache::set>("beside").get() << '\n';
  rt.remove(pair);  // what still ran inside would be killed
  // [/groups]

  // [explain]
  auto slow = rt.remote<square>(rt.remote<slow_number>());
  std::cout << rt.explain(slow);  // who waits for what, since when
  // [/explain]
  std::cout << slow.get() << '\n';
  return 0;
}
