#pragma once

#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "rl/fairness/gate.h"
#include "rl/train/cpu_meter.h"
#include "rl/train/rollout.h"
#include "rl/train/sections.h"
#include "rl/train/worker_watch.h"

namespace mobula::rl {

struct EvaluationCall {
  std::uint32_t first = 0;  ///< held-out episodes first .. first + count - 1
  std::int32_t count = 0;
  std::int32_t baseline = -1;  ///< of the environment; -1: the policy
  bool deterministic = true;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(first, count, baseline, deterministic);
  }
};

struct EvaluationResult {
  std::vector<EpisodeEnd> episodes;  ///< EpisodeEnd::env is the number of the held-out episode
  ProcessTime time;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(episodes, time);
  }
};

/// Plays held-out episodes in a worker. Episode k draws from Random(seed, Stream::evaluation, k), which training never
/// uses; like a rollout, an answer depends on the arguments alone.
class EvaluationActor {
 public:
  explicit EvaluationActor(const ActorSetup& setup) : setup_(setup), actor_(nn::make_actor(setup.policy)) {}
  EvaluationResult play(const Array<float>& parameters, const EvaluationCall& call);

 private:
  const ActorSetup setup_;
  const ProcessTime made_ = ProcessTime::here();
  const std::unique_ptr<nn::Actor> actor_;
};

/// Evaluations under way on actors of their own, finished in the order in which they were started.
class Evaluator {
 public:
  /// `summary_seed` keys the bootstrap. Calls of a died worker are repeated.
  Evaluator(Runtime& runtime, ActorSetup setup, EnvironmentInfo info, FairnessOptions fairness,
            std::uint64_t summary_seed)
      : runtime_(runtime),
        setup_(std::move(setup)),
        info_(std::move(info)),
        fairness_(std::move(fairness)),
        seed_(summary_seed) {}

  /// There are at least this many actors from now on.
  void grow(int actors);

  struct Request {
    Progress progress;
    std::string policy = "trained";
    int baseline = -1;
    int episodes = 0;
    bool deterministic = true;
    bool final = false;
  };
  /// Returns at once (in-process: when it is done).
  void start(const Request& request, const Ref<Array<float>>& parameters);

  struct Finished {
    Request request;
    Metrics metrics;
    std::vector<ConstraintResult> constraints;  ///< of the options, in their order
  };
  /// The oldest one if it is finished, waiting for it at most this long. Throws TaskError if its environment failed.
  std::optional<Finished> take(std::chrono::milliseconds wait, CpuMeter& meter, WorkerWatch* watch = nullptr);
  std::size_t pending() const { return pending_.size(); }
  /// What is under way, with the parameters that are evaluated, so that a resumed run can do it again.
  std::vector<StoredEvaluation> under_way() const;

 private:
  struct Pending {
    Request request;
    Ref<Array<float>> parameters;
    std::vector<Ref<EvaluationResult>> parts;
    std::vector<std::size_t> actors;  ///< who plays each part
  };
  Runtime& runtime_;
  const ActorSetup setup_;
  const EnvironmentInfo info_;
  const FairnessOptions fairness_;
  const std::uint64_t seed_;
  std::vector<Actor<EvaluationActor>> actors_;
  std::size_t next_actor_ = 0;
  std::deque<Pending> pending_;
};

/// The trained policy, then the baselines that the options name, on the same held-out episodes.
std::vector<Evaluator::Request> final_requests(const TrainOptions& options, const Progress& progress);

}  // namespace mobula::rl
