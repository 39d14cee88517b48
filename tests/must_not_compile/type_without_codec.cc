// says: no codec for this type, so it cannot be an argument or a result
#include <mobula/runtime.h>

#include <string>

struct Named {
  std::string name;
#ifdef MUST_COMPILE
  template <class A>
  void serialize(A& a) {
    a(name);
  }
#endif
};

int length(const Named& named) {
  return static_cast<int>(named.name.size());
}

void submit(const mobula::Runtime& rt) {
  rt.remote<length>(Named{"text"});
}
