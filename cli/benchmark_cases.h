#pragma once

#include <mobula/runtime.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/micro/case.h"
#include "bench/micro/errand.h"
#include "bench/micro/floors.h"

namespace mobula::cli {

/// What the cases of `mobula microbenchmark` share. The runtime is started after the processes of the floors have been
/// forked, and lives longer than the cases.
struct BenchmarkBed {
  explicit BenchmarkBed(bool tried_only = false) : floors(tried_only), quick(tried_only) {}

  bench::Floors floors;
  StartOptions start;
  const bool quick;  ///< tried only
  std::optional<Runtime> runtime;

  /// A process apart (bench::Errand) that serves such questions; ask it through what is returned, after fork().
  std::function<double(int what)> errand(std::function<double(int what)> serve) {
    serves_.push_back(std::move(serve));
    return [this, i = serves_.size() - 1](int what) { return errands_.at(i)->ask(what); };
  }
  /// Makes all processes that have to be forked before this one has threads. Then start the runtime.
  void fork() {
    floors.fork();
    for (const auto& serve : serves_) errands_.push_back(std::make_unique<bench::Errand>(serve));
  }

  /// A number of things, or a hundredth of it where only the program is tried.
  std::size_t many(std::size_t full) const { return quick ? std::max<std::size_t>(1, full / 100) : full; }
  /// What Ray's benchmark calls n_cpu: half of them.
  static int half_of_cpus() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency()) / 2); }

 private:
  std::vector<std::function<double(int)>> serves_;
  std::vector<std::unique_ptr<bench::Errand>> errands_;
};

/// Made when it is first needed.
template <class Make>
class Lazily {
 public:
  explicit Lazily(Make make) : made_(std::make_shared<State>(std::move(make))) {}
  auto& operator*() const {
    if (!made_->value) made_->value.emplace(made_->make());
    return *made_->value;
  }
  auto* operator->() const { return &**this; }

 private:
  struct State {
    explicit State(Make from) : make(std::move(from)) {}
    Make make;
    std::optional<decltype(std::declval<Make&>()())> value;
  };
  std::shared_ptr<State> made_;
};

/// A case whose time is that of all of `work`.
template <class Work>
bench::Case measured(std::string name, std::string about, bench::Measure measure, std::string floor, double operations,
                     Work work) {
  bench::Case out;
  out.name = std::move(name);
  out.group = "mobula";
  out.about = std::move(about);
  out.floor = std::move(floor);
  out.measure = measure;
  out.operations = operations;
  out.once = [work = std::move(work)] { return bench::timed(work); };
  return out;
}

// One file each. The cases refer to the bed.
void add_call_cases(BenchmarkBed& bed, std::vector<bench::Case>& cases);      ///< tasks and actor calls
void add_start_cases(BenchmarkBed& bed, std::vector<bench::Case>& cases);     ///< processes: their start and their size
void add_object_cases(BenchmarkBed& bed, std::vector<bench::Case>& cases);    ///< large values, and many
void add_node_cases(BenchmarkBed& bed, std::vector<bench::Case>& cases);      ///< between two nodes
void add_together_cases(BenchmarkBed& bed, std::vector<bench::Case>& cases);  ///< collectives
void add_ray_cases(BenchmarkBed& bed, std::vector<bench::Case>& cases);       ///< what `ray microbenchmark` measures

}  // namespace mobula::cli
