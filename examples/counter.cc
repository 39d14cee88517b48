// An environment with groups, so that fairness can be measured, limited and gated in it:
//
//   counter train counter.yaml
//   counter evaluate runs/counter-1 --gate
#include <mobula/cli.h>
#include <mobula/fields.h>
#include <mobula/rl/environment.h>

#include <array>
#include <span>
#include <string_view>
#include <vector>

using mobula::rl::Discrete;

/// One clerk, two lines: quick errands and long ones. A step serves one customer (a minute if nobody is there); an
/// episode is a day of eight hours. Serving quick errands first makes the sum of all waits small, and some wait long.
struct Counter {
  struct Config {
    double quick_arrivals = 0.45, long_arrivals = 0.08;
    int quick_minutes = 1, long_minutes = 4;
    void describe(mobula::Fields& f) {
      f("quick_arrivals", quick_arrivals, {.unit = "1/min", .min = 0, .max = 1, .help = "Quick customers a minute."});
      f("long_arrivals", long_arrivals, {.unit = "1/min", .min = 0, .max = 1, .help = "Long customers a minute."});
      f("quick_minutes", quick_minutes,
        {.unit = "min", .min = 1, .max = 60, .help = "Time that a quick errand takes."});
      f("long_minutes", long_minutes, {.unit = "min", .min = 1, .max = 60, .help = "Time that a long errand takes."});
    }
    // Asked before a constrained run: why nothing could keep any limit.
    std::string overload() const {
      const double busy = quick_arrivals * quick_minutes + long_arrivals * long_minutes;
      return busy < 1 ? "" : "the clerk would have to work " + std::to_string(busy) + " minutes a minute";
    }
  };
  using Observation = std::array<float, 4>;
  using Action = Discrete<2>;  // which line is served next

  explicit Counter(const Config& c) : config(c) {}

  Observation reset(mobula::Random& random) {
    minute = 0;
    for (auto& line : lines) line.clear();
    for (auto& all : waits) all.clear();
    pass(random);
    return observe();
  }

  mobula::rl::Step<Observation> step(const Action& action, mobula::Random& random) {
    waited = {};
    const int line = lines[action.index].empty() ? 1 - action.index : action.index;
    int minutes = 1;
    if (!lines[line].empty()) {
      waits[line].push_back(minute - lines[line].front());
      lines[line].erase(lines[line].begin());
      minutes = line == 0 ? config.quick_minutes : config.long_minutes;
    }
    for (; minutes > 0; --minutes) pass(random);
    return {observe(), -(waited[0] + waited[1]) / 10.0, false, minute >= 480};
  }

  // [groups]
  // What a step costs besides the reward, and whom: the minutes that each line waited in it.
  static constexpr std::array<std::string_view, 2> cost_names{"quick_wait", "long_wait"};
  static constexpr std::array<std::string_view, 2> group_names{"quick", "long"};
  mobula::rl::Annotation<2> annotate() const { return {.cost = waited, .group = {0, 1}}; }

  // What an episode says at its end: the wait of each customer, in thousandths, over all and of each group.
  void report(mobula::rl::EpisodeReport& out) const {
    for (std::size_t line = 0; line < 2; ++line) {
      for (const std::string_view group : {std::string_view(), group_names[line]}) {
        for (const int wait : waits[line]) out.add_sample("wait", group, 1000 * wait);
        for (const int since : lines[line]) out.add_sample("wait", group, 1000 * (minute - since));
        out.add_total("served", group, 1000 * static_cast<std::int64_t>(waits[line].size()));
      }
    }
  }
  // [/groups]

  static std::span<const mobula::rl::Baseline<Counter>> baselines() {
    static constexpr mobula::rl::Baseline<Counter> all[] = {
        {"quick_first", [](const Counter&) { return Action{0}; }},
        {"first_come", [](const Counter& c) { return Action{c.longest(0) >= c.longest(1) ? 0 : 1}; }}};
    return all;
  }

  // All that changes after construction, so that training resumes exactly.
  template <class Archive>
  void serialize(Archive& archive) {
    archive(minute, lines, waits, waited);
  }

  void pass(mobula::Random& random) {
    for (std::size_t line = 0; line < 2; ++line) {
      waited[line] += static_cast<float>(lines[line].size());
      if (random.uniform() < (line == 0 ? config.quick_arrivals : config.long_arrivals)) lines[line].push_back(minute);
    }
    ++minute;
  }
  int longest(int line) const { return lines[line].empty() ? 0 : minute - lines[line].front(); }
  Observation observe() const {
    return {static_cast<float>(lines[0].size()) / 10, static_cast<float>(lines[1].size()) / 10,
            static_cast<float>(longest(0)) / 30, static_cast<float>(longest(1)) / 30};
  }

  Config config;
  int minute = 0;
  std::array<std::vector<int>, 2> lines;  // when each customer came, the first in line first
  std::array<std::vector<int>, 2> waits;  // of those that were served
  std::array<float, 2> waited{};          // in the last step
};

int main(int argc, char** argv) {
  mobula::rl::register_environment<Counter>("counter");
  return mobula::command_line(argc, argv);
}
