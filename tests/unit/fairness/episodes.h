// Episodes made by hand.
#pragma once

#include <mobula/rl/any_vec_env.h>

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

namespace mobula::rl {

/// An episode whose main street waited `main` seconds and whose side street `side` seconds, vehicle by vehicle.
inline EpisodeEnd episode(std::uint32_t number, const std::vector<double>& main, const std::vector<double>& side) {
  EpisodeEnd end;
  end.env = number;
  for (const auto& [group, waits] :
       {std::pair<std::string_view, const std::vector<double>&>{"main", main}, {"side", side}}) {
    for (const double wait : waits) {
      end.report.add_sample("wait", "", static_cast<std::int64_t>(wait * 1000));
      end.report.add_sample("wait", group, static_cast<std::int64_t>(wait * 1000));
    }
  }
  return end;
}

inline EnvironmentInfo two_streets() {
  EnvironmentInfo info;
  info.reports = true;
  info.cost_names = {"waiting_main", "waiting_side"};
  info.group_names = {"main", "side"};
  info.group_sets = {{"street", {"main", "side"}, {0, 1}}};
  return info;
}

}  // namespace mobula::rl
