// Every fault on every kind of work, on real processes: what the caller gets, what the error says, and that nothing is
// left. The outcomes are the table of docs/internals/faults.md; MOBULA_UPDATE_FAULTS=1 writes it anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <thread>

#include "tests/cluster/nodes/child.h"
#include "tests/cluster/nodes/leftovers.h"
#include "tests/cluster/nodes/namespaces.h"
#include "tests/support/paths.h"

namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::IsEmpty;

using Clock = std::chrono::steady_clock;

const std::vector<std::string> kinds = {"task",         "nested task",     "actor call", "generator",
                                        "borrowed ref", "placement group", "put object"};

/// What is expected of one piece of work: "value 6", or the code of an error and words that its message must have.
struct Outcome {
  std::string code;
  std::vector<std::string> words{};
};
/// In the table: what the error says was the cause, where that is another one's.
std::string shown(const Outcome& outcome) {
  if (outcome.code.starts_with("value")) return "value";
  const std::string caused = "caused by: ";
  const bool inner = !outcome.words.empty() && outcome.words[0].starts_with(caused);
  return "`" + (inner ? outcome.words[0].substr(caused.size()) : outcome.code) + "`";
}
/// Without retries, and with them.
struct Pair {
  Outcome bare, kept;
};
const Outcome value{"value 6"};

// A head without cpus and the driver on one machine; on the other one the node that all the work goes to; later a node
// beside the head, where it can go then.
class Faults : public testing::Test {
 protected:
  void start(const std::string& caller, const std::string& body, double loss = 0,
             std::vector<std::string> options = {}) {
    before_ = leftovers();
    ASSERT_THAT(processes_of(FAULTS_PROGRAM), IsEmpty()) << "of an earlier test";
    machines_ = std::make_unique<TwoMachines>(loss);
    if (!machines_->why_not().empty()) {
      std::fprintf(stderr, "\n*** NOT TESTED: two nodes need two network name spaces: %s\n\n",
                   machines_->why_not().c_str());
      GTEST_SKIP() << machines_->why_not();
    }
    char name[] = "/tmp/mobula_faults_XXXXXX";
    ASSERT_NE(mkdtemp(name), nullptr);
    folder_ = name;
    std::filesystem::create_directories(folder_ / "work");
    head_ = member(0, "head", {"head", "--port", "6390", "--cpus", "0"});
    ASSERT_NE(head_->wait_for("mobula head:"), "") << head_->output();
    options.insert(options.begin(), {"node", "--join", address(), "--cpus", "24"});
    far_ = member(1, "far", options);
    ASSERT_NE(far_->wait_for("joined the cluster"), "") << far_->output();
    driver_ = std::make_unique<Child>(machines_->on(0, {"env", "MOBULA_ADDRESS=" + address(), "MOBULA_KEYS=" + keys(),
                                                        FAULTS_PROGRAM, folder_ / "work", caller, body}));
    ASSERT_NE(driver_->wait_for("submitted", 60s), "") << driver_->output() << far_->output();
    const auto latest = Clock::now() + 60s;
    for (const std::string& kind : kinds) {
      for (const char* variant : {".bare", ".kept"}) {
        while (!process(kind + variant)) {
          ASSERT_LT(Clock::now(), latest) << kind << variant << " did not begin\n"
                                          << driver_->output() << far_->output();
          std::this_thread::sleep_for(5ms);
        }
      }
    }
    near_ = member(0, "near", {"node", "--join", address(), "--cpus", "24"});
    ASSERT_NE(near_->wait_for("joined the cluster"), "") << near_->output();
  }

  void TearDown() override {
    if (HasFailure() && driver_) {
      std::cerr << "driver:\n" << driver_->output() << "head:\n" << head_->output() << "far:\n" << far_->output();
    }
    driver_.reset();
    for (auto* node : {&far_, &near_, &head_}) {
      if (!*node) continue;
      (*node)->signal(SIGCONT);
      (*node)->signal(SIGTERM);
      (*node)->wait(20s);
      node->reset();
    }
    std::error_code ignored;
    if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
    machines_.reset();
    EXPECT_THAT(wait_until_gone(FAULTS_PROGRAM, 2s), IsEmpty());
    EXPECT_THAT(left_since(before_, "faults_program"), IsEmpty());
  }

  std::string address() const { return machines_->address(0) + ":6390"; }
  std::string keys() const { return folder_ / "keys"; }

  /// The process that a piece of work began in last.
  std::optional<pid_t> process(const std::string& piece) const {
    std::ifstream file(folder_ / "work" / piece);
    pid_t pid = 0;
    return file >> pid ? std::optional(pid) : std::nullopt;
  }
  /// Lets all work end.
  void go() const { std::ofstream(folder_ / "work" / "go") << "go\n"; }

  /// Reads what the driver got, compares, and writes or compares the table's row.
  void outcomes(const std::string& fault, const std::map<std::string, Pair>& expected) {
    ASSERT_NE(driver_->wait_for("end", 90s), "");
    const std::string said = driver_->output();
    std::string row = "| " + fault;
    for (const std::string& kind : kinds) {
      const auto cell = expected.find(kind);
      ASSERT_NE(cell, expected.end()) << kind;
      std::string codes[2];
      for (const bool kept : {false, true}) {
        const Outcome& wanted = kept ? cell->second.kept : cell->second.bare;
        const std::string name = kind + (kept ? ".kept: " : ".bare: ");
        const auto begin = said.find("\n" + name);
        ASSERT_NE(begin, std::string::npos) << name;
        const auto from = begin + 1 + name.size();
        const std::string got = said.substr(from, said.find('\n', from) - from);
        SCOPED_TRACE(fault + ", " + name);
        EXPECT_TRUE(got == wanted.code || got.starts_with(wanted.code + " ")) << got;
        for (const std::string& words : wanted.words) EXPECT_THAT(got, HasSubstr(words));
        codes[kept] = shown(wanted);
      }
      row += " | " + codes[0] + (codes[0] == codes[1] ? "" : ", " + codes[1]);
    }
    in_the_docs(fault, row + " |");
  }

  static void in_the_docs(const std::string& fault, const std::string& row) {
    const auto page = tests_page();
    std::ifstream file(page);
    std::string text, line;
    bool found = false;
    while (std::getline(file, line)) {
      if (line.starts_with("| " + fault + " |")) {
        found = true;
        if (std::getenv("MOBULA_UPDATE_FAULTS") != nullptr) {
          line = row;
        } else {
          EXPECT_EQ(line, row) << "of " << page << ": MOBULA_UPDATE_FAULTS=1 writes it anew";
        }
      }
      text += line + "\n";
    }
    EXPECT_TRUE(found) << page << " has no row '" << fault << "'";
    if (std::getenv("MOBULA_UPDATE_FAULTS") != nullptr) std::ofstream(page) << text;
  }
  static std::filesystem::path tests_page() { return mobula::tests::source_dir() / "docs/internals/faults.md"; }

  /// Prints how long the head took to see that the other machine was gone.
  void await_end_of_far(Clock::time_point since) {
    ASSERT_NE(head_->wait_for("is gone", 20s), "");
    const double took = std::chrono::duration<double>(Clock::now() - since).count();
    std::printf("the node's end was known after %.2f s\n", took);
    RecordProperty("detected_after_s", std::to_string(took));
  }

  std::unique_ptr<TwoMachines> machines_;
  std::filesystem::path folder_;
  std::unique_ptr<Child> head_, far_, near_, driver_;
  std::set<std::string> before_;

 private:
  std::unique_ptr<Child> member(int machine, const std::string& name, std::vector<std::string> command) {
    command.insert(command.begin(), MOBULA_PROGRAM);
    command.insert(command.end(), {"--host", machines_->address(machine), "--keys", keys(), "--name", name});
    return std::make_unique<Child>(machines_->on(machine, command));
  }
};

std::string name_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/comm");
  std::string name;
  std::getline(file, name);
  return name;
}

/// The same for all kinds but some.
std::map<std::string, Pair> all(const Pair& most, const std::map<std::string, Pair>& but = {}) {
  std::map<std::string, Pair> result = but;
  for (const std::string& kind : kinds) result.emplace(kind, most);
  return result;
}

TEST_F(Faults, WorkerKilled) {
  start("driver", "wait");
  if (IsSkipped()) return;
  for (const std::string& kind : kinds) {
    for (const char* variant : {".bare", ".kept"}) kill(*process(kind + variant), SIGKILL);
  }
  go();
  const Outcome died{"worker_died", {"killed by SIGKILL"}};
  const Outcome actor_died{"actor_died", {"killed by SIGKILL"}};
  const Outcome owner_died{"owner_died", {"killed by SIGKILL"}};
  const Outcome inner_died{"exception", {"caused by: worker_died", "killed by SIGKILL"}};
  outcomes("worker SIGKILL", all({died, value}, {{"nested task", {inner_died, value}},
                                                 {"generator", {inner_died, value}},
                                                 {"actor call", {actor_died, value}},
                                                 {"put object", {owner_died, value}}}));
}

TEST_F(Faults, OwningActorKilled) {
  start("actor", "wait");
  if (IsSkipped()) return;
  const std::string said = driver_->output();
  const pid_t caller = std::atoi(said.c_str() + said.find("caller ") + 7);
  kill(caller, SIGKILL);
  go();
  const Outcome owner_died{"owner_died", {"killed by SIGKILL"}};
  outcomes("actor SIGKILL (it owns the work)", all({owner_died, owner_died}, {{"put object", {owner_died, value}}}));
}

TEST_F(Faults, NodeKilled) {
  start("driver", "wait");
  if (IsSkipped()) return;
  const auto since = Clock::now();
  far_->signal(SIGKILL);
  await_end_of_far(since);
  go();
  const Outcome died{"node_died", {"was declared dead", "connection closed"}};
  const Outcome actor_died{"actor_died", {"was declared dead", "connection closed"}};
  const Outcome owner_died{"owner_died", {"was declared dead"}};
  outcomes("node SIGKILL", all({died, value}, {{"actor call", {actor_died, value}},
                                               {"borrowed ref", {owner_died, owner_died}},
                                               {"put object", {owner_died, value}}}));
  EXPECT_THAT(machines_->processes(1), IsEmpty()) << "what the dead node ran";
}

TEST_F(Faults, DriverKilled) {
  start("driver", "wait");
  if (IsSkipped()) return;
  driver_->signal(SIGKILL);
  EXPECT_TRUE(WIFSIGNALED(driver_->wait(10s)));
  // Also those that it had not begun to use. (The nodes keep the program's zygote for the next driver.)
  const auto latest = Clock::now() + 5s;
  std::vector<pid_t> workers;
  do {
    std::this_thread::sleep_for(10ms);
    workers = processes_of(FAULTS_PROGRAM);
    std::erase_if(workers, [](pid_t pid) { return name_of(pid) == "mobula-zygote"; });
  } while (!workers.empty() && Clock::now() < latest);
  EXPECT_THAT(workers, IsEmpty()) << "of the dead driver";
  go();
  std::string row = "| driver SIGKILL";
  for (std::size_t i = 0; i < kinds.size(); ++i) row += " | ended";
  in_the_docs("driver SIGKILL", row + " |");
  // The nodes are as before.
  std::filesystem::remove_all(folder_ / "work");
  std::filesystem::create_directories(folder_ / "work");
  go();
  driver_ = std::make_unique<Child>(machines_->on(0, {"env", "MOBULA_ADDRESS=" + address(), "MOBULA_KEYS=" + keys(),
                                                      FAULTS_PROGRAM, folder_ / "work", "driver", "wait"}));
  ASSERT_NE(driver_->wait_for("end", 60s), "");
  EXPECT_THAT(driver_->output(), HasSubstr("task.bare: value 6"));
}

TEST_F(Faults, MachineStopped) {
  start("driver", "wait");
  if (IsSkipped()) return;
  const auto since = Clock::now();
  const auto stopped = machines_->processes(1);
  EXPECT_GE(stopped.size(), 14u);
  for (const int pid : stopped) kill(pid, SIGSTOP);
  await_end_of_far(since);
  go();
  const Outcome died{"node_died", {"no heartbeat for"}};
  const Outcome actor_died{"actor_died", {"no heartbeat for"}};
  const Outcome owner_died{"owner_died", {"no heartbeat for"}};
  outcomes("SIGSTOP for 20 s, SIGCONT", all({died, value}, {{"actor call", {actor_died, value}},
                                                            {"borrowed ref", {owner_died, owner_died}},
                                                            {"put object", {owner_died, value}}}));
  std::this_thread::sleep_until(since + 20s);
  for (const int pid : stopped) kill(pid, SIGCONT);
  EXPECT_NE(far_->wait_for("gave this node up", 20s), "") << "it learns what became of it";
  EXPECT_NE(far_->wait_for("joined the cluster", 20s), "");
  for (const int pid : stopped) {
    EXPECT_THAT(processes_of(FAULTS_PROGRAM), testing::Not(testing::Contains(pid)))
        << "it ran when the machine stopped";
  }
}

TEST_F(Faults, NetworkCut) {
  start("driver", "wait");
  if (IsSkipped()) return;
  const auto since = Clock::now();
  machines_->cable(false);
  await_end_of_far(since);
  go();
  const Outcome died{"node_died", {"no heartbeat for"}};
  const Outcome actor_died{"actor_died", {"no heartbeat for"}};
  const Outcome owner_died{"owner_died", {"no heartbeat for"}};
  outcomes("network cut", all({died, value}, {{"actor call", {actor_died, value}},
                                              {"borrowed ref", {owner_died, owner_died}},
                                              {"put object", {owner_died, value}}}));
  machines_->cable(true);
  EXPECT_NE(far_->wait_for("gave this node up", 20s), "");
  EXPECT_NE(far_->wait_for("joined the cluster", 20s), "");
}

TEST_F(Faults, PacketsLost) {
  start("driver", "wait", 0.1);
  if (IsSkipped()) return;
  go();
  outcomes("10 % packet loss", all({value, value}));
  machines_->lossy()->stop();
  std::printf("%zu packets carried, %zu lost\n", machines_->lossy()->carried(), machines_->lossy()->lost());
  EXPECT_GT(machines_->lossy()->lost(), 10u);
}

// A file system of 8 MB.
class FullDisk : public Faults {
 protected:
  void SetUp() override {
    disk_ = std::filesystem::temp_directory_path() / ("mobula_small_disk_" + std::to_string(getpid()));
    std::filesystem::create_directories(disk_);
    mounted_ = mount("tmpfs", disk_.c_str(), "tmpfs", 0, "size=8m") == 0;
  }
  void TearDown() override {
    Faults::TearDown();
    if (mounted_) umount(disk_.c_str());
    std::filesystem::remove_all(disk_);
  }
  std::filesystem::path disk_;
  bool mounted_ = false;
};

TEST_F(FullDisk, IsAnErrorToTheOneWhoAsked) {
  if (!mounted_) {
    GTEST_SKIP() << "a small tmpfs cannot be mounted (needs root)";
  }
  start("driver", "fill", 0, {"--object-memory", "32MB", "--spill-dir", disk_});
  if (IsSkipped()) return;
  near_->signal(SIGTERM);  // all of it stays where there is no room
  EXPECT_EQ(near_->wait(20s), 0);
  go();
  const Outcome full{"disk_full", {"No space left", disk_}};
  const Outcome inner_full{"exception", {"caused by: disk_full", "No space left", disk_}};
  outcomes("disk full", all({full, full}, {{"nested task", {inner_full, inner_full}}}));
  EXPECT_THAT(driver_->output(), HasSubstr("room again: value"));
  EXPECT_EQ(far_->wait(0s), -1) << "the node lives";
}

TEST_F(Faults, MemoryLimit) {
  start("driver", "grow");
  if (IsSkipped()) return;
  go();
  const Outcome over{"out_of_memory", {"memory_limit"}};
  const Outcome inner_over{"exception", {"caused by: out_of_memory", "memory_limit"}};
  outcomes("memory limit",
           all({over, over}, {{"nested task", {inner_over, inner_over}}, {"generator", {inner_over, inner_over}}}));
}

}  // namespace
