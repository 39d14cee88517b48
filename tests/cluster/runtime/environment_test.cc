// What tasks and actors ask of the process that they run in: variables, directory, a limit of memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include <mobula/runtime.h>

#include "runtime/process/memory_group.h"
#include "tests/support/marks.h"

extern char** environ;

namespace mobula {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::HasSubstr;

// All that a process is made of and that options change.
struct Seen {
  std::vector<std::string> variables;
  std::string directory;
  std::uint64_t memory = 0;
  int pid = 0;
  template <class A>
  void serialize(A& a) {
    a(variables, directory, memory, pid);
  }
};
Seen look() {
  Seen seen;
  for (char** entry = environ; *entry != nullptr; ++entry) seen.variables.emplace_back(*entry);
  seen.directory = std::filesystem::current_path();
  rlimit limit{};
  getrlimit(RLIMIT_DATA, &limit);
  seen.memory = limit.rlim_cur;
  seen.pid = getpid();
  return seen;
}
std::string variable(const std::string& name) {
  const char* value = getenv(name.c_str());
  return value != nullptr ? value : "(unset)";
}
std::string directory() {
  return std::filesystem::current_path();
}
void spoil() {
  setenv("MOBULA_TEST_LEFT", "behind", 1);
  unsetenv("PATH");
  std::filesystem::current_path("/");
  throw std::runtime_error("spoilt");
}

class Environments : public testing::TestWithParam<int> {
 protected:
  const test::Marks marks;
  // One worker, so that each task runs where the one before did.
  const Runtime rt = Runtime::start({.workers = GetParam()});
};
INSTANTIATE_TEST_SUITE_P(Of, Environments, testing::Values(1, 0), [](const auto& mode) {
  return mode.param == 0 ? std::string("InProcess") : std::string("Workers");
});
class WorkerEnvironments : public testing::Test {
 protected:
  const test::Marks marks;
  const Runtime rt = Runtime::start({.workers = 1});
};

TEST_P(Environments, ATaskSeesItsVariablesAndItsDirectory) {
  const auto on = rt.with({.env = {{"MOBULA_TEST_COLOUR", "blue"}, {"PATH", "/nowhere"}}, .working_dir = "/tmp"});
  EXPECT_EQ(on.remote<variable>("MOBULA_TEST_COLOUR").get(), "blue");
  EXPECT_EQ(on.remote<variable>("PATH").get(), "/nowhere");
  EXPECT_EQ(on.remote<directory>().get(), "/tmp");
  EXPECT_EQ(rt.with({.env = {{"MOBULA_TEST_COLOUR", "red"}}}).remote<variable>("MOBULA_TEST_COLOUR").get(), "red");
}

TEST_P(Environments, NothingOfItIsLeftForTheNextTask) {
  const Seen before = rt.remote<look>().get();
  const auto on =
      rt.with({.env = {{"MOBULA_TEST_COLOUR", "blue"}, {"HOME", "/"}}, .working_dir = "/tmp", .memory_limit = 1 << 30});
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(on.remote<variable>("HOME").get(), "/");
    EXPECT_EQ(on.remote<spoil>().try_get().error().code, ErrorCode::exception);
    const Seen after = rt.remote<look>().get();
    EXPECT_EQ(after.variables, before.variables);
    EXPECT_EQ(after.directory, before.directory);
    EXPECT_EQ(after.memory, before.memory);
    EXPECT_EQ(after.pid, before.pid);  // the very process
  }
}

Task<std::string> waits_and_looks(Ref<int> what) {
  co_await what;
  co_return variable("MOBULA_TEST_COLOUR");
}
int nap() {
  return 1;
}
TEST_P(Environments, ACoroutineKeepsItsOwnWhileItWaits) {
  const auto on = rt.with({.env = {{"MOBULA_TEST_COLOUR", "blue"}}});
  EXPECT_EQ(on.remote<waits_and_looks>(rt.remote<nap>()).get(30s), "blue");
  EXPECT_EQ(rt.remote<variable>("MOBULA_TEST_COLOUR").get(), "(unset)");
}

struct Home {
  std::string made_in = directory();
  std::string ask(const std::string& name) { return variable(name); }
  std::string where() { return made_in + " " + directory(); }
};
TEST_P(Environments, AnActorHasItsOwnFromTheConstructorOn) {
  const Seen before = rt.remote<look>().get();
  {
    const auto home = rt.with({.env = {{"MOBULA_TEST_COLOUR", "green"}}, .working_dir = "/tmp"}).spawn<Home>();
    EXPECT_EQ(home.call<&Home::ask>("MOBULA_TEST_COLOUR").get(), "green");
    EXPECT_EQ(home.call<&Home::where>().get(), "/tmp /tmp");
    EXPECT_EQ(rt.remote<variable>("MOBULA_TEST_COLOUR").get(), "(unset)");
  }
  for (int i = 0; i < 20; ++i) {
    const Seen after = rt.remote<look>().get();
    EXPECT_EQ(after.variables, before.variables);
    EXPECT_EQ(after.directory, before.directory);
  }
}

TEST_P(Environments, ADirectoryThatIsNotThereIsSaid) {
  const Error error = rt.with({.working_dir = "/no/such/folder"}).remote<directory>().try_get().error();
  EXPECT_EQ(error.code, ErrorCode::invalid);
  EXPECT_THAT(error.describe(), AllOf(HasSubstr("working_dir '/no/such/folder' cannot be entered"),
                                      HasSubstr("No such file or directory"), HasSubstr("directory")));
  const auto home = rt.with({.working_dir = "/no/such/folder"}).spawn<Home>();
  EXPECT_THAT(home.call<&Home::where>().try_get().error().describe(), HasSubstr("'/no/such/folder'"));
  EXPECT_EQ(rt.remote<variable>("MOBULA_TEST_COLOUR").get(), "(unset)");
}

TEST_F(WorkerEnvironments, AWrongNameIsRefusedAtOnce) {
  for (const char* name : {"", "A=B"}) {
    try {
      rt.with({.env = {{name, "x"}}}).remote<directory>();
      FAIL();
    } catch (const TaskError& e) {
      EXPECT_EQ(e.code(), ErrorCode::invalid);
      EXPECT_THAT(e.what(), HasSubstr("cannot be the name of a variable"));
    }
  }
}

std::uint64_t take(std::uint64_t bytes) {
  std::vector<std::unique_ptr<char[]>> blocks;
  for (std::uint64_t taken = 0; taken < bytes; taken += 1 << 20) {
    blocks.emplace_back(new char[1 << 20]);
    for (int i = 0; i < 1 << 20; i += 4096) blocks.back()[i] = 1;
  }
  return blocks.size();
}
struct Hoard {
  std::uint64_t take_and_keep(std::uint64_t megabytes) {
    for (std::uint64_t i = 0; i < megabytes; ++i) kept.emplace_back(new char[1 << 20]);
    return kept.size();
  }
  std::vector<std::unique_ptr<char[]>> kept;
};

constexpr std::uint64_t MB = 1 << 20;

TEST_F(WorkerEnvironments, WorkersHaveTheVariablesOfTheProgram) {
  std::vector<std::string> here = look().variables, there = rt.remote<look>().get(30s).variables;
  std::ranges::sort(here);
  std::ranges::sort(there);
  EXPECT_EQ(there, here);
}

TEST_F(WorkerEnvironments, WhoeverTakesMoreThanTheLimitIsTold) {
  const auto on = rt.with({.memory_limit = 64 * MB});
  EXPECT_EQ(on.remote<take>(32 * MB).get(), 32u);
  const Error error = on.remote<take>(500 * MB).try_get(30s).error();
  EXPECT_EQ(error.code, ErrorCode::out_of_memory);
  EXPECT_THAT(error.message, AllOf(HasSubstr("memory limit of 67108864 bytes"), HasSubstr("Options::memory_limit")));
  // The process goes on, and the next one has no limit.
  EXPECT_EQ(rt.remote<take>(200 * MB).get(), 200u);
  EXPECT_EQ(on.remote<take>(32 * MB).get(), 32u);
}

TEST_F(WorkerEnvironments, AnActorsLimitHoldsOverItsCalls) {
  const auto hoard = rt.with({.memory_limit = 100 * MB}).spawn<Hoard>();
  EXPECT_EQ(hoard.call<&Hoard::take_and_keep>(60).get(), 60u);
  EXPECT_EQ(hoard.call<&Hoard::take_and_keep>(60).try_get().error().code, ErrorCode::out_of_memory);
  EXPECT_GE(hoard.call<&Hoard::take_and_keep>(0).get(), 60u);
}

// Memory that no limit of one process counts: shared with its children.
std::uint64_t take_shared(std::uint64_t bytes) {
  auto* const memory =
      static_cast<char*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  if (memory == MAP_FAILED) return 0;
  std::memset(memory, 7, bytes);
  munmap(memory, bytes);
  return bytes;
}
struct Sharer {
  std::uint64_t take(std::uint64_t bytes) { return take_shared(bytes); }
  int pid() { return getpid(); }
};
/// Of workers of this process.
std::vector<std::string> groups_of(const process::MemoryPlace& place, const std::string& process) {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(place.directory)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(fmt::format("mobula-{}-{}-", getpid(), process))) out.push_back(name);
  }
  return out;
}
TEST(MemoryGroups, HoldWhatAProcessSharesWithItsChildren) {
  const Result<process::MemoryPlace> place = process::memory_place(false);
  if (!place.ok()) {
    std::fprintf(stderr, "\n*** NOT TESTED: %s\n\n", place.error().message.c_str());
    GTEST_SKIP() << place.error().message;
  }
  std::vector<std::string> processes;
  // As one would be left by a node that was killed; and by one that lives, and has yet to read in it.
  const pid_t killed = fork();
  if (killed == 0) _exit(0);
  ASSERT_EQ(waitpid(killed, nullptr, 0), killed);
  const std::string of_killed = fmt::format("{}/mobula-{}-1-1000", place->directory, killed);
  const std::string of_another = fmt::format("{}/mobula-{}-1-1000", place->directory, getppid());
  for (const std::string& group : {of_killed, of_another}) std::filesystem::create_directory(group);
  {
    const Runtime rt = Runtime::start({.workers = 2});
    const auto on = rt.with({.max_restarts = 0, .memory_limit = 64 * MB});
    EXPECT_EQ(on.remote<take_shared>(32 * MB).get(30s), 32 * MB);
    const Error error = on.remote<take_shared>(300 * MB).try_get(30s).error();
    EXPECT_EQ(error.code, ErrorCode::out_of_memory) << error.describe();
    EXPECT_THAT(error.message, AllOf(HasSubstr("memory limit of 67108864 bytes"), HasSubstr("Options::memory_limit")));
    EXPECT_THAT(error.attempt, 1);  // no second one: it would end in the same way
    // Others have no such limit, also in the same process.
    EXPECT_EQ(on.remote<take_shared>(32 * MB).get(30s), 32 * MB);
    EXPECT_EQ(rt.remote<take_shared>(300 * MB).get(30s), 300 * MB);
    EXPECT_EQ(rt.remote<take_shared>(300 * MB).get(30s), 300 * MB);
    const auto actor = on.spawn<Sharer>(), other = on.spawn<Sharer>();
    for (const auto& one : {actor, other}) processes.push_back(std::to_string(one.call<&Sharer::pid>().get(30s)));
    EXPECT_EQ(groups_of(*place, processes.back()),
              std::vector{fmt::format("mobula-{}-{}-67108864", getpid(), processes.back())});
    EXPECT_EQ(actor.call<&Sharer::take>(32 * MB).get(30s), 32 * MB);
    const Error death = actor.call<&Sharer::take>(300 * MB).try_get(30s).error();
    EXPECT_EQ(death.code, ErrorCode::actor_died);
    EXPECT_THAT(death.describe(), HasSubstr("memory limit of 67108864 bytes"));
  }
  for (const std::string& process : processes) EXPECT_THAT(groups_of(*place, process), testing::IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(of_killed));
  EXPECT_TRUE(std::filesystem::remove(of_another));
}

Array<char> sevens(std::uint64_t n) {
  ArrayBuilder<char> array(n);
  for (char& c : array.span()) c = 7;
  return std::move(array).finish();
}
TEST_F(WorkerEnvironments, TheObjectArenaDoesNotCount) {
  EXPECT_EQ(rt.with({.memory_limit = 16 * MB}).remote<sevens>(100 * MB).get().size(), 100 * MB);
}

}  // namespace
}  // namespace mobula
