#include <mobula/runtime.h>

#include <iostream>

int square(int x) {
  return x * x;
}
struct Counter {
  int n = 0;
  int add(int by) { return n += by; }
};

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  auto rt = mobula::Runtime::start({.workers = 2});
  mobula::Ref<int> nine = rt.remote<square>(3);
  auto counter = rt.with({.max_restarts = 3}).spawn<Counter>();
  mobula::Ref<int> total = counter.call<&Counter::add>(nine);
  std::cout << "square of 3: " << nine.get() << ", counted: " << total.get() << '\n';
}
