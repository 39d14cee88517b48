// Searches the minimum of a function whose evaluations run in worker processes, first with a plain function, then with
// an objective that goes on from where it stood while ASHA stops the bad trials early.
#include <mobula/tune.h>

#include <cmath>
#include <exception>
#include <iostream>
#include <string>

namespace tune = mobula::tune;

// [function]
// Branin's function: three minima of 0.397887.
double branin(const tune::Params& p) {
  const double pi = std::acos(-1.0), x = p.number("x"), y = p.number("y");
  const double a = y - 5.1 / (4 * pi * pi) * x * x + 5 / pi * x - 6;
  return a * a + 10 * (1 - 1 / (8 * pi)) * std::cos(x) + 10;
}
// [/function]

// [state]
// Gradient descent that can be broken off and gone on with: all it knows is in the report's state.
struct Descent {
  double start = 4;

  tune::Report operator()(const tune::Job& job) const {
    double x = job.state.empty() ? start : std::stod(job.state), speed = 0;
    for (auto step = static_cast<int>(job.from); step < static_cast<int>(job.until); ++step) {
      const double gradient = 2 * x + 3 * std::cos(3 * x);
      speed = job.params.has("momentum") ? job.params.number("momentum") * speed + gradient : gradient;
      x -= job.params.number("lr") * speed;
    }
    return {.value = x * x + std::sin(3 * x), .state = tune::to_text(x)};
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(start);
  }
};
// [/state]

int main(int argc, char** argv) try {
  mobula::init(argc, argv);
  const auto rt = mobula::Runtime::start({.workers = 2});

  // [run]
  tune::Space plane;
  plane.add("x", tune::uniform(-5, 10)).add("y", tune::uniform(0, 15));
  const auto found = tune::run(mobula::function<branin>(), plane,
                               {.mode = "min", .num_trials = 500, .max_concurrent = 8, .search = {"sobol"}});
  std::cout << "branin: " << *found.best->value << " at x = " << found.best->params.number("x")
            << ", y = " << found.best->params.number("y") << '\n';
  // [/run]

  // [asha]
  tune::Space settings;
  settings.add("lr", tune::loguniform(1e-3, 1)).add("method", tune::choice({"plain", "momentum"}));
  settings.add("momentum", tune::uniform(0.5, 0.99), {{"method", {"momentum"}}});
  const auto best = tune::run(Descent{}, settings,
                              {.mode = "min",
                               .num_trials = 100,
                               .max_concurrent = 8,
                               .scheduler = {.name = "asha", .max = 81, .grace = 3, .eta = 3}});
  int completed = 0;
  for (const auto& trial : best.trials) completed += trial.status == tune::Status::completed;
  std::cout << "descent: " << *best.best->value << " with lr = " << best.best->params.number("lr") << "; " << completed
            << " of " << best.trials.size() << " trials were run to the end\n";
  // [/asha]

  // [ask]
  tune::Study study(plane, {.mode = "min", .num_trials = 100});
  while (const auto job = study.ask()) study.tell(*job, {.value = branin(job->params)});
  std::cout << "asked and told: " << *study.best()->value << '\n';
  // [/ask]
} catch (const std::exception& error) {
  std::cerr << "tune_function: " << error.what() << '\n';
  return 1;
}
