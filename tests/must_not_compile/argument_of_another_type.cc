// says: an argument cannot be converted to the parameter's type
#include <mobula/runtime.h>

#include <string>

int twice(int x) {
  return 2 * x;
}

void submit(const mobula::Runtime& rt) {
  rt.remote<twice>(3);
#ifndef MUST_COMPILE
  rt.remote<twice>(std::string("3"));
#endif
}
