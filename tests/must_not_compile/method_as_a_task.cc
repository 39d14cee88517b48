// says: a method is called on an actor
#include <mobula/runtime.h>

struct Counter {
  int n = 0;
  int add(int by) { return n += by; }
};

void submit(const mobula::Runtime& rt) {
  auto counter = rt.spawn<Counter>();
  counter.call<&Counter::add>(1);
#ifndef MUST_COMPILE
  rt.remote<&Counter::add>(1);
#endif
}
