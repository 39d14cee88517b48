// kill_program FOLDER: a study of 40 trials with a journal in FOLDER. Each job leaves a line in FOLDER/jobs.txt when it
// is done; the table goes to FOLDER/table.csv at the end.
#include <fcntl.h>
#include <mobula/tune.h>
#include <unistd.h>

#include <cmath>
#include <exception>
#include <fstream>
#include <iostream>
#include <string>

namespace {

using namespace mobula;

struct Curve {
  std::string folder;

  tune::Report operator()(const tune::Job& job) const {
    // Some milliseconds of work, so that the program is not over before it can be killed.
    double value = job.params.number("x");
    for (int i = 0; i < 100'000; ++i)
      value += 1e-9 * std::sin(value + static_cast<double>(job.seed % 1000) + job.until);
    value += job.params.number("y") / job.until;
    const std::string line =
        std::to_string(job.trial) + " " + std::to_string(job.repeat) + " " + tune::to_text(job.until) + "\n";
    const int jobs = ::open((folder + "/jobs.txt").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (jobs < 0 || ::write(jobs, line.data(), line.size()) < 0) throw std::runtime_error("cannot write jobs.txt");
    ::close(jobs);
    return {.value = value};
  }
  template <class Archive>
  void serialize(Archive& archive) {
    archive(folder);
  }
};

}  // namespace

int main(int argc, char** argv) try {
  init(argc, argv);
  if (argc != 2) return 2;
  const std::string folder = argv[1];
  tune::Space space;
  space.add("x", tune::uniform(-1, 1)).add("y", tune::loguniform(1e-3, 1));
  tune::StudyOptions options{.mode = "min", .seed = 9, .num_trials = 40, .max_concurrent = 6, .seeds_per_trial = 2};
  options.scheduler = {.name = "asha", .max = 9, .variant = "promote"};
  options.journal = folder + "/journal.jsonl";
  const Runtime rt = Runtime::start({.workers = 2});
  const tune::StudyResult result = tune::run(rt, Curve{folder}, space, options);
  std::string table;
  for (const auto& trial : result.trials) {
    table += std::to_string(trial.id) + "," + tune::to_string(trial.status);
    for (const auto& [name, value] : trial.params.entries()) table += "," + tune::to_text(value);
    for (const auto& [at, value] : trial.values) table += "," + tune::to_text(at) + ":" + tune::to_text(value);
    table += "\n";
  }
  std::ofstream(folder + "/table.csv.new") << table;
  return ::rename((folder + "/table.csv.new").c_str(), (folder + "/table.csv").c_str());
} catch (const std::exception& error) {
  std::cerr << error.what() << '\n';
  return 1;
}
