// What the tests of values that survive run on their cluster. Reports on stdout, a fact a line.
#include <mobula/runtime.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <iostream>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;
using Numbers = std::vector<double>;

constexpr std::size_t count = 200'000;  // 1.6 MB: travels as a large object

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}
// The test goes on when it has done its part.
void wait_for_the_test() {
  std::string line;
  std::getline(std::cin, line);
}

Numbers make(double value) {
  return Numbers(count, value);
}
int sum(const Numbers& numbers) {
  return static_cast<int>(std::accumulate(numbers.begin(), numbers.end(), 0.0));
}
template <class T>
std::string outcome(const mobula::Result<T>& result) {
  if constexpr (std::is_same_v<T, Numbers>) {
    return result.ok() ? std::to_string(sum(*result)) : std::string(to_string(result.error().code));
  } else {
    return result.ok() ? std::to_string(*result) : std::string(to_string(result.error().code));
  }
}

// Copies of a result of the third node, which the test kills, and of a value of this program.
int copies() {
  auto rt = mobula::Runtime::start();
  const auto third = mobula::Placement{.node = "third"};
  auto result = rt.with({.copies = 2, .max_retries = 0, .placement = third}).remote<make>(1.0);
  auto single = rt.with({.max_retries = 0, .placement = third}).remote<make>(1.0);
  auto value = rt.with({.copies = 3}).put(make(2.0));
  auto small = rt.with({.copies = 3}).put(7);
  say("of the result: " + outcome(rt.wait_copies(result, 30s)));
  say("of the other result: " + outcome(rt.wait_copies(single, 30s)));
  say("of the value: " + outcome(rt.wait_copies(value, 30s)));
  say("of a small value: " + outcome(rt.wait_copies(small, 30s)));
  say("ready");
  wait_for_the_test();
  say("result: " + outcome(result.try_get(30s)));
  say("result read by a task: " + outcome(rt.remote<sum>(result).try_get(30s)));
  say("the other result: " + outcome(single.try_get(30s)));
  say("again of the result: " + outcome(rt.wait_copies(result, 30s)));
  say("again of the value: " + outcome(rt.wait_copies(value, 30s)));
  return 0;
}

// There are fewer nodes than copies, until the test starts more.
int join() {
  auto rt = mobula::Runtime::start();
  auto value = rt.with({.copies = 3}).put(make(1.0));
  const auto early = rt.wait_copies(value, 300ms);
  say("too few: " + outcome(early));
  say("says: " + (early.ok() ? "" : early.error().message));
  say("value: " + outcome(value.try_get()));
  wait_for_the_test();
  say("joined: " + outcome(rt.wait_copies(value, 30s)));
  for (const int wrong : {0, 1000}) {
    try {
      rt.with({.copies = wrong}).put(1);
      say("accepted");
    } catch (const mobula::TaskError& error) {
      say(error.what());
    }
  }
  return 0;
}

// Keeps references for whoever asks.
struct Shelf {
  std::map<std::string, std::vector<mobula::Ref<Numbers>>> refs;
  std::vector<mobula::Ref<int>> small;
  int keep(const std::string& name, const std::vector<mobula::Ref<Numbers>>& value) {
    refs[name] = value;
    return static_cast<int>(refs.size());
  }
  int keep_small(const std::vector<mobula::Ref<int>>& value) {
    small = value;
    return 0;
  }
  std::vector<mobula::Ref<Numbers>> take(const std::string& name) {
    auto taken = refs.extract(name);
    return taken ? taken.mapped() : std::vector<mobula::Ref<Numbers>>{};
  }
  std::vector<mobula::Ref<int>> take_small() { return std::move(small); }
};

// Stores values from a process that ends.
struct Maker {
  int make_some(const mobula::Actor<Shelf>& shelf) {
    auto rt = mobula::Runtime::current();
    auto safe = rt.with({.detached = true, .copies = 2}).put(make(2.0));
    rt.wait_copies(safe, 30s).value();
    shelf.call<&Shelf::keep>("two nodes", std::vector{safe}).get();
    shelf.call<&Shelf::keep>("mortal", std::vector{rt.put(make(3.0))}).get();
    return 0;
  }
  int make_one(const mobula::Actor<Shelf>& shelf) {
    auto rt = mobula::Runtime::current();
    shelf.call<&Shelf::keep>("of a worker", std::vector{rt.with({.detached = true}).put(make(4.0))}).get();
    return 0;
  }
  int die() {
    std::raise(SIGKILL);
    return 0;
  }
};

int keep() {
  auto rt = mobula::Runtime::start();
  auto shelf = rt.with({.name = "shelf", .detached = true, .placement = {.node = "first"}}).spawn<Shelf>();
  auto mine = rt.with({.detached = true}).put(make(1.0));
  say("mine: " + outcome(mine.try_get()));
  shelf.call<&Shelf::keep>("of the driver", std::vector{mine}).get();
  shelf.call<&Shelf::keep_small>(std::vector{rt.with({.detached = true}).put(42)}).get();
  auto here = rt.with({.placement = {.node = "first"}}).spawn<Maker>();
  here.call<&Maker::make_one>(shelf).get();
  say("a worker: " + std::string(to_string(here.call<&Maker::die>().try_get().error().code)));
  auto maker = rt.with({.placement = {.node = "third"}}).spawn<Maker>();
  maker.call<&Maker::make_some>(shelf).get();
  try {
    rt.with({.detached = true}).put(std::vector{rt.put(1)});
    say("accepted");
  } catch (const mobula::TaskError& error) {
    say(error.what());
  }
  auto nested = rt.with({.detached = true}).put(std::vector{mine});
  say("nested: " + outcome(nested.get().front().try_get()));
  say("ready");
  wait_for_the_test();  // which kills this program
  return 0;
}

int use(const std::vector<std::string>& names) {
  auto rt = mobula::Runtime::start();
  auto shelf = rt.get_actor<Shelf>("shelf");
  for (const std::string& name : names) {
    auto refs = shelf.call<&Shelf::take>(name).get();
    say(name + ": " + (refs.empty() ? "nothing" : outcome(refs.front().try_get(30s))));
    if (name == "two nodes") say("copies again: " + outcome(rt.wait_copies(refs.front(), 30s)));
  }
  if (auto small = shelf.call<&Shelf::take_small>().get(); !small.empty()) {
    say("small: " + outcome(small.front().try_get(30s)));
  }
  return 0;
}

// A detached actor that keeps its state, once a small and once a large one.
struct Ledger {
  Numbers entries;
  int fill(double value) {
    entries.assign(count, value);
    return sum(entries);
  }
  int add(double value) {
    entries.push_back(value);
    return sum(entries);
  }
  int die() {
    std::raise(SIGKILL);
    return 0;
  }
  std::string where() const { return mobula::this_task().node; }
  Numbers save() const { return entries; }
  void load(Numbers saved) { entries = std::move(saved); }
};

int ledger() {
  auto rt = mobula::Runtime::start();
  const auto spawn = [&](const char* name) {
    return rt
        .with({.name = name,
               .detached = true,
               .max_restarts = -1,
               .checkpoint_every = 2,
               .placement = {.node = "third", .soft = true}})
        .spawn<Ledger>();
  };
  auto small = spawn("small"), large = spawn("large");
  for (int i = 0; i < 5; ++i) small.call<&Ledger::add>(1.0).get();
  large.call<&Ledger::fill>(1.0).get();
  for (int i = 0; i < 4; ++i) large.call<&Ledger::add>(1.0).get();
  say("on " + small.call<&Ledger::where>().get() + " and " + large.call<&Ledger::where>().get());
  say("a worker: " + std::string(to_string(large.call<&Ledger::die>().try_get().error().code)));
  say("after its worker: " + outcome(large.call<&Ledger::add>(1.0).try_get(30s)));
  say("ready");
  wait_for_the_test();
  // A call that was on its way when the node died may end with it; then it did not count.
  const auto until_it_is_back = [&](mobula::Actor<Ledger>& actor) {
    for (;;) {
      const auto where = actor.call<&Ledger::where>().try_get(30s);
      if (where.ok() && *where != "third") return *where;
      if (!where.ok() && where.error().code != mobula::ErrorCode::actor_died) return where.error().describe();
    }
  };
  say("now on " + until_it_is_back(small) + " and " + until_it_is_back(large));
  say("small: " + outcome(small.call<&Ledger::add>(1.0).try_get(30s)));
  say("large: " + outcome(large.call<&Ledger::add>(1.0).try_get(30s)));
  rt.kill(small);
  rt.kill(large);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "copies") return copies();
  if (what == "join") return join();
  if (what == "keep") return keep();
  if (what == "use") return use({argv + 2, argv + argc});
  if (what == "ledger") return ledger();
  std::fprintf(stderr, "usage: values_program copies | join | keep | use NAME... | ledger\n");
  return 2;
}
