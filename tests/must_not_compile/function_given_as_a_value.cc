// says: the function is named at compile time: rt.remote<f>(args...)
#include <mobula/runtime.h>

int twice(int x) {
  return 2 * x;
}

void submit(const mobula::Runtime& rt) {
  rt.remote<twice>(3);
#ifndef MUST_COMPILE
  rt.remote(twice, 3);
#endif
}
