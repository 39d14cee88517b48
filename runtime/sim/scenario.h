// A scenario: a cluster, a workload and faults, as text (tests/scenarios/*.scenario); a run of it from one seed.
//
//     nodes 3                      machines; the first has the driver and the head
//     cpus 2                       of each
//     head 2                       which of them has the head; without it the first, with the driver
//     network loss 0.2 doubling 0.1 delay_ms 5
//     slow node 2 factor 50
//     work leaf 12 nested 2 ...    how many calls of each kind (see the list in scenario.cc)
//     store 5                      large objects that fit into the memory of each; without it: any number
//     memory 250                   MB of each machine, of which a hungry call takes 100; without it: any number
//     disk objects 8 ms 20 failure 0.1 damage 0.1     what finds no room there goes to a disk like this
//     status 4                     how often some node asks the head how the cluster stands
//     within_ms 20                 the work is submitted, and the faults happen, in this time
//     fault kill_worker 3          ... or: crash_node 1, cancel 5, forced 0.3, start_failure 0.2
//     fault pause 2 for_ms 8000    a machine stands still for up to so long; or: cut 1 (the way between two machines,
//     one
//                                  way or both), clock_jump 1 (of a machine's clock, by up to as much)
//     fault restart_head 1 away_ms 3000      the head's machine dies, and after up to so long another head takes its
//                                  place
//     actor restarts 2             of the actors
//     allow worker_died ...        errors in which calls may end, besides those that the work asks for
//     expect network.lost ...      each must have happened somewhere in the seeds that were run
//     seeds 12342 62472            once failed, beyond those that every run of the tests has: they are run as well
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/sim/world.h"

namespace mobula::sim {

struct Scenario {
  std::string name;
  WorldOptions world;
  std::map<std::string, int> work;
  int status = 0;
  double within_ms = 20;
  int kill_workers = 0;
  int crash_nodes = 0;
  int pauses = 0;
  int cuts = 0;
  int clock_jumps = 0;
  double for_ms = 1000;  // at most, each of these
  int restart_heads = 0;
  double away_ms = 1000;  // at most
  int cancels = 0;
  double forced = 0;  // of the cancellations: these kill the worker, with all that it owns
  int actor_restarts = 0;
  std::set<std::string> allowed;
  std::vector<std::string> expected;
  std::vector<std::uint64_t> seeds;  // besides the first ones
};

/// The error names the line.
Result<Scenario> parse_scenario(const std::string& name, const std::string& text);

struct Outcome {
  std::vector<Violation> violations;
  std::map<std::string, std::uint64_t> probes;
};
Outcome run_scenario(const Scenario& scenario, std::uint64_t seed, bool trace = false);

}  // namespace mobula::sim
