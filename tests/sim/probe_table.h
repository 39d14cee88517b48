// The table of docs/internals/faults.md that says, for each scenario, in how many of its runs each rare branch was met.
// The simulator follows from its seed, so the same runs give the same numbers.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace mobula::sim {

/// The row of a scenario: its runs, and how many of them reached each probe.
std::string probe_row(const std::string& scenario, std::uint64_t runs, const std::map<std::string, std::uint64_t>& in);
/// The rows that the page has, by scenario.
std::map<std::string, std::string> probe_rows_of_page();
/// Puts a row in the place of that scenario, or where it belongs. Several processes may do so at a time.
void write_probe_row(const std::string& scenario, const std::string& row);
/// Takes out the rows of scenarios that are no more.
void keep_probe_rows(const std::set<std::string>& scenarios);

/// Every probe that the simulator's sources name.
std::set<std::string> probes_of_sources();

}  // namespace mobula::sim
