// Every file of tests/scenarios, over 5,000 seeds each; with sanitizers, and by MOBULA_SIM_SEEDS, over another number.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runtime/sim/scenario.h"
#include "tests/sim/probe_table.h"
#include "tests/support/paths.h"

namespace mobula::sim {
namespace {

const std::filesystem::path folder = tests::source_dir() / "tests/scenarios";

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".scenario") found.push_back(entry.path().stem());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

#if defined(__SANITIZE_ADDRESS__)
constexpr std::uint64_t seeds_by_default = 1000;
#elif defined(__SANITIZE_THREAD__)
constexpr std::uint64_t seeds_by_default = 200;  // one thread, fifteen times slower
#else
constexpr std::uint64_t seeds_by_default = 5000;
#endif

constexpr std::uint64_t runs_of_page = 200;  // those that docs/internals/faults.md tells of, the same in every build

class ScenarioTest : public testing::TestWithParam<std::string> {};

TEST_P(ScenarioTest, KeepsItsPromisesForEverySeed) {
  std::ifstream file(folder / (GetParam() + ".scenario"));
  std::stringstream text;
  text << file.rdbuf();
  const Result<Scenario> scenario = parse_scenario(GetParam(), text.str());
  ASSERT_TRUE(scenario.ok()) << scenario.error().message;

  const char* replayed = std::getenv("MOBULA_SIM_SEED");
  const std::uint64_t first = from_environment("MOBULA_SIM_SEED", 1);
  const std::uint64_t seeds = replayed != nullptr ? 1 : from_environment("MOBULA_SIM_SEEDS", seeds_by_default);
  const bool trace = std::getenv("MOBULA_SIM_TRACE") != nullptr;
  std::map<std::string, std::uint64_t> probes, runs_with;
  int failures = 0;
  const auto run = [&](std::uint64_t seed) {
    const Outcome outcome = run_scenario(*scenario, seed, trace);
    for (const auto& [probe, count] : outcome.probes) {
      probes[probe] += count;
      if (seed <= runs_of_page) ++runs_with[probe];
    }
    if (outcome.violations.empty()) return;
    ++failures;
    std::string what;
    for (const Violation& violation : outcome.violations) what += "\n  " + violation.what;
    ADD_FAILURE() << GetParam() << ", seed " << seed << ":" << what << "\nreplay with\n  MOBULA_SIM_SEED=" << seed
                  << " MOBULA_SIM_TRACE=1 " << tests::binary_dir().string()
                  << "/tests/sim/scenario_test --gtest_filter='*/" << GetParam() << "'";
  };
  for (std::uint64_t seed = first; seed < first + seeds && failures < 3; ++seed) run(seed);
  if (replayed == nullptr) {
    for (const std::uint64_t seed : scenario->seeds) {
      if (seed >= first + seeds && failures < 3) run(seed);
    }
  }
  if (std::getenv("MOBULA_SIM_PROBES") != nullptr) {
    for (const auto& [probe, count] : probes) std::cout << probe << " " << count << "\n";
  }
  if (first == 1 && seeds >= runs_of_page && failures == 0) {
    const std::string row = probe_row(GetParam(), runs_of_page, runs_with);
    if (std::getenv("MOBULA_UPDATE_FAULTS") != nullptr) write_probe_row(GetParam(), row);
    EXPECT_EQ(probe_rows_of_page()[GetParam()], row)
        << "docs/internals/faults.md: MOBULA_UPDATE_FAULTS=1 writes it anew, which is right when what is simulated "
           "changed";
  }
  if (seeds < 1000) return;  // fewer need not meet every branch
  // A scenario whose faults did not happen proves nothing.
  for (const std::string& probe : scenario->expected) {
    EXPECT_GT(probes[probe], 0u) << "in no run did this happen: " << probe;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, ScenarioTest, testing::ValuesIn(names()), [](const auto& each) { return each.param; });

// A row that a test compares for each scenario, none for another, and no rare branch that only the sources know.
TEST(ProbeTable, HasARowOfEveryScenarioAndReachesEveryProbe) {
  const std::vector<std::string> all = names();
  const std::set<std::string> wanted(all.begin(), all.end());
  if (std::getenv("MOBULA_UPDATE_FAULTS") != nullptr) keep_probe_rows(wanted);
  std::set<std::string> with_rows;
  std::string text;
  for (const auto& [scenario, row] : probe_rows_of_page()) {
    with_rows.insert(scenario);
    text += row;
  }
  EXPECT_EQ(with_rows, wanted) << "docs/internals/faults.md: MOBULA_UPDATE_FAULTS=1 writes the rows anew";
  const std::set<std::string> probes = probes_of_sources();
  EXPECT_GT(probes.size(), 40u) << "the sources were not read";
  for (const std::string& probe : probes) {
    EXPECT_NE(text.find(" " + probe + " "), std::string::npos) << "no scenario reaches " << probe;
  }
}

TEST(Scenario, NamesTheLineThatItCannotRead) {
  const auto bad = parse_scenario("bad", "nodes 2\nfault meteor 3\n");
  ASSERT_FALSE(bad.ok());
  EXPECT_EQ(bad.error().message, "line 2: there is no fault 'meteor'");
}

}  // namespace
}  // namespace mobula::sim
