// Environments for tests.
#pragma once

#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <span>
#include <string_view>
#include <vector>

namespace mobula::rl::test {

// Has every optional member. Its state is on the heap, so that snapshots need the serialize member.
struct Everything {
  struct Config {
    int limit = 10;
    void describe(Fields& f) { f("limit", limit, {.min = 1, .help = "Steps in an episode."}); }
  };
  using Observation = std::array<float, 3>;
  using Action = Discrete<3>;
  static constexpr std::array<std::string_view, 2> cost_names{"left", "right"};
  static constexpr std::array<std::string_view, 3> group_names{"a", "b", "c"};

  explicit Everything(const Config& config) : limit(config.limit) {}
  Observation reset(Random& random) {
    history = {static_cast<int>(random.below(100))};
    return observe();
  }
  Step<Observation> step(const Action& action, Random& random) {
    history.push_back(action.index + static_cast<int>(random.below(5)));
    const int steps = static_cast<int>(history.size()) - 1;
    return {observe(), static_cast<double>(history.back()), random.below(40) == 0, steps >= limit};
  }
  Annotation<2> annotate() const { return {{static_cast<float>(history.back()), 0.5f}, {history.back() % 3, 2}}; }
  void report(EpisodeReport& report) const {
    for (const int h : history) report.add_sample("history", h % 2 ? "odd" : "even", h * 1000);
    report.add_total("steps", "", 1000 * (static_cast<int>(history.size()) - 1));
  }
  static std::span<const Baseline<Everything>> baselines() {
    static constexpr Baseline<Everything> all[] = {
        {"first", [](const Everything&) { return Action{0}; }},
        {"follow", [](const Everything& e) { return Action{e.history.back() % 3}; }},
    };
    return all;
  }
  // The action that equals the number of steps modulo 4, where that is one, is not allowed.
  std::array<bool, 3> action_mask() const {
    std::array<bool, 3> mask{true, true, true};
    if (const std::size_t k = history.size() % 4; k < 3) mask[k] = false;
    return mask;
  }
  std::string render_text() const { return "history of " + std::to_string(history.size()); }
  template <class A>
  void serialize(A& archive) {
    archive(history);
  }

  int limit;
  std::vector<int> history;

 private:
  Observation observe() const {
    return {static_cast<float>(history.size()), static_cast<float>(history.back()), static_cast<float>(history[0])};
  }
};

// The observation names one of 2 and one of 3; reward 1/2 for each of them that the action repeats. The third of the
// second choice is never right and not allowed.
struct TwoChoices {
  struct Config {
    void describe(Fields&) {}
  };
  using Observation = std::array<float, 2>;
  using Action = MultiDiscrete<2, 3>;
  explicit TwoChoices(const Config&) {}
  Observation reset(Random& random) {
    steps = 0;
    return draw(random);
  }
  Step<Observation> step(const Action& action, Random& random) {
    const double reward = 0.5 * (action.index[0] == goal[0]) + 0.5 * (action.index[1] == goal[1]);
    const Observation next = draw(random);
    return {next, reward, false, ++steps >= 20};
  }
  std::array<bool, 5> action_mask() const { return {true, true, true, true, false}; }

  std::array<int, 2> goal{};
  int steps = 0;

 private:
  Observation draw(Random& random) {
    for (int& g : goal) g = static_cast<int>(random.below(2));
    return {static_cast<float>(goal[0]), static_cast<float>(goal[1])};
  }
};

// The observation marks one of 3 at random; reward 1 for naming the mark of the step before. Without memory a third of
// the answers is right.
struct Recall {
  struct Config {
    void describe(Fields&) {}
  };
  using Observation = std::array<float, 3>;
  using Action = Discrete<3>;
  explicit Recall(const Config&) {}
  Observation reset(Random& random) {
    steps = 0;
    before = -1;
    return draw(random);
  }
  Step<Observation> step(const Action& action, Random& random) {
    const double reward = action.index == before ? 1.0 : 0.0;
    before = shown;
    const Observation next = draw(random);
    return {next, reward, false, ++steps >= 21};
  }
  int shown = 0, before = -1, steps = 0;

 private:
  Observation draw(Random& random) {
    shown = static_cast<int>(random.below(3));
    Observation observation{};
    observation[shown] = 1.0f;
    return observation;
  }
};

// One state, reward 1 for ever; a time limit of 10.
struct Forever {
  struct Config {
    void describe(Fields&) {}
  };
  using Observation = std::array<float, 1>;
  using Action = Discrete<2>;
  explicit Forever(const Config&) {}
  Observation reset(Random&) {
    steps = 0;
    return {1.0f};
  }
  Step<Observation> step(const Action&, Random&) { return {{1.0f}, 1.0, false, ++steps == 10}; }
  int steps = 0;
};

}  // namespace mobula::rl::test
