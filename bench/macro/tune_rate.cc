// How many trials of a trivial objective a second pass through tune::run, by number of concurrent trials, with and
// without a journal, and through ask and tell alone. Prints a table.
#include <fmt/format.h>
#include <mobula/tune.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace {

using namespace mobula;

double first(const tune::Params& p) {
  return p.number("x");
}

double seconds_of(const auto& f) {
  const auto began = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

}  // namespace

int main(int argc, char** argv) {
  init(argc, argv);
  const std::int64_t trials = argc > 1 ? std::atoll(argv[1]) : 5000;
  tune::Space space;
  for (const char* name : {"x", "y", "z", "u", "v"}) space.add(name, tune::uniform(0, 1));
  const auto journal = std::filesystem::temp_directory_path() / fmt::format("tune-rate-{}.jsonl", ::getpid());

  const double alone = seconds_of([&] {
    tune::Study study(space, {.num_trials = trials});
    while (auto job = study.ask()) study.tell(*job, {.value = first(job->params)});
  });
  fmt::print("ask and tell alone: {:.0f} trials/s\n\nprocesses  at once  journal  trials/s\n", trials / alone);
  for (const int processes : {1, 2}) {
    const Runtime rt = Runtime::start({.workers = processes});
    for (const int at_once : {4, 16}) {
      for (const std::string sync : {"none", "interval", "always"}) {
        tune::StudyOptions options{.num_trials = trials, .max_concurrent = at_once};
        if (sync != "none") {
          options.journal = journal;
          options.sync = sync;
        }
        const double seconds = seconds_of([&] { tune::run(rt, function<first>(), space, options); });
        std::filesystem::remove(journal);
        fmt::print("{:<10} {:<8} {:<8} {:.0f}\n", processes, at_once, sync, trials / seconds);
      }
    }
  }
}
