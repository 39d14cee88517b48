// says: the number of arguments differs from the number of the function's parameters
#include <mobula/runtime.h>

int add(int a, int b = 1) {
  return a + b;
}

void submit(const mobula::Runtime& rt) {
  rt.remote<add>(1, 2);
#ifndef MUST_COMPILE
  rt.remote<add>(1);
#endif
}
