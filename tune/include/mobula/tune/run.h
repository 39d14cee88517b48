#pragma once

#include <mobula/runtime.h>
#include <mobula/tune/study.h>

#include <chrono>
#include <concepts>
#include <cstddef>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace mobula::tune {

/// What run() hands back. `trials` in the order of their numbers.
struct StudyResult {
  std::vector<Trial> trials;
  std::optional<Trial> best;
  bool interrupted = false;
};

namespace detail {

template <class T>
concept TakesJob = std::invocable<const T&, const Job&>;
template <class T>
concept TakesParams = std::invocable<const T&, const Params&>;

/// The actor that evaluates an objective; one process serves one trial after the other.
template <class T>
struct Runner {
  T objective;
  explicit Runner(T given) : objective(std::move(given)) {}

  Report run(const Job& job) {
    const auto began = std::chrono::steady_clock::now();
    Report report;
    if constexpr (TakesJob<T>) {
      if constexpr (std::same_as<std::invoke_result_t<const T&, const Job&>, Report>) {
        report = objective(job);
      } else {
        report.value = objective(job);
      }
    } else {
      report.value = objective(job.params);
    }
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return report;
  }
};

/// Runners without their type. A lane is room for one job that is submitted; those of one runner are served in turn.
class Runners {
 public:
  virtual ~Runners() = default;
  virtual void start(std::size_t lane, std::size_t runner, const Job& job) = 0;
  /// Blocks until a job has finished, or some time has passed; the lanes of those that have, in order.
  virtual std::vector<std::pair<std::size_t, Result<Report>>> wait(std::chrono::nanoseconds timeout) = 0;
};

template <class T>
class RunnersOf final : public Runners {
 public:
  RunnersOf(const Runtime& runtime, const T& objective) : runtime_(runtime), objective_(objective) {}
  ~RunnersOf() override {
    for (const auto& lane : lanes_) {
      if (lane.call) runtime_.kill(actors_[lane.runner]);
    }
  }

  void start(std::size_t lane, std::size_t runner, const Job& job) override {
    while (actors_.size() <= runner) {
      actors_.push_back(runtime_
                            .with({.title = "trial runner " + std::to_string(actors_.size()),
                                   .max_restarts = -1,
                                   .max_call_retries = 3})
                            .template spawn<Runner<T>>(objective_));
    }
    if (lanes_.size() <= lane) lanes_.resize(lane + 1);
    lanes_[lane] = {actors_[runner].template call<&Runner<T>::run>(job), runner};
  }

  std::vector<std::pair<std::size_t, Result<Report>>> wait(std::chrono::nanoseconds timeout) override {
    std::vector<Ref<Report>> refs;
    std::vector<std::size_t> lanes;
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      if (!lanes_[i].call) continue;
      refs.push_back(lanes_[i].call);
      lanes.push_back(i);
    }
    const auto waited = runtime_.wait(refs, 1, timeout);
    std::vector<std::pair<std::size_t, Result<Report>>> ready;
    for (std::size_t i = 0, next = 0; i < refs.size() && next < waited.ready.size(); ++i) {
      if (!(refs[i] == waited.ready[next])) continue;
      ready.emplace_back(lanes[i], refs[i].try_get());
      lanes_[lanes[i]] = {};
      ++next;
    }
    return ready;
  }

 private:
  struct Lane {
    Ref<Report> call;  // empty: idle
    std::size_t runner = 0;
  };
  const Runtime& runtime_;
  const T& objective_;
  std::vector<Actor<Runner<T>>> actors_;
  std::vector<Lane> lanes_;
};

StudyResult drive(Study& study, Runners& runners, std::size_t processes);
std::size_t process_count(const Runtime& runtime, const StudyOptions& options);

}  // namespace detail

/// Runs a study on a runtime until it is finished or interrupted. The objective is a callable with a codec that takes a
/// `const Job&` and returns a Report or a number, or takes a `const Params&` and returns a number:
///
///   double branin(const tune::Params& p);
///   auto result = tune::run(mobula::function<branin>(), space, {.mode = "min", .num_trials = 200});
///
/// It runs in up to `options.processes` actors, each of which serves trial after trial. An exception fails its trial;
/// a process that dies is replaced and its job repeated. Objectives may use Runtime::current() and own actors: runners
/// hold no cpu. Throws TuneError before anything is started if the options or the journal cannot be used.
template <class T>
StudyResult run(const Runtime& runtime, const T& objective, Space space, StudyOptions options) {
  static_assert(!std::is_pointer_v<T> && !std::is_function_v<T>,
                "mobula: a function pointer means nothing in another process; write mobula::function<f>() for f");
  static_assert(detail::TakesJob<T> || detail::TakesParams<T>,
                "mobula: an objective takes a const tune::Job& or a const tune::Params&, and its operator() is const");
  Study study(std::move(space), std::move(options));
  detail::RunnersOf<T> runners(runtime, objective);
  return detail::drive(study, runners, detail::process_count(runtime, study.options()));
}

/// On the runtime that this process has started.
template <class T>
StudyResult run(const T& objective, Space space, StudyOptions options) {
  return run(Runtime::current(), objective, std::move(space), std::move(options));
}

}  // namespace mobula::tune
