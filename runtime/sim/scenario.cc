#include "runtime/sim/scenario.h"

#include <sstream>

namespace mobula::sim {

namespace {

const std::set<std::string>& kinds_of_work() {
  static const std::set<std::string> kinds{
      "leaf",      "chain",  "nested",  "fail",    "make_ref",  "use_ref",    "large",  "spawn",
      "actor",     "store",  "share",   "linger",  "die_once",  "kill_actor", "broken", "large_child",
      "store_far", "stream", "flaky",   "recycle", "last_word", "claim",      "group",  "circle",
      "hoard",     "resume", "lineage", "copied",  "kept",      "hungry",     "named",  "lasting_group"};
  return kinds;
}

Error parse_error(int line, const std::string& what) {
  Error error;
  error.code = ErrorCode::invalid;
  error.message = "line " + std::to_string(line) + ": " + what;
  return error;
}

}  // namespace

Result<Scenario> parse_scenario(const std::string& name, const std::string& text) {
  Scenario scenario;
  scenario.name = name;
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    line = line.substr(0, line.find('#'));
    std::istringstream words(line);
    std::string key;
    if (!(words >> key)) continue;
    std::string word;
    bool complete = true;
    const auto read = [&](auto& value) { complete = static_cast<bool>(words >> value) && complete; };
    if (key == "nodes") {
      read(scenario.world.nodes);
    } else if (key == "cpus") {
      read(scenario.world.cpus);
    } else if (key == "head") {
      read(scenario.world.head);
      if (scenario.world.head == 0 || scenario.world.head > scenario.world.nodes) {
        return parse_error(number, "the head's node is one of the nodes, which are named before");
      }
    } else if (key == "status") {
      read(scenario.status);
    } else if (key == "within_ms") {
      read(scenario.within_ms);
    } else if (key == "lane_calls") {
      read(scenario.world.lane_calls);
    } else if (key == "network") {
      while (words >> word) {
        if (word == "loss") {
          read(scenario.world.loss);
        } else if (word == "doubling") {
          read(scenario.world.doubling);
        } else if (word == "delay_ms") {
          read(scenario.world.longest_delay_ms);
        } else {
          return parse_error(number, "the network has no '" + word + "', but loss, doubling, delay_ms");
        }
      }
    } else if (key == "store") {
      read(scenario.world.store_objects);
    } else if (key == "memory") {
      read(scenario.world.memory_mb);
    } else if (key == "disk") {
      while (words >> word) {
        if (word == "objects") {
          read(scenario.world.disk_objects);
        } else if (word == "ms") {
          read(scenario.world.disk_ms);
        } else if (word == "failure") {
          read(scenario.world.disk_failure);
        } else if (word == "damage") {
          read(scenario.world.disk_damage);
        } else {
          return parse_error(number, "the disk has no '" + word + "', but objects, ms, failure, damage");
        }
      }
    } else if (key == "slow") {
      read(word);
      read(scenario.world.slow_node);
      read(word);
      read(scenario.world.slowness);
    } else if (key == "work") {
      while (words >> word) {
        if (!kinds_of_work().contains(word)) return parse_error(number, "there is no work '" + word + "'");
        read(scenario.work[word]);
      }
    } else if (key == "fault") {
      while (words >> word) {
        if (word == "kill_worker") {
          read(scenario.kill_workers);
        } else if (word == "crash_node") {
          read(scenario.crash_nodes);
        } else if (word == "pause") {
          read(scenario.pauses);
        } else if (word == "cut") {
          read(scenario.cuts);
        } else if (word == "clock_jump") {
          read(scenario.clock_jumps);
        } else if (word == "restart_head") {
          read(scenario.restart_heads);
        } else if (word == "away_ms") {
          read(scenario.away_ms);
        } else if (word == "for_ms") {
          read(scenario.for_ms);
        } else if (word == "cancel") {
          read(scenario.cancels);
        } else if (word == "forced") {
          read(scenario.forced);
        } else if (word == "start_failure") {
          read(scenario.world.start_failure);
        } else {
          return parse_error(number, "there is no fault '" + word + "'");
        }
      }
    } else if (key == "actor") {
      read(word);
      read(scenario.actor_restarts);
    } else if (key == "allow") {
      while (words >> word) scenario.allowed.insert(word);
    } else if (key == "expect") {
      while (words >> word) scenario.expected.push_back(word);
    } else if (key == "seeds") {
      for (std::uint64_t seed = 0; words >> seed;) scenario.seeds.push_back(seed);
      complete = words.eof() && !scenario.seeds.empty();
    } else {
      return parse_error(number, "unknown key '" + key + "'");
    }
    if (!complete) return parse_error(number, "'" + key + "' lacks a number");
  }
  if (scenario.restart_heads != 0 && scenario.world.head == 1) {
    return parse_error(0, "the head that is to be restarted must not be with the driver: say 'head 2'");
  }
  return scenario;
}

}  // namespace mobula::sim
