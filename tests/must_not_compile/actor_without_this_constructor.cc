// says: the actor's class has no constructor for these arguments
#include <mobula/runtime.h>

struct Counter {
  explicit Counter(int start) : n(start) {}
  int n;
};

void submit(const mobula::Runtime& rt) {
  rt.spawn<Counter>(3);
#ifndef MUST_COMPILE
  rt.spawn<Counter>(3, 4);
#endif
}
