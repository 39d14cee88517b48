// says: a Ref<T> is given for a parameter of another type
#include <mobula/runtime.h>

int twice(int x) {
  return 2 * x;
}
double half(double x) {
  return x / 2;
}

void submit(const mobula::Runtime& rt) {
  const mobula::Ref<int> six = rt.remote<twice>(3);
  rt.remote<twice>(six);
#ifndef MUST_COMPILE
  rt.remote<half>(six);
#endif
}
