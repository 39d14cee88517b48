// What outlives a crash: the state of an actor, values with copies, values without their maker. What
// docs/guide/surviving.md shows.
#include <chrono>
#include <csignal>
#include <iostream>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include <unistd.h>

#include <mobula/runtime.h>

// [stock]
class Stock {
 public:
  int put(const std::string& part, int count) { return parts_[part] += count; }
  int take(const std::string& part, int count) {
    if (parts_[part] < count) throw std::runtime_error("only " + std::to_string(parts_[part]) + " of " + part);
    return parts_[part] -= count;
  }
  // With these two a restart goes on from where the actor was.
  std::map<std::string, int> save() const { return parts_; }
  void load(std::map<std::string, int> parts) { parts_ = std::move(parts); }
  // [/stock]
  int crash() {
    std::raise(SIGKILL);
    return 0;
  }

  // [stock-end]
 private:
  std::map<std::string, int> parts_;
};
// [/stock-end]

using Weights = std::vector<double>;

Weights train() {
  return Weights(100'000, 0.5);
}

// [detached]
struct Trainer {
  std::vector<mobula::Ref<Weights>> publish() {
    return {mobula::Runtime::current().with({.detached = true, .copies = 2}).put(train())};
  }
  // [/detached]
  int crash() {
    std::raise(SIGKILL);
    return 0;
  }
};

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  auto rt = mobula::Runtime::start({.workers = 2});

  // [resume]
  auto stock = rt.with({.max_restarts = -1, .checkpoint_every = 100}).spawn<Stock>();
  for (int i = 0; i < 250; ++i) stock.call<&Stock::put>("bolt", 1).get();
  auto crash = stock.call<&Stock::crash>();  // its process dies under this call,
  std::cout << to_string(crash.try_get().error().code) << '\n';
  std::cout << stock.call<&Stock::take>("bolt", 50).get() << '\n';  // and a new one goes on: 200
  // [/resume]

  // [copies]
  auto weights = rt.with({.copies = 2}).remote<train>();  // on two machines, once there are two
  auto table = rt.with({.copies = 3}).put(Weights(1'000'000));
  const auto there = rt.wait_copies(weights, std::chrono::seconds(1));
  std::cout << (there.ok() ? std::to_string(*there) : there.error().message) << '\n';
  // [/copies]

  // [read]
  auto trainer = rt.spawn<Trainer>();
  auto published = trainer.call<&Trainer::publish>().get().front();
  const auto gone = trainer.call<&Trainer::crash>().try_get();  // the process that stored it ends,
  const Weights safe = published.get();                         // and its value does not: 50000
  std::cout << (gone.ok() ? 0.0 : std::accumulate(safe.begin(), safe.end(), 0.0)) << '\n';
  // [/read]
}
