// says: what is written to a non-const reference never comes back
#include <mobula/runtime.h>

#include <vector>

void sort_in_place(std::vector<int>&) {}
std::vector<int> sorted(const std::vector<int>& values) {
  return values;
}

void submit(const mobula::Runtime& rt) {
  std::vector<int> values = {2, 1};
  rt.remote<sorted>(values);
#ifndef MUST_COMPILE
  rt.remote<sort_in_place>(values);
#endif
}
