// What outlives a crash: the state of an actor. What docs/guide/surviving.md shows.
#include <csignal>
#include <iostream>
#include <map>
#include <string>

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
}
