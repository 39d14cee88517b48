// Every case of tests/scenarios/scheduler/*.txt. A file is cases of lines:
//
//     case a title, what must hold                 begins a case; everything before is forgotten
//     node a cpu 4 used 2 queued 1 zone=a          a member; amounts are totals, `used` of cpu, `passing` with a driver
//     group pair a b -                             a placement group: the node of each bundle, "-" where there is none
//     yet group pair ended it was removed              ... or why it is no more members unknown the head has not told
//     yet ask cpu 1 from a -> grant a: less than half  a request of an owner on a, decided there, and what must come of
//     it:
//                                                  the verdict, the node (not for infeasible), and words of the reason
//     free a cpu 1                                 something is given back
//
// After "from": sent, spread, on NODE, soft, near NODE BYTES, avoid NODE, order N, durable, in GROUP [N], KEY=VALUE.
// What was granted or sent somewhere is in use there for the next line; several requests at once are "ask 3 x cpu 1
// ...", with the nodes in order.
#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "scheduler/policies/policy.h"
#include "tests/support/paths.h"

namespace mobula::scheduler {
namespace {

const std::filesystem::path folder = tests::source_dir() / "tests/scenarios/scheduler";

struct Case {
  std::string title;
  std::vector<std::pair<int, std::string>> lines;
};

std::vector<Case> cases_of(const std::filesystem::path& path) {
  std::vector<Case> cases;
  std::ifstream file(path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(' ') == std::string::npos) continue;
    if (line.starts_with("case ")) {
      cases.push_back({line.substr(5), {}});
    } else if (!cases.empty()) {
      cases.back().lines.emplace_back(number, line);
    }
  }
  return cases;
}

class Runner {
 public:
  void run(const Case& each) {
    for (const auto& [number, line] : each.lines) {
      SCOPED_TRACE("line " + std::to_string(number) + ": " + line);
      std::istringstream words(line);
      std::string what;
      words >> what;
      if (what == "node") {
        node(words);
      } else if (what == "group") {
        group(words);
      } else if (what == "members") {
        complete_ = false;
      } else if (what == "free") {
        std::string name, resource;
        double amount = 0;
        words >> name >> resource >> amount;
        named(name).available += of(resource, amount);
      } else if (what == "ask") {
        ask(words, line.substr(line.find("->") + 2));
      } else {
        FAIL() << "unknown word " << what;
      }
    }
  }

 private:
  static Resources of(const std::string& name, double amount) {
    Resources resources;
    resources.set(name, std::llround(amount * Resources::unit));
    return resources;
  }
  NodeView& named(const std::string& name) {
    for (NodeView& node : nodes_) {
      if (node.name == name) return node;
    }
    ADD_FAILURE() << "no node " << name;
    return nodes_.front();
  }

  void node(std::istringstream& words) {
    NodeView node;
    words >> node.name;
    node.node = {static_cast<std::uint64_t>(node.name.front())};
    Resources used;
    for (std::string word; words >> word;) {
      double amount = 0;
      if (word == "queued") {
        words >> node.queued;
      } else if (word == "passing") {
        node.passing = true;
      } else if (word == "used") {
        words >> amount;
        used += of("cpu", amount);
      } else if (const std::size_t equal = word.find('='); equal != std::string::npos) {
        node.labels[word.substr(0, equal)] = word.substr(equal + 1);
      } else {
        words >> amount;
        node.total += of(word, amount);
      }
    }
    node.available = node.total;
    node.available -= used;
    nodes_.push_back(std::move(node));
  }

  wire::GroupId group_called(const std::string& name) {
    const auto [found, is_new] = groups_.try_emplace(name, groups_.size() + 1);
    return {{}, static_cast<std::uint32_t>(found->second)};
  }

  void group(std::istringstream& words) {
    wire::GroupView view;
    std::string name;
    words >> name;
    view.id = group_called(name);
    for (std::string word; words >> word;) {
      if (word == "ended") {
        std::getline(words >> std::ws, view.ended);
      } else {
        view.nodes.push_back(word == "-" ? NodeId{} : named(word).node);
      }
    }
    group_views_.push_back(std::move(view));
  }

  void ask(std::istringstream& words, const std::string& expectation) {
    Request request;
    std::string self;
    int times = 1;
    for (std::string word; words >> word && word != "->";) {
      double amount = 0;
      std::string name;
      if (word == "from") {
        words >> self;
      } else if (word == "sent") {
        request.may_redirect = false;
      } else if (word == "spread") {
        request.placement.spread = true;
      } else if (word == "on") {
        words >> request.placement.node;
      } else if (word == "soft") {
        request.placement.soft = true;
      } else if (word == "durable") {
        request.placement.durable = true;
      } else if (word == "near") {
        words >> name >> amount;
        request.near = named(name).node;
        request.near_bytes = static_cast<std::uint64_t>(amount);
      } else if (word == "avoid") {
        words >> name;
        request.avoid.push_back(named(name).node);
      } else if (word == "order") {
        words >> request.order;
      } else if (word == "in") {
        words >> name;
        request.placement.group = group_called(name);
        if (std::isdigit((words >> std::ws).peek())) words >> request.placement.bundle;
      } else if (const std::size_t equal = word.find('='); equal != std::string::npos) {
        request.placement.labels[word.substr(0, equal)] = word.substr(equal + 1);
      } else if (word == "nothing") {
      } else if (std::isdigit(word.front())) {
        times = std::stoi(word);
        words >> word;
      } else {
        words >> amount;
        request.resources += of(word, amount);
      }
    }
    std::istringstream expected(expectation);
    std::string verdict;
    expected >> verdict;
    if (verdict.ends_with(':')) verdict.pop_back();
    for (int i = 0; i < times; ++i, ++request.order) {
      View view{named(self).node, complete_, nodes_, group_views_};
      const Decision decision = decide(view, request);
      EXPECT_EQ(to_string(decision.verdict), verdict) << decision.reason;
      if (decision.node) {
        std::string there;
        expected >> there;
        if (there.ends_with(':')) there.pop_back();
        NodeView& chosen =
            *std::find_if(nodes_.begin(), nodes_.end(), [&](auto& n) { return n.node == decision.node; });
        EXPECT_EQ(chosen.name, there) << "request " << i + 1 << ": " << decision.reason;
        if (decision.verdict != Verdict::queue) chosen.available -= request.resources;
      }
      EXPECT_FALSE(decision.reason.empty());
      if (const std::size_t colon = expectation.find(": "); colon != std::string::npos) {
        EXPECT_NE(decision.reason.find(expectation.substr(colon + 2)), std::string::npos)
            << "the reason is: " << decision.reason;
      }
    }
  }

  std::vector<NodeView> nodes_;
  std::vector<wire::GroupView> group_views_;
  std::map<std::string, std::size_t> groups_;
  bool complete_ = true;
};

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) found.push_back(entry.path().stem());
  std::sort(found.begin(), found.end());
  return found;
}

class SchedulerScenarios : public testing::TestWithParam<std::string> {};

TEST_P(SchedulerScenarios, DecideAsWritten) {
  const std::vector<Case> cases = cases_of(folder / (GetParam() + ".txt"));
  EXPECT_FALSE(cases.empty());
  for (const Case& each : cases) {
    SCOPED_TRACE(GetParam() + ".txt: " + each.title);
    Runner().run(each);
  }
}

INSTANTIATE_TEST_SUITE_P(Of, SchedulerScenarios, testing::ValuesIn(names()),
                         [](const auto& each) { return each.param; });

TEST(SchedulerScenarioFiles, AreManyCases) {
  std::size_t count = 0;
  for (const std::string& name : names()) count += cases_of(folder / (name + ".txt")).size();
  EXPECT_GE(count, 60u);
}

}  // namespace
}  // namespace mobula::scheduler
