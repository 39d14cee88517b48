#include "runtime/daemon/jobs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "runtime/daemon/job_output.h"
#include "runtime/daemon/log.h"
#include "runtime/process/modules.h"

namespace mobula::daemon {
namespace {

using namespace std::chrono_literals;
using testing::EndsWith;
using testing::HasSubstr;

constexpr std::uint64_t most = std::uint64_t{256} << 10;

std::filesystem::path new_folder() {
  std::string made = (std::filesystem::temp_directory_path() / "mobula-jobs-XXXXXX").string();
  return mkdtemp(made.data());
}

// The shell is the program, so that a test's script says what it does. Its file is in the cache already.
class SubmittedPrograms : public testing::Test {
 protected:
  SubmittedPrograms() {
    std::filesystem::create_directories(folder_ / "cache");
    std::filesystem::permissions(folder_ / "cache", std::filesystem::perms::owner_all);
    std::filesystem::copy_file("/bin/sh", folder_ / "cache" / shell_);
  }
  ~SubmittedPrograms() override {
    jobs_.reset();
    std::error_code none;
    std::filesystem::remove_all(folder_, none);
  }
  JobsOptions options() const {
    return {.folder = folder_ / "jobs", .address = "here", .keys = "k", .most_output = most};
  }
  Answer ask(std::vector<std::string> words, Time now = steady_now()) {
    return jobs_->answer(NodeId{5}, {1, Topic::job, 0, std::move(words)}, now);
  }
  std::string submit(const std::string& script) { return ask({"submit", shell_, "sh", "-c", script}).rows.at(0).at(0); }
  Row state(const std::string& id, std::uint64_t out = 0, std::uint64_t err = 0) {
    return ask({"state", id, std::to_string(out), std::to_string(err)}).rows.at(0);
  }
  // What it printed on its standard output, and its last state, read as `mobula jobs --follow` does.
  std::pair<std::string, Row> followed(const std::string& id) {
    std::string all;
    const Time latest = steady_now() + 60s;
    for (;;) {
      Row row = state(id, left_out_ + all.size());
      left_out_ += std::stoull(row.at(5)) - (left_out_ + all.size());
      all += row.at(3);
      if (row.at(0) != "running" || steady_now() > latest) return {all, row};
      if (row.at(3).empty()) loop_.run_once(steady_now() + 10ms);
    }
  }
  void until_ended(const std::string& id) {
    const Time latest = steady_now() + 60s;
    while (state(id).at(0) == "running" && steady_now() < latest) loop_.run_once(steady_now() + 10ms);
    ASSERT_NE(state(id).at(0), "fetching");
  }

  const std::string shell_ = fmt::format("{:016x}", process::build_id_of_file("/bin/sh"));
  const std::filesystem::path folder_ = new_folder();
  const ProgramStore programs_{folder_ / "cache"};
  EventLoop loop_;
  std::optional<Jobs> jobs_{std::in_place, loop_, programs_, options(), make_log("off")};
  std::uint64_t left_out_ = 0;
};

TEST_F(SubmittedPrograms, GiveTheirOutputAndTheirStatus) {
  const std::string id = submit("echo $MOBULA_ADDRESS; echo and this >&2; pwd; exit 3");
  const auto [out, row] = followed(id);
  EXPECT_EQ(out, "here\n" + (folder_ / "jobs" / id).string() + "\n");
  EXPECT_EQ(row.at(0), "ended");
  EXPECT_EQ(row.at(1), "3");
  EXPECT_EQ(state(id).at(4), "and this\n");
  EXPECT_EQ(left_out_, 0u);
}

TEST_F(SubmittedPrograms, ThatCannotBeRunSayWhy) {
  std::filesystem::permissions(folder_ / "cache" / shell_, std::filesystem::perms::owner_read);
  EXPECT_EQ(state(submit("true")).at(0), "failed");
  EXPECT_THAT(state("job1").at(2), HasSubstr("cannot run sh: Permission denied"));
}

TEST_F(SubmittedPrograms, KeepTheNewestOfWhatTheyPrint) {
  const std::string id = submit("yes 0123456789abcdef | head -c 3000000; echo the end");
  until_ended(id);
  const auto [out, row] = followed(id);
  EXPECT_EQ(row.at(0), "ended");
  EXPECT_EQ(left_out_ + out.size(), 3'000'008u) << "it says how much is left out";
  EXPECT_GE(out.size(), most / 2);
  EXPECT_LE(out.size(), most);
  EXPECT_THAT(out, EndsWith("the end\n"));
  std::uintmax_t on_disk = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder_ / "jobs" / id)) on_disk += file.file_size();
  EXPECT_LE(on_disk, most);
}

TEST_F(SubmittedPrograms, AreReadFromOffsetsOfMoreThan32Bits) {
  const std::string id = submit("echo out; echo err >&2");
  until_ended(id);
  const Row row = state(id, std::uint64_t{5} << 32, 2);
  EXPECT_EQ(row.at(3), "") << "there is not as much";
  EXPECT_EQ(row.at(4), "r\n") << "the one offset leaves the other alone";
}

TEST_F(SubmittedPrograms, AreRunForAsLongAsTheyRan) {
  const std::string id = submit("exit 0");
  until_ended(id);
  const Time now = steady_now();
  const std::string seconds = ask({"list"}, now).rows.at(0).at(4);
  EXPECT_EQ(ask({"list"}, now + 1000s).rows.at(0).at(4), seconds);
  EXPECT_LT(std::stod(seconds), 60);
}

TEST_F(SubmittedPrograms, AreEndedWithWhatTheyHaveStarted) {
  submit("sleep 1000 & echo $! > child; trap '' TERM; wait; wait; sleep 1000");
  const auto file = folder_ / "jobs/job1/child";
  pid_t child = 0;
  for (const Time latest = steady_now() + 60s; child == 0 && steady_now() < latest;) {
    loop_.run_once(steady_now() + 10ms);
    std::ifstream(file) >> child;
  }
  ASSERT_NE(child, 0);
  const process::Fd watched(static_cast<int>(syscall(SYS_pidfd_open, child, 0)));
  jobs_.reset();
  pollfd end{watched.get(), POLLIN, 0};
  EXPECT_EQ(poll(&end, 1, 10'000), 1);
}

// A head that was killed left the programs that it had run behind, with nobody to end them.
TEST_F(SubmittedPrograms, EndWithADaemonThatIsKilled) {
  const auto file = folder_ / "pid";
  const pid_t daemon = fork();
  if (daemon == 0) {
    alarm(120);
    EventLoop loop;
    Jobs jobs(loop, programs_, options(), make_log("off"));
    const std::string script = fmt::format(
        "trap '' TERM HUP INT; sleep 1000 & echo $$ $! > {0}.new; mv {0}.new {0}; while :; do sleep 1; done",
        file.string());
    jobs.answer(NodeId{5}, {1, Topic::job, 0, {"submit", shell_, "sh", "-c", script}}, steady_now());
    for (;;) loop.run_once(steady_now() + 1s);
  }
  pid_t job = 0, child = 0;
  for (const Time latest = steady_now() + 60s; child == 0 && steady_now() < latest; usleep(1000)) {
    std::ifstream(file) >> job >> child;
  }
  std::map<pid_t, process::Fd> watched;
  for (const pid_t pid : {job, child}) {
    watched[pid] = process::Fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    EXPECT_TRUE(watched[pid].valid());
  }
  kill(daemon, SIGKILL);
  waitpid(daemon, nullptr, 0);
  for (const auto& [pid, fd] : watched) {
    pollfd end{fd.get(), POLLIN, 0};
    EXPECT_EQ(poll(&end, 1, 10'000), 1) << (pid == job ? "the job" : "what it has started");
    if (end.revents == 0) kill(pid, SIGKILL);
  }
}

// Guards of programs that have ended would be processes for as long as the head runs.
TEST_F(SubmittedPrograms, LeaveNoProcessBehind) {
  for (int i = 0; i < 3; ++i) until_ended(submit("true"));
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(JobOutput, IsReadAcrossItsTwoFilesAndFromWhatIsLeft) {
  const auto folder = new_folder();
  const std::uint64_t half = std::uint64_t{64} << 10;
  JobOutput output(folder / "stdout", 2 * half);
  std::string all;
  for (int i = 0; all.size() < 3 * half + 5000; ++i) {
    const std::string text = fmt::format("line {}\n", i);
    output.append(text);
    all += text;
  }
  EXPECT_EQ(output.end(), all.size());
  const auto kept = output.read(0, all.size());
  EXPECT_EQ(kept.from, 2 * half);
  EXPECT_EQ(kept.text, all.substr(2 * half));
  const auto part = output.read(3 * half - 10, 30);
  EXPECT_EQ(part.from, 3 * half - 10);
  EXPECT_EQ(part.text, all.substr(3 * half - 10, 30));
  EXPECT_EQ(output.read(all.size() + 7, 30).from, all.size());
  std::filesystem::remove_all(folder);
}

TEST(JobOutput, GoesOnAfterADiskThatTookNothing) {
  const auto folder = new_folder();
  JobOutput output(folder / "gone/stdout", 0);
  output.append("lost\n");
  std::filesystem::create_directories(folder / "gone");
  output.append("kept\n");
  const auto part = output.read(0, 100);
  EXPECT_EQ(part.from, 5u);
  EXPECT_EQ(part.text, "kept\n");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace mobula::daemon
