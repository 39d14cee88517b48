// A metric, a constraint and a reward term of one's own, on the crossing of intersection.yaml:
//
//   own_constraint 1000000      steps to train
#include <mobula/rl/train.h>
#include <mobula/runtime.h>

#include <algorithm>
#include <iostream>
#include <string>

using mobula::rl::EpisodeReport;
using mobula::rl::GroupTotals;
using mobula::rl::StepView;

// [metric]
// A metric: how many vehicles waited more than two minutes. It runs in the workers, so it is a function with a name.
void forgotten(EpisodeReport& report) {
  for (const std::string_view street : {"", "main", "side"}) {
    const auto* wait = report.find("wait", street);
    const auto count =
        wait ? std::count_if(wait->milli.begin(), wait->milli.end(), [](auto ms) { return ms > 120'000; }) : 0;
    report.add_total("forgotten", street, 1000 * count);
  }
}
// [/metric]

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  mobula::rl::TrainOptions options{.experiment = "own_constraint",
                                   .env = *mobula::rl::find_environment("intersection")};
  options.algorithm = mobula::rl::PpoOptions{
      .lr = 1e-3, .lr_schedule = "linear", .n_envs = 8, .n_steps = 512, .batch_size = 512, .normalize_reward = true};
  options.stop.env_steps = argc > 1 ? std::stoll(argv[1]) : 1'000'000;
  options.evaluate = {.episodes = 50, .baselines = {"fixed_time"}};

  // [hooks]
  options.fairness.metrics = {mobula::function<&forgotten>()};

  // A constraint: the side street waits at most twice as long as the main street, with what a step adds to the side's.
  options.fairness.own = {
      {.name = "wait_ratio",
       .statistic = [](const GroupTotals& totals) { return totals.mean("wait", "side") / totals.mean("wait", "main"); },
       .penalty = [](const StepView& step) { return step.costs[2] + step.costs[3]; }}};
  options.fairness.constraints = {{.metric = "wait_ratio", .at_most = 2.5}};

  // A reward term: changing the light costs a little, because drivers dislike it.
  options.fairness.reward_terms = {
      [](const StepView& step) { return step.action[0] == step.observation[1] ? 0.0 : -0.02; }};
  // [/hooks]

  const auto result = mobula::rl::train(options);
  for (const auto& policy : result.policies) {
    const auto* ratio = mobula::rl::find(policy.metrics, "wait_ratio");
    std::cout << policy.policy << ": wait_ratio " << ratio->value << " [" << ratio->low << ", " << ratio->high << "], "
              << mobula::rl::find(policy.metrics, "forgotten")->value << " forgotten an hour, "
              << to_string(overall(policy.constraints)) << '\n';
  }
}
