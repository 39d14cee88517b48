// A driver for the tests. What it does is its first argument; it reports on stdout, a fact a line.
#include <mobula/runtime.h>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <iostream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/cluster/nodes/driver_together.h"

namespace {

// Has a process of its own.
struct Occupier {
  int pid() { return getpid(); }
  // Runs until it is killed.
  int work_for_ever() {
    volatile bool goes_on = true;
    while (goes_on) {
    }
    return 0;
  }
};

// The square, after some work, with the network name space it was computed in.
std::pair<int, std::string> square(int x) {
  char where[64] = {};
  if (readlink("/proc/self/ns/net", where, sizeof(where) - 1) < 0) throw std::runtime_error("no /proc");
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  while (std::chrono::steady_clock::now() < end) {
  }
  return {x * x, where};
}

int print_line(int number) {
  std::printf("line %d of a remote task\n", number);
  return number;
}

std::vector<double> large(int n) {
  return std::vector<double>(static_cast<std::size_t>(n), 1.5);
}
double sum(const std::vector<double>& values) {
  double total = 0;
  for (double value : values) total += value;
  return total;
}

std::vector<double> doubled(std::vector<double> values) {
  for (double& value : values) value *= 2;
  return values;
}

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Occupies worker processes, reports their pids, and waits to be killed.
int busy(int workers) {
  auto rt = mobula::Runtime::start({.workers = workers});
  std::vector<mobula::Actor<Occupier>> actors;
  for (int i = 0; i < workers; ++i) actors.push_back(rt.spawn<Occupier>());
  for (auto& actor : actors) say("worker " + std::to_string(actor.call<&Occupier::pid>().get()));
  std::vector<mobula::Ref<int>> running;
  for (auto& actor : actors) running.push_back(actor.call<&Occupier::work_for_ever>());
  say("ready");
  return running[0].get();
}

// Tasks on a cluster; the results with the places where they were computed.
int squares(const std::string& address, const std::string& keys, int count) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  std::vector<mobula::Ref<std::pair<int, std::string>>> refs;
  for (int i = 0; i < count; ++i) refs.push_back(rt.with({.max_retries = 10}).remote<square>(i));
  std::map<std::string, int> places;
  int done = 0;
  for (int i = 0; i < count; ++i) {
    const auto [result, place] = refs[static_cast<std::size_t>(i)].get();
    if (result != i * i) {
      say("wrong " + std::to_string(i));
      return 1;
    }
    if (++places[place] == 1) say("place " + place);
    if (++done % 10 == 0) say("done " + std::to_string(done));
  }
  std::string shares;
  for (const auto& [place, tasks] : places) shares += " " + std::to_string(tasks);
  say("finished " + std::to_string(places.size()) + ":" + shares);
  return 0;
}

// Tasks until so many places have taken part, however long that takes.
int spread(const std::string& address, const std::string& keys, std::size_t wanted) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  std::set<std::string> places;
  std::deque<mobula::Ref<std::pair<int, std::string>>> running;
  while (places.size() < wanted) {
    while (running.size() < 30) running.push_back(rt.remote<square>(7));
    if (const auto [result, place] = running.front().get(); places.insert(place).second) say("place " + place);
    running.pop_front();
  }
  say("spread over " + std::to_string(places.size()));
  return 0;
}

int objects(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  // Made on another node, read by a task on whichever node, and here.
  auto values = rt.remote<large>(3'000'000);
  auto total = rt.remote<sum>(values);
  say("sum " + std::to_string(total.get()));
  say("size " + std::to_string(values.get().size()));
  // Made here, read there.
  auto own = rt.put(std::vector<double>(2'000'000, 2.0));
  say("own " + std::to_string(rt.remote<sum>(own).get()));
  return 0;
}

// More than either store holds: made there, brought here from the other one's disk, and back to a task there.
int hoard(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys, .object_memory = 32 << 20});
  std::vector<mobula::Ref<std::vector<double>>> held;
  for (int i = 0; i < 20; ++i) held.push_back(rt.remote<large>(500'000 + i));
  rt.wait(held, held.size());
  say("held");
  std::string line;
  if (std::getline(std::cin, line); line != "go") return 1;
  std::size_t size = 0;
  for (auto& ref : held) size += ref.get().size();
  say("size " + std::to_string(size));
  double total = 0;
  for (auto& ref : held) total += rt.remote<sum>(ref).get();
  say("sum " + std::to_string(total));
  return 0;
}

// Adds numbers to a list that must hold each of them once, in order.
struct Ledger {
  std::vector<int> entries;
  int add(int n) {
    entries.push_back(n);
    return n;
  }
  std::vector<int> all() const { return entries; }
  std::vector<int> save() const { return entries; }
  void load(std::vector<int> saved) { entries = std::move(saved); }
};
std::string where(Ledger&) {
  return mobula::this_task().node;
}

// An actor on the node `second`, which the test kills when told that all is ready.
int resume(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  auto ledger = rt.with({.max_restarts = -1,
                         .checkpoint_every = 5,
                         .max_call_retries = -1,
                         .resources = {.cpu = 1},
                         .placement = {.node = "second", .soft = true}})
                    .spawn<Ledger>();
  std::vector<int> expected;
  for (int i = 0; i < 13; ++i) expected.push_back(ledger.call<&Ledger::add>(i).get());
  say("ready on " + ledger.call<where>().get());
  std::string line;
  std::getline(std::cin, line);
  for (int i = 13; i < 20; ++i) expected.push_back(ledger.call<&Ledger::add>(i).get());
  say(std::string(ledger.call<&Ledger::all>().get() == expected ? "complete" : "wrong") + " on " +
      ledger.call<where>().get());
  return 0;
}

// Arrays on the node `second`, which the test kills when told that they are there; the first one was let go by then.
int lineage(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  const auto there = rt.with({.placement = {.node = "second", .soft = true}});
  auto values = there.remote<large>(1'000'000);
  auto twice = there.remote<doubled>(values);
  values = {};
  rt.wait(std::vector{twice});
  say("ready");
  std::string line;
  std::getline(std::cin, line);
  say("total " + std::to_string(rt.remote<sum>(twice).get()));
  say("here " + std::to_string(sum(twice.get())));
  return 0;
}

// What is given to a cluster: it finds it by its environment.
int visit(int status) {
  auto rt = mobula::Runtime::start();
  int total = 0;
  std::vector<mobula::Ref<std::pair<int, std::string>>> refs;
  for (int i = 0; i < 20; ++i) refs.push_back(rt.remote<square>(i));
  for (auto& ref : refs) total += ref.get().first;
  say("total " + std::to_string(total));
  std::fprintf(stderr, "and this to the other stream\n");
  return status;
}

int linger_here() {
  std::printf("lingering\n");
  volatile bool goes_on = true;
  while (goes_on) {
  }
  return 0;
}

// Prints so many bytes, and that it has.
int chatter(std::size_t bytes) {
  const std::string line(999, 'x');
  for (std::size_t printed = 0; printed < bytes; printed += line.size() + 1) std::puts(line.c_str());
  say("the end");
  return 0;
}

// Occupies two cpus for ever and waits for a third; an actor is there too.
int linger() {
  say("process " + std::to_string(getpid()));
  auto rt = mobula::Runtime::start();
  auto ledger = rt.with({.name = "the ledger"}).spawn<Ledger>();
  ledger.call<&Ledger::add>(1).get();
  std::vector<mobula::Ref<int>> refs;
  for (int i = 0; i < 3; ++i) refs.push_back(rt.remote<linger_here>());
  say("all submitted");
  return refs[0].get();
}

int prints(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  for (int i = 0; i < 3; ++i) rt.remote<print_line>(i).get();
  return 0;
}

// Stores two values with the head, once the test says so.
int keep(const std::string& address, const std::string& keys) {
  auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  say("ready");
  std::string line;
  std::getline(std::cin, line);
  for (int i = 0; i < 2; ++i) {
    say("storing");
    try {
      rt.with({.detached = true}).put(large(200'000));
      say("kept");
    } catch (const mobula::TaskError& error) {
      say("not kept: " + error.error().describe());
    }
  }
  return 0;
}

int join(const std::string& address, const std::string& keys) {
  try {
    auto rt = mobula::Runtime::start({.address = address, .keys = keys});
  } catch (const mobula::TaskError& error) {
    say(std::string("error ") + error.what());
    return 3;
  }
  say("joined");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string what = arguments.empty() ? "" : arguments[0];
  if (what == "busy") return busy(std::stoi(arguments.at(1)));
  if (what == "squares") return squares(arguments.at(1), arguments.at(2), std::stoi(arguments.at(3)));
  if (what == "spread") return spread(arguments.at(1), arguments.at(2), std::stoul(arguments.at(3)));
  if (what == "objects") return objects(arguments.at(1), arguments.at(2));
  if (what == "hoard") return hoard(arguments.at(1), arguments.at(2));
  if (what == "lineage") return lineage(arguments.at(1), arguments.at(2));
  if (what == "resume") return resume(arguments.at(1), arguments.at(2));
  if (what == "prints") return prints(arguments.at(1), arguments.at(2));
  if (what == "collective") return collective(arguments.at(1), arguments.at(2));
  if (what == "uneven") return uneven(arguments.at(1), arguments.at(2));
  if (what == "keep") return keep(arguments.at(1), arguments.at(2));
  if (what == "chatter") return chatter(std::stoul(arguments.at(1)));
  if (what == "graph") return graph(arguments.at(1), arguments.at(2));
  if (what == "visit") return visit(std::stoi(arguments.at(1)));
  if (what == "linger") return linger();
  if (what == "join") return join(arguments.at(1), arguments.at(2));
  std::fprintf(
      stderr,
      "usage: cluster_driver busy N | squares ADDRESS KEYS N | spread ADDRESS KEYS PLACES | objects ADDRESS KEYS | "
      "hoard ADDRESS KEYS | resume ADDRESS KEYS | lineage ADDRESS KEYS | prints ADDRESS KEYS | collective ADDRESS KEYS "
      "| uneven ADDRESS KEYS | keep ADDRESS KEYS | graph ADDRESS KEYS | join ADDRESS KEYS | visit STATUS | chatter "
      "BYTES "
      "| linger\n");
  return 2;
}
