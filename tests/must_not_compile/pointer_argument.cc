// says: a pointer means nothing in another process
#include <mobula/runtime.h>

int length(const char* text) {
  return text[0];
}
int twice(int x) {
  return 2 * x;
}

void submit(const mobula::Runtime& rt) {
  rt.remote<twice>(3);
#ifndef MUST_COMPILE
  rt.remote<length>("text");
#endif
}
