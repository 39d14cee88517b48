// says: a field may be bool, an integer, float, double, std::string
#include <mobula/fields.h>

#include <map>

struct Config {
  std::map<int, int> table;
  int number = 0;

  void describe(mobula::Fields& f) {
    f("number", number);
#ifndef MUST_COMPILE
    f("table", table);
#endif
  }
};
