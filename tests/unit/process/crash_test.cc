#include "runtime/process/crash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

#include "runtime/process/symbols.h"

namespace mobula::process {
namespace {

using testing::HasSubstr;
using testing::Not;

volatile int* volatile nowhere = nullptr;
void (*volatile no_function)() = nullptr;

// (UndefinedBehaviorSanitizer would end the process before the processor does.)
[[gnu::noinline, gnu::no_sanitize("undefined")]] static void write_through_null() {
  *nowhere = 1;
}
[[gnu::noinline]] static void calls_the_culprit() {
  write_through_null();
  asm volatile("");
}
[[gnu::noinline]] static void calls_nothing() {
  no_function();
  asm volatile("");
}
volatile int base_depth = 0;
volatile int last_depth = -1;
[[gnu::noinline]] static int recurses(int depth) {
  volatile char frame[512];
  frame[0] = static_cast<char>(depth);
  return depth == last_depth ? 0 : recurses(depth + 1) + frame[0];
}

struct Dead {
  int status = 0;
  std::optional<CrashReport> report;
  std::string text;
};

// Runs `crash` in a child with the handler installed on shared memory, as a worker has it.
Dead die(const std::function<void()>& crash) {
  void* area = mmap(nullptr, crash_area_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  const std::span<std::byte> bytes(static_cast<std::byte*>(area), crash_area_bytes);
  const pid_t child = fork();
  if (child == 0) {
    install_crash_handler(bytes);
    crash();
    _exit(0);
  }
  Dead dead;
  waitpid(child, &dead.status, 0);
  dead.report = read_crash(bytes);
  if (dead.report) dead.text = describe_crash(*dead.report, "/proc/self/exe");
  munmap(area, crash_area_bytes);
  return dead;
}

TEST(CrashHandler, NamesTheFunctionThatFailedAndItsCallersStaticOnesToo) {
  const Dead dead = die(calls_the_culprit);
  ASSERT_TRUE(WIFSIGNALED(dead.status));
  EXPECT_EQ(WTERMSIG(dead.status), SIGSEGV);
  ASSERT_TRUE(dead.report);
  EXPECT_EQ(dead.report->signal, SIGSEGV);
  EXPECT_EQ(dead.report->address, 0u);
  EXPECT_THAT(dead.text,
              testing::ContainsRegex("#0 mobula::process::.*write_through_null\\(\\)\\+0x[0-9a-f]+ \\(program\\+0x"));
  EXPECT_THAT(dead.text, testing::ContainsRegex("#1 mobula::process::.*calls_the_culprit\\(\\)"));
}

TEST(CrashHandler, FindsTheCallerOfANullFunction) {
  const Dead dead = die(calls_nothing);
  ASSERT_TRUE(dead.report);
  EXPECT_THAT(dead.text, HasSubstr("calls_nothing()")) << dead.text;
}

TEST(CrashHandler, WorksWhenTheStackIsExhausted) {
  const Dead dead = die([] { base_depth = recurses(base_depth); });
  ASSERT_TRUE(WIFSIGNALED(dead.status));
  EXPECT_EQ(WTERMSIG(dead.status), SIGSEGV);
  ASSERT_TRUE(dead.report);
  EXPECT_TRUE(dead.report->truncated);
  EXPECT_THAT(dead.text, HasSubstr("recurses(int)"));
  EXPECT_THAT(dead.text, HasSubstr("deeper frames are cut off"));
}

TEST(CrashHandler, ReportsAnAbort) {
  const Dead dead = die([] { std::abort(); });
  ASSERT_TRUE(WIFSIGNALED(dead.status));
  EXPECT_EQ(WTERMSIG(dead.status), SIGABRT);
  ASSERT_TRUE(dead.report);
  EXPECT_THAT(dead.text, HasSubstr("abort"));
}

TEST(CrashHandler, LetsASignalSentByOthersEndTheProcess) {
  const Dead dead = die([] { raise(SIGFPE); });
  ASSERT_TRUE(WIFSIGNALED(dead.status));
  EXPECT_EQ(WTERMSIG(dead.status), SIGFPE);
}

TEST(CrashHandler, LeavesNothingWhenTheProcessIsKilled) {
  const Dead dead = die([] { raise(SIGKILL); });
  EXPECT_FALSE(dead.report);
}

TEST(CrashReport, CannotBeHarmedByWhatADyingProcessWrites) {
  std::vector<std::byte> noise(crash_area_bytes);
  for (int seed = 0; seed < 200; ++seed) {
    std::srand(static_cast<unsigned>(seed));
    for (auto& byte : noise) byte = static_cast<std::byte>(std::rand());
    const std::uint32_t complete = 0x43524153;
    std::memcpy(noise.data(), &complete, sizeof(complete));
    const auto report = read_crash(noise);
    ASSERT_TRUE(report);
    EXPECT_LE(report->frames.size(), 48u);
    describe_crash(*report, "/proc/self/exe");
  }
  EXPECT_FALSE(read_crash({noise.data(), 100}));
}

TEST(Symbols, OfAFileThatIsNoProgramAreNone) {
  EXPECT_EQ(Symbols::load("/etc/passwd")->describe(100), "??");
  EXPECT_EQ(Symbols::load("/no/such/file")->describe(100), "??");
}

}  // namespace
}  // namespace mobula::process
