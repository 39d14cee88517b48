// A study whose program is killed at random moments and started again ends in the table of one that was left alone.
#include <gtest/gtest.h>
#include <mobula/random.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <thread>

namespace {

std::filesystem::path make_folder() {
  std::string name = (std::filesystem::temp_directory_path() / "mobula-kill-XXXXXX").string();
  return ::mkdtemp(name.data());
}
std::string content(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}
pid_t start(const std::filesystem::path& folder) {
  const std::string path = folder.string();
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::execl(TUNE_KILL_PROGRAM, TUNE_KILL_PROGRAM, path.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  return pid;
}
/// The result records of the journal: whole lines of that kind.
int results(const std::filesystem::path& folder) {
  const std::string journal = content(folder / "journal.jsonl");
  int count = 0;
  for (std::size_t at = 0; (at = journal.find("{\"kind\":\"result\"", at)) != std::string::npos; ++at) ++count;
  return count;
}

TEST(KilledStudy, EndsInTheSameTableWithNothingLostOrRepeated) {
  const auto alone = make_folder();
  int status = 0;
  const auto began = std::chrono::steady_clock::now();
  ASSERT_EQ(::waitpid(start(alone), &status, 0) > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  const auto whole = std::chrono::steady_clock::now() - began;
  const std::string expected = content(alone / "table.csv");
  ASSERT_EQ(std::count(expected.begin(), expected.end(), '\n'), 40);

  const std::uint64_t seed = static_cast<std::uint64_t>(::getpid());
  SCOPED_TRACE("seed " + std::to_string(seed));
  mobula::Random random(seed, mobula::Stream::user);
  int kills = 0, studies = 0;
  for (; kills < 50; ++studies) {
    const auto folder = make_folder();
    int killed_here = 0, before = 0;
    for (;;) {
      const pid_t pid = start(folder);
      // The moment is random, from the first instant of the program to somewhat more than a third of its time.
      std::this_thread::sleep_for(random.uniform() * 0.4 * whole);
      ::kill(pid, SIGKILL);
      ASSERT_EQ(::waitpid(pid, &status, 0), pid);
      if (WIFEXITED(status)) {
        ASSERT_EQ(WEXITSTATUS(status), 0) << content(folder / "journal.jsonl");
        break;
      }
      ++killed_here;
      const int after = results(folder);
      ASSERT_GE(after, before) << "finished work was lost";
      before = after;
    }
    kills += killed_here;
    EXPECT_EQ(content(folder / "table.csv"), expected);
    // Every piece of work is in the journal once; what was done again is what was under way at a kill: at most the
    // eight jobs that are submitted at a time to each of two processes.
    EXPECT_EQ(results(folder), results(alone));
    std::istringstream jobs(content(folder / "jobs.txt"));
    std::map<std::string, int> done;
    int lines = 0;
    for (std::string line; std::getline(jobs, line); ++lines) ++done[line];
    EXPECT_EQ(static_cast<int>(done.size()), results(alone));
    EXPECT_LE(lines - static_cast<int>(done.size()), 16 * killed_here);
    std::filesystem::remove_all(folder);
  }
  std::filesystem::remove_all(alone);
  RecordProperty("kills", kills);
  std::cout << kills << " kills in " << studies << " studies\n";
}

}  // namespace
