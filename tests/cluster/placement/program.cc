// What the tests of placement run on their cluster, which $MOBULA_ADDRESS names. Reports on stdout, a fact a line.
#include <mobula/runtime.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// The name of the node that runs it.
std::string where() {
  const char* name = std::getenv("WHERE");
  return name == nullptr ? "?" : name;
}
// The same, after so long.
std::string where_after(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return where();
}

struct Home {
  std::string name() { return where(); }
};

// Tasks and actors by name, label and spread.
int placement() {
  auto rt = mobula::Runtime::start();
  say("by name: " + rt.with({.placement = {.node = "second"}}).remote<where>().get());
  say("by label: " + rt.with({.placement = {.labels = {{"zone", "b"}}}}).remote<where>().get());
  say("by another label: " + rt.with({.placement = {.labels = {{"zone", "!b"}, {"disk", ""}}}}).remote<where>().get());
  const auto soft = rt.with({.placement = {.node = "nobody", .soft = true}}).remote<where>();
  say("soft: " + std::to_string(soft.get().size() > 1));
  auto actor = rt.with({.placement = {.node = "third"}}).spawn<Home>();
  say("actor: " + actor.call<&Home::name>().get());
  // A node with that label may still join.
  const auto nowhere = rt.with({.placement = {.labels = {{"zone", "c"}}}}).remote<where>();
  say("nowhere: " + std::string(to_string(nowhere.try_get(300ms).error().code)));
  say("why: " + rt.explain(nowhere));

  // What reserves nothing takes turns over all nodes, the driver's among them.
  std::vector<mobula::Actor<Home>> homes;
  for (int i = 0; i < 4; ++i) homes.push_back(rt.with({.placement = {.spread = true}}).spawn<Home>());
  std::set<std::string> places;
  for (auto& home : homes) places.insert(home.call<&Home::name>().get());
  say("spread over " + std::to_string(places.size()));
  return 0;
}

// Enough for every node to get some of it.
int placement_load() {
  auto rt = mobula::Runtime::start();
  std::vector<mobula::Ref<std::string>> refs;
  for (int i = 0; i < 20; ++i) refs.push_back(rt.remote<where_after>(50));
  for (auto& ref : refs) ref.get();
  return 0;
}

struct Counter {
  int n = 0;
  int add(int by) { return n += by; }
  int process() { return getpid(); }
};
struct Gauge {
  int n = 0;
};

std::string error_of(const std::function<void()>& tried) {
  try {
    tried();
  } catch (const mobula::TaskError& error) {
    return error.what();
  }
  return "no error";
}

// A task of the same job finds the actor by its name.
int add_by_name(int by) {
  return mobula::Runtime::current().get_actor<Counter>("tally").call<&Counter::add>(by).get();
}

int names() {
  auto rt = mobula::Runtime::start();
  auto tally = rt.with({.name = "tally"}).spawn<Counter>();
  say("own: " + std::to_string(tally.call<&Counter::add>(1).get()));
  say("found: " + std::to_string(rt.get_actor<Counter>("tally").call<&Counter::add>(1).get()));
  say("by a task: " + std::to_string(rt.remote<add_by_name>(1).get()));
  auto same = rt.with({.name = "tally", .get_if_exists = true}).spawn<Counter>();
  say("got: " + std::to_string(same.call<&Counter::add>(1).get()));
  say("taken: " + error_of([&] { rt.with({.name = "tally"}).spawn<Counter>(); }));
  say("type: " + error_of([&] { rt.get_actor<Gauge>("tally"); }));
  say("missing: " + error_of([&] { rt.get_actor<Counter>("taly"); }));
  rt.kill(tally);
  auto again = rt.with({.name = "tally"}).spawn<Counter>();
  say("again: " + std::to_string(again.call<&Counter::add>(1).get()));
  return 0;
}

// Makes, uses and kills an actor that outlives its drivers.
int detached(const std::string& what) {
  auto rt = mobula::Runtime::start();
  if (what == "make") {
    auto counter = rt.with({.name = "visits", .get_if_exists = true, .detached = true, .max_restarts = 1})
                       .spawn<Counter>(Counter{40});
    say("visits: " + std::to_string(counter.call<&Counter::add>(1).get()));
    auto ref = rt.put(1);
    say("refs: " + error_of([&] { rt.with({.name = "other", .detached = true}).spawn<Counter>(ref); }));
    say("nameless: " + error_of([&] { rt.with({.detached = true}).spawn<Counter>(); }));
  } else if (what == "use") {
    auto counter = rt.get_actor<Counter>("visits");
    say("visits: " + std::to_string(counter.call<&Counter::add>(1).get()));
  } else if (what == "crash") {
    auto counter = rt.get_actor<Counter>("visits");
    const int pid = counter.call<&Counter::process>().get();
    say("worker " + std::to_string(pid));
    // Its process is killed by the test; the next incarnation begins again.
    for (int i = 0; i < 600; ++i) {
      const auto now = counter.call<&Counter::process>().try_get();
      if (now.ok() && *now != pid) break;
      std::this_thread::sleep_for(50ms);
    }
    say("visits: " + std::to_string(counter.call<&Counter::add>(1).get()));
  } else if (what == "kill") {
    rt.kill(rt.get_actor<Counter>("visits"));
    for (int i = 0; i < 600 && error_of([&] { rt.get_actor<Counter>("visits"); }) == "no error"; ++i) {
      std::this_thread::sleep_for(50ms);
    }
    say("gone: " + error_of([&] { rt.get_actor<Counter>("visits"); }));
  }
  return 0;
}

int occupy(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return getpid();
}

// Groups on three nodes of two cpus.
int groups() {
  auto rt = mobula::Runtime::start();
  const auto two = rt.placement_group({{.resources = {.cpu = 1}}, {.resources = {.cpu = 1}}, {.resources = {.cpu = 1}}},
                                      {.strategy = mobula::GroupStrategy::strict_spread, .name = "three"});
  const auto nodes = rt.wait(two, 20s).value();
  say("distinct: " + std::to_string(std::set<std::string>(nodes.begin(), nodes.end()).size()));
  std::set<std::string> places;
  for (int i = 0; i < 3; ++i) {
    places.insert(rt.with({.placement = {.group = two, .bundle = i}}).remote<where>().get());
  }
  say("places: " + std::to_string(places.size()));
  auto actor = rt.with({.placement = {.group = two, .bundle = 1}}).spawn<Home>();
  const std::string first = actor.call<&Home::name>().get();
  say("bundle 1: " +
      std::to_string(first == rt.with({.placement = {.group = two, .bundle = 1}}).remote<where>().get()));

  const auto packed = rt.placement_group({{.resources = {.cpu = 0.5}}, {.resources = {.cpu = 0.5}}},
                                         {.strategy = mobula::GroupStrategy::strict_pack});
  const auto together = rt.wait(packed, 20s).value();
  say("together: " + std::to_string(together[0] == together[1]));

  const auto impossible = rt.placement_group({{.resources = {.cpu = 64}}});
  say("impossible: " + std::string(to_string(rt.wait(impossible, 300ms).error().code)));  // a node may still join
  say("why: " + rt.explain("a group"));
  rt.remove(impossible);
  say("too large: " + rt.with({.resources = {.cpu = 2}, .placement = {.group = two, .bundle = 0}})
                          .remote<where>()
                          .try_get()
                          .error()
                          .describe());

  // All six cpus: it waits until the first two groups gave theirs back.
  const auto all =
      rt.placement_group({{.resources = {.cpu = 2}}, {.resources = {.cpu = 2}}, {.resources = {.cpu = 2}}});
  say("waits: " + std::string(to_string(rt.wait(all, 300ms).error().code)));
  auto inside = rt.with({.placement = {.group = two, .bundle = 0}}).remote<occupy>(600'000);
  rt.remove(two);
  rt.remove(packed);
  say("inside: " + std::string(to_string(inside.try_get(30s).error().code)));
  say("later: " + rt.with({.placement = {.group = two, .bundle = 0}}).remote<where>().try_get().error().describe());
  say("all: " + std::to_string(rt.wait(all, 30s).ok()));
  // Nothing is left for others while the group holds it.
  auto outside = rt.remote<where>();
  say("outside: " + std::string(to_string(outside.try_get(300ms).error().code)));
  rt.remove(all);
  say("outside at last: " + std::to_string(!outside.get(30s).empty()));
  return 0;
}

// A bundle on a node that is killed is reserved again elsewhere.
int groups_survive() {
  auto rt = mobula::Runtime::start();
  const auto group = rt.placement_group({{.resources = {.cpu = 1}}, {.resources = {.cpu = 1}}},
                                        {.strategy = mobula::GroupStrategy::strict_spread});
  const auto before = rt.wait(group, 20s).value();
  const auto place = [&](int bundle) {
    return rt.with({.max_retries = 10, .placement = {.group = group, .bundle = bundle}}).remote<where>().get(60s);
  };
  const std::string zero = place(0), one = place(1);
  say("bundles on " + zero + " and " + one);
  std::string line;
  std::getline(std::cin, line);  // the test kills one of them
  std::string now_zero = place(0), now_one = place(1);
  for (int i = 0; i < 600 && now_zero == zero && now_one == one; ++i) {
    std::this_thread::sleep_for(50ms);
    now_zero = place(0);
    now_one = place(1);
  }
  say("bundles now on " + now_zero + " and " + now_one);
  return 0;
}

// A program that goes on through the death of the head; told step by step by the test.
int head_death() {
  auto rt = mobula::Runtime::start();
  auto tally = rt.with({.name = "tally", .name_space = "lasting", .placement = {.node = "second"}}).spawn<Counter>();
  const auto group = rt.placement_group({{.resources = {.cpu = 1}}, {.resources = {.cpu = 1}}},
                                        {.strategy = mobula::GroupStrategy::strict_spread, .name = "pair"});
  const auto places = [&] {
    std::string text;
    const std::vector<std::string> nodes = rt.wait(group, 30s).value();
    for (const std::string& node : nodes) text += " " + node;
    for (int i = 0; i < 2; ++i)
      text += " " + rt.with({.placement = {.group = group, .bundle = i}}).remote<where>().get(30s);
    return text;
  };
  say("made: " + std::to_string(tally.call<&Counter::add>(1).get()));
  say("places:" + places());
  std::string line;
  while (std::getline(std::cin, line)) {
    if (line == "call") say("called: " + std::to_string(tally.call<&Counter::add>(1).get(30s)));
    if (line == "find") {
      auto found = rt.get_actor<Counter>("tally", "lasting");
      say("found: " + std::to_string(found.call<&Counter::add>(1).get(30s)));
    }
    if (line == "places") say("places:" + places());
    if (line == "remove") {
      rt.remove(group);
      say("removed");
    }
    if (line == "end") break;
  }
  return 0;
}

// Another program meets the names and groups of that one.
int head_death_other() {
  auto rt = mobula::Runtime::start();
  auto found = rt.get_actor<Counter>("tally", "lasting");
  say("other: " + std::to_string(found.call<&Counter::add>(1).get(30s)));
  say("taken: " + error_of([&] { rt.with({.name = "tally", .name_space = "lasting"}).spawn<Counter>(); }));
  const auto all = rt.placement_group({{.resources = {.cpu = 1}}, {.resources = {.cpu = 1}}},
                                      {.strategy = mobula::GroupStrategy::strict_spread});
  say("room: " + std::string(rt.wait(all, 1500ms).ok() ? "yes" : "no"));
  return 0;
}

int fill(int milliseconds) {
  std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
  return 1;
}

// Many tasks; says how many of the first ones were done when told to look.
int job(const std::string& name, int tasks, int milliseconds) {
  auto rt = mobula::Runtime::start();
  say(name + " started");
  std::vector<mobula::Ref<int>> refs;
  for (int i = 0; i < tasks; ++i) refs.push_back(rt.remote<fill>(milliseconds));
  int done = 0;
  for (const auto& ref : rt.as_completed(refs)) {
    ref.get();
    if (++done % 10 == 0) say(name + " done " + std::to_string(done));
  }
  say(name + " finished");
  return 0;
}

int priorities() {
  auto rt = mobula::Runtime::start();
  std::vector<mobula::Ref<int>> low;
  for (int i = 0; i < 8; ++i) {
    low.push_back(rt.with({.max_retries = 0, .priority = -1, .preemptible = true}).remote<occupy>(600'000));
  }
  // They hold all cpus for ten minutes; this one does not wait for them.
  while (rt.explain("occupy").find("was sent") == std::string::npos) std::this_thread::sleep_for(20ms);
  say("urgent: " + std::to_string(rt.with({.priority = 5}).remote<occupy>(1).get(30s) > 0));
  say("low: " + std::string(to_string(low.back().try_get(1ms).error().code)));
  for (const auto& ref : low) rt.cancel(ref, {.force = true});
  return 0;
}

int explain() {
  auto rt = mobula::Runtime::start();
  std::vector<mobula::Ref<int>> busy;
  for (int i = 0; i < 4; ++i) busy.push_back(rt.remote<occupy>(600'000));
  while (rt.explain(busy[0]).find("was sent") == std::string::npos) std::this_thread::sleep_for(20ms);
  auto waits = rt.with({.name = "patience", .placement = {.labels = {{"zone", "b"}}}}).remote<fill>(1);
  std::vector<mobula::Ref<int>> more;
  for (int i = 0; i < 4; ++i) {
    more.push_back(rt.with({.placement = {.labels = {{"zone", "b"}}}}).remote<occupy>(600'000));
  }
  auto blocked = rt.with({.name = "patience too", .placement = {.labels = {{"zone", "b"}}}}).remote<fill>(waits);
  std::this_thread::sleep_for(300ms);
  std::string text = rt.explain(more.back());
  const auto begun = std::chrono::steady_clock::now();
  text = rt.explain(more.back());
  say("in time: " + std::to_string(std::chrono::steady_clock::now() - begun < 5s));
  say("waiting: " + text);
  say("dependent: " + rt.explain(blocked));
  say("ready");
  std::string line;
  std::getline(std::cin, line);  // the test asks from outside
  for (const auto& ref : busy) rt.cancel(ref, {.force = true});
  for (const auto& ref : more) rt.cancel(ref, {.force = true});
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  mobula::init(argc, argv);
#ifdef OTHER_BUILD
  say("another build");
#endif
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string what = arguments.empty() ? "" : arguments[0];
  if (what == "placement") return placement();
  if (what == "placement_load") return placement_load();
  if (what == "names") return names();
  if (what == "detached") return detached(arguments.at(1));
  if (what == "groups") return groups();
  if (what == "groups_survive") return groups_survive();
  if (what == "head_death") return head_death();
  if (what == "head_death_other") return head_death_other();
  if (what == "job") return job(arguments.at(1), std::stoi(arguments.at(2)), std::stoi(arguments.at(3)));
  if (what == "priorities") return priorities();
  if (what == "explain") return explain();
  std::fprintf(stderr,
               "usage: placement_program placement | placement_load | names | detached make|use|crash|kill | groups | "
               "groups_survive | head_death | head_death_other | job NAME N MS | priorities | explain\n");
  return 2;
}
