// says: The environment has no codec
#include <mobula/fields.h>
#include <mobula/rl/check.h>

#include <array>
#include <vector>

struct Walk {
  struct Config {
    void describe(mobula::Fields&) {}
  };
  using Observation = std::array<float, 1>;
  using Action = mobula::rl::Discrete<2>;

  explicit Walk(const Config&) {}
  Observation reset(mobula::Random&) { return {0}; }
  mobula::rl::Step<Observation> step(const Action&, mobula::Random&) { return {{0}, 0, true, false}; }
#ifdef MUST_COMPILE
  template <class A>
  void serialize(A& a) {
    a(path);
  }
#endif

  std::vector<int> path;
};

void check() {
  mobula::rl::check_environment<Walk>();
}
