#include "runtime/process/zygote.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <cstring>
#include <fstream>
#include <set>
#include <sstream>

#include "tests/unit/process/worker_roles.h"

namespace mobula::process {
namespace {

using testing::HasSubstr;

int wait_for_ever(const WorkerStart&) {
  for (;;) pause();
}
const WorkerRole waiting("wait", wait_for_ever);

const WorkerRole exiting("exit", [](const WorkerStart& start) { return static_cast<int>(start.slot); });

// Reports the descriptors that are open in it: those inherited, and what.
const WorkerRole listing("list", [](const WorkerStart& start) {
  char text[64] = {};
  pread(start.fds[0], text, sizeof(text) - 1, 0);
  std::printf("read %s\n", text);
  for (int fd = 0; fd < 256; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) std::printf("open %d\n", fd);
  }
  std::printf("no other\n");
  return 0;
});

const WorkerRole signals("signals", [](const WorkerStart&) {
  struct sigaction interrupt {};
  sigaction(SIGINT, nullptr, &interrupt);
  sigset_t blocked;
  sigprocmask(SIG_BLOCK, nullptr, &blocked);
  std::printf("ignores SIGINT: %d, blocks SIGCHLD: %d, session %d\n", interrupt.sa_handler == SIG_IGN,
              sigismember(&blocked, SIGCHLD), static_cast<int>(getsid(0)));
  return 0;
});

bool alive(pid_t pid) {
  return kill(pid, 0) == 0;
}

// A process that was reaped, or that is a zombie nobody has waited for yet, runs no more.
bool runs(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/stat");
  std::string text((std::istreambuf_iterator<char>(status)), {});
  const auto end = text.rfind(')');
  return end != std::string::npos && text.size() > end + 2 && text[end + 2] != 'Z' && text[end + 2] != 'X';
}

TEST(Zygote, ForksWorkersWhoseExitIsReported) {
  Collector collector;
  auto zygote = Zygote::start({.options = "exit"});
  for (std::uint32_t slot = 1; slot <= 20; ++slot) zygote->fork_worker(slot, 100 + slot);
  ASSERT_TRUE(collector.run(*zygote, [&] { return collector.exited.size() == 20; }));
  std::set<std::uint32_t> slots;
  for (const auto& [pid, worker] : collector.exited) {
    EXPECT_EQ(collector.started.at(pid).generation, worker.generation);
    EXPECT_EQ(worker.generation, 100 + worker.slot);
    EXPECT_TRUE(WIFEXITED(worker.status));
    EXPECT_EQ(WEXITSTATUS(worker.status), static_cast<int>(worker.slot));
    slots.insert(worker.slot);
  }
  EXPECT_EQ(slots.size(), 20u);
}

TEST(Zygote, TakesMoreRequestsThanItsSocketHolds) {
  Collector collector;
  auto zygote = Zygote::start({.options = "exit"});
  for (std::uint32_t slot = 0; slot < 600; ++slot) zygote->fork_worker(slot, 1);
  EXPECT_TRUE(collector.run(*zygote, [&] { return collector.exited.size() == 600; }));
}

TEST(Zygote, ReportsTheSignalThatKilledAWorker) {
  Collector collector;
  auto zygote = Zygote::start({.options = "wait"});
  zygote->fork_worker(1, 1);
  ASSERT_TRUE(collector.run(*zygote, [&] { return collector.started.size() == 1; }));
  const auto& worker = collector.started.begin()->second;
  ASSERT_EQ(kill(worker.pid, SIGKILL), 0);
  ASSERT_TRUE(collector.run(*zygote, [&] { return collector.exited.size() == 1; }));
  const int status = collector.exited.begin()->second.status;
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  pollfd dead{worker.pidfd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&dead, 1, 0), 1);
}

TEST(Zygote, GivesWorkersTheInheritedDescriptorsAndNoOther) {
  Fd memory(memfd_create("inherited", MFD_CLOEXEC));
  ASSERT_EQ(write(memory.get(), "hello", 5), 5);
  // Descriptors without CLOEXEC at all kinds of numbers, as a careless library leaves them.
  std::vector<Fd> leaked;
  for (int i = 0; i < 30; ++i) leaked.emplace_back(dup(memory.get()));
  Collector collector;
  auto zygote = Zygote::start({.inherited = {memory.get()}, .options = "list"});
  zygote->fork_worker(1, 1);
  zygote->fork_worker(2, 1);
  ASSERT_TRUE(collector.run(*zygote, [&] { return collector.exited.size() == 2; }));
  // Each worker's output has a pipe of its own: lines of the two may stand between each other.
  const auto lines_of = [&](pid_t pid) {
    const std::string prefix = "(worker pid=" + std::to_string(pid) + ") ";
    std::istringstream all(collector.output);
    std::string of_this;
    for (std::string line; std::getline(all, line);) {
      if (line.starts_with(prefix)) of_this += line.substr(prefix.size()) + "\n";
    }
    return of_this;
  };
  for (const auto& [pid, worker] : collector.started) {
    collector.run(*zygote, [&, pid = pid] { return lines_of(pid).ends_with("no other\n"); });
    EXPECT_EQ(lines_of(pid), "read hello\nopen 0\nopen 1\nopen 2\nopen 5\nno other\n");
  }
}

TEST(Zygote, AndItsWorkersIgnoreTheInterruptKeyAndStayInTheSession) {
  Collector collector;
  auto zygote = Zygote::start({.options = "signals"});
  kill(zygote->pid(), SIGINT);
  zygote->fork_worker(1, 1);
  const std::string expected = "ignores SIGINT: 1, blocks SIGCHLD: 0, session " + std::to_string(getsid(0));
  EXPECT_TRUE(collector.run(*zygote, [&] { return collector.output.find(expected) != std::string::npos; }))
      << collector.output;
}

TEST(Zygote, LeavesNoWorkerWhenItIsDestroyed) {
  Collector collector;
  auto zygote = Zygote::start({.options = "wait"});
  for (std::uint32_t slot = 0; slot < 4; ++slot) zygote->fork_worker(slot, 1);
  ASSERT_TRUE(collector.run(*zygote, [&] { return collector.started.size() == 4; }));
  const pid_t zygote_pid = zygote->pid();
  zygote.reset();
  EXPECT_FALSE(alive(zygote_pid));
  for (const auto& [pid, worker] : collector.started) EXPECT_FALSE(alive(pid));
}

TEST(Zygote, ThatIsKilledTakesItsWorkersAlong) {
  Collector collector;
  auto zygote = Zygote::start({.options = "wait"});
  for (std::uint32_t slot = 0; slot < 4; ++slot) zygote->fork_worker(slot, 1);
  ASSERT_TRUE(collector.run(*zygote, [&] { return collector.started.size() == 4; }));
  kill(zygote->pid(), SIGKILL);
  ASSERT_TRUE(collector.run(*zygote, [&] { return !collector.gone.empty(); }));
  EXPECT_THAT(collector.gone, HasSubstr("was killed by signal 9 (KILL)"));
  for (const auto& [pid, worker] : collector.started) {
    pollfd dead{worker.pidfd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&dead, 1, 2000), 1) << pid;
  }
}

// Killed at each of its points, two hundred times: its node hears of it, and no worker lives on. A worker that dies
// before it is anything is one that has exited.
TEST(Zygote, NoDeathAtAnyPointLeavesAWorkerOrAnOpenQuestion) {
  const auto child_of_this = [](pid_t pid) { return waitpid(pid, nullptr, WNOHANG) != -1; };
  for (const std::string point : {"zygote.asked", "zygote.forked", "zygote.told", "zygote.reaped", "worker.forked"}) {
    SCOPED_TRACE(point);
    setenv("MOBULA_TEST_DIE_AT", point.c_str(), 1);
    for (int death = 0; death < 200; ++death) {
      // The one that it dies at; of those before it, every second one ends by itself.
      const std::uint32_t last = 1 + static_cast<std::uint32_t>(death % 3);
      setenv("MOBULA_TEST_DIE_COUNT", std::to_string(point == "worker.forked" ? 1 : last).c_str(), 1);
      Collector collector;
      auto zygote = Zygote::start({.options = point == "zygote.reaped" ? "exit" : "wait"});
      const pid_t pid = zygote->pid();
      for (std::uint32_t slot = 1; slot <= last; ++slot) zygote->fork_worker(slot, 1);
      if (point == "worker.forked") {
        ASSERT_TRUE(collector.run(*zygote, [&] { return collector.exited.size() == last; }));
        for (const auto& [worker, end] : collector.exited) EXPECT_TRUE(WIFSIGNALED(end.status)) << end.status;
      } else {
        ASSERT_TRUE(collector.run(*zygote, [&] { return !collector.gone.empty(); }));
        EXPECT_THAT(collector.gone, HasSubstr("killed by signal 9"));
      }
      zygote.reset();
      EXPECT_FALSE(child_of_this(pid)) << "not reaped";
      for (const auto& [worker, started] : collector.started) {
        // The kernel kills them with their zygote; that takes a moment.
        pollfd end{started.pidfd.get(), POLLIN, 0};
        ASSERT_EQ(poll(&end, 1, 10'000), 1) << "worker " << worker << " lives on";
      }
      if (HasFailure()) break;
    }
  }
  unsetenv("MOBULA_TEST_DIE_AT");
  unsetenv("MOBULA_TEST_DIE_COUNT");
}

// The story of a driver that is killed with SIGKILL: it cannot clean up, and nothing may stay behind.
TEST(Zygote, AndItsWorkersEndWhenTheDriverIsKilled) {
  // The zygote's processes become orphans of this one, so that their end can be observed.
  ASSERT_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
  int report[2];
  ASSERT_EQ(pipe2(report, O_CLOEXEC), 0);
  const pid_t driver = fork();
  ASSERT_GE(driver, 0);
  if (driver == 0) {
    Collector collector;
    auto zygote = Zygote::start({.options = "wait"});
    for (std::uint32_t slot = 0; slot < 4; ++slot) zygote->fork_worker(slot, 1);
    collector.run(*zygote, [&] { return collector.started.size() == 4; });
    std::vector<pid_t> pids = {zygote->pid()};
    for (const auto& [pid, worker] : collector.started) pids.push_back(pid);
    if (write(report[1], pids.data(), pids.size() * sizeof(pid_t)) < 0) _exit(1);
    wait_for_ever({});
  }
  std::array<pid_t, 5> pids{};
  ASSERT_EQ(read(report[0], pids.data(), sizeof(pids)), static_cast<ssize_t>(sizeof(pids)));
  for (pid_t pid : pids) EXPECT_TRUE(runs(pid));
  std::vector<Fd> pidfds;
  for (pid_t pid : pids) pidfds.emplace_back(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  kill(driver, SIGKILL);
  waitpid(driver, nullptr, 0);
  for (std::size_t i = 0; i < pids.size(); ++i) {
    pollfd dead{pidfds[i].get(), POLLIN, 0};
    EXPECT_EQ(poll(&dead, 1, 2000), 1) << "process " << pids[i] << " still runs 2 s after the driver was killed";
  }
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
  close(report[0]);
  close(report[1]);
}

TEST(Zygote, OfAProgramWithThreadsBeforeMainExecutesItsWorkers) {
  Collector collector;
  auto zygote = Zygote::start({.program = THREADS_BEFORE_MAIN, .options = "some text"});
  // Several: the kernel gives the death of a child to any of the zygote's threads, and every one must be seen.
  for (std::uint32_t slot = 5; slot < 15; ++slot) zygote->fork_worker(slot, 9);
  ASSERT_TRUE(collector.run(*zygote, [&] { return collector.exited.size() == 10; }));
  for (const auto& [pid, worker] : collector.exited) EXPECT_EQ(WEXITSTATUS(worker.status), 7);
  EXPECT_TRUE(collector.run(
      *zygote, [&] { return collector.output.find("slot 5 generation 9 options some text\n") != std::string::npos; }))
      << collector.output << collector.errors;
}

TEST(Zygote, OfAProgramThatNeverCallsInitSaysWhatToDo) {
  Collector collector;
  auto zygote = Zygote::start({.program = WITHOUT_INIT});
  zygote->fork_worker(1, 1);
  ASSERT_TRUE(collector.run(*zygote, [&] { return !collector.gone.empty(); }));
  EXPECT_THAT(collector.gone,
              HasSubstr("exited with status 3 before it reached mobula::init; call mobula::init(argc, argv)"));
}

TEST(Zygote, RefusesAProgramThatIsNotThere) {
  try {
    Zygote::start({.program = "/no/such/program"});
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "cannot execute /no/such/program to start worker processes: No such file or directory");
  }
}

}  // namespace
}  // namespace mobula::process
