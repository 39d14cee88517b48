#include "rl/train/run_directory.h"

#include <gmock/gmock.h>
#include <mobula/rl/train.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

using testing::HasSubstr;

template <class F>
std::string error_of(F f) {
  try {
    f();
  } catch (const TrainError& error) {
    return error.what();
  }
  return "";
}

TEST(RunDirectory, TakesTheNextFreeNumber) {
  const Scratch scratch;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(scratch.path());
  const auto first = RunDirectory::create({}, "try");
  const auto second = RunDirectory::create({}, "try");
  std::filesystem::current_path(before);
  EXPECT_EQ(first.path(), "runs/try-1");
  EXPECT_EQ(second.path(), "runs/try-2");
}

TEST(RunDirectory, RefusesAFolderThatHoldsSomething) {
  const Scratch scratch;
  std::ofstream(scratch / "notes.txt") << "mine";
  EXPECT_THAT(error_of([&] { RunDirectory::create(scratch.path(), "try"); }), HasSubstr("is not empty"));
}

// Killed while it made the folder: what is there is neither a run nor a study, and must be in nobody's way.
TEST(RunDirectory, TakesAFolderWhoseMakerWasKilled) {
  for (const auto* made : {"config.yaml", "sweep.yaml"}) {
    const Scratch scratch;
    for (const auto* name : {"lock", "overrides.txt", "overrides.txt.new"}) std::ofstream(scratch / name) << "x";
    std::ofstream(scratch / (std::string(made) + ".new")) << "half a fi";
    EXPECT_EQ(error_of([&] { RunDirectory::create(scratch.path(), "try"); }), "");
    std::ofstream(scratch / made) << "x";
    EXPECT_THAT(error_of([&] { RunDirectory::create(scratch.path(), "try"); }), HasSubstr("is not empty")) << made;
  }
}

TEST(RunDirectory, RefusesToOpenWhatIsNoRun) {
  const Scratch scratch;
  EXPECT_THAT(error_of([&] { RunDirectory::open(scratch.path()); }), HasSubstr("is not a run directory"));
}

// flock() holds for the open file, so a second opening is refused even within one process; the child shows that it is
// refused to others, and that the lock ends with its holder, however that ends.
TEST(RunDirectory, IsLockedWhileInUse) {
  const Scratch scratch;
  const auto path = scratch / "run";
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    const auto held = RunDirectory::create(path, "try");
    std::ofstream(path / "config.yaml") << "experiment: try\n";
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    ::pause();
    ::_exit(0);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  const std::string error = error_of([&] { RunDirectory::open(path); });
  EXPECT_THAT(error, HasSubstr("is in use by another process"));
  EXPECT_THAT(error, HasSubstr("process " + std::to_string(holder)));
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  EXPECT_EQ(error_of([&] { RunDirectory::open(path); }), "");
}

}  // namespace
}  // namespace mobula::rl
