#include <iostream>

#include <mobula/runtime.h>

// A plain function,
int square(int x) {
  return x * x;
}
// and a plain class.
struct Counter {
  int n = 0;
  int add(int by) { return n += by; }
};

int main(int argc, char** argv) {
  mobula::init(argc, argv);  // first line: in a worker this call never returns
  auto rt = mobula::Runtime::start();
  mobula::Ref<int> nine = rt.remote<square>(3);
  auto counter = rt.with({.max_restarts = 3, .resources = {.cpu = 1}}).spawn<Counter>();
  mobula::Ref<int> total = counter.call<&Counter::add>(nine);  // a Ref<int> fits where an int does
  std::cout << total.get() << '\n';                            // throws TaskError; try_get() gives Result<int>
}
