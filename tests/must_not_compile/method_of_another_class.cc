// says: this is a method of another class than the actor's
#include <mobula/runtime.h>

struct Counter {
  int n = 0;
  int add(int by) { return n += by; }
};
struct Other {
  int add(int by) { return by; }
};

void submit(const mobula::Runtime& rt) {
  auto counter = rt.spawn<Counter>();
  counter.call<&Counter::add>(1);
#ifndef MUST_COMPILE
  counter.call<&Other::add>(1);
#endif
}
