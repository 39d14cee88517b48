#include "runtime/daemon/worker_logs.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <map>

namespace mobula::daemon {
namespace {

using testing::EndsWith;

class LogsOfWorkers : public testing::Test {
 protected:
  ~LogsOfWorkers() override {
    std::error_code none;
    std::filesystem::remove_all(folder_, none);
  }
  static std::filesystem::path new_folder() {
    std::string made = (std::filesystem::temp_directory_path() / "mobula-logs-XXXXXX").string();
    return mkdtemp(made.data());
  }
  // What `mobula logs --follow` does again and again. The lines without their times.
  std::vector<std::string> follow(const std::string& name = "") {
    Question question{.id = 1, .topic = Topic::logs, .number = 1000, .words = {name, ""}};
    for (const auto& [log, offset] : had_) question.words.push_back(log + "=" + offset);
    std::vector<std::string> lines;
    for (const Row& row : logs_.read(question).rows) {
      had_[row.at(3)] = row.at(1);
      for (std::size_t at = 0; at < row.at(2).size();) {
        const auto end = row.at(2).find('\n', at);
        const std::string line = row.at(2).substr(at, end - at);
        lines.push_back(line.substr(line.find(' ') + 1));
        at = end + 1;
      }
    }
    return lines;
  }
  static std::string line(pid_t pid, int number) {
    return fmt::format("(work pid={}) {:06} {}", pid, number, std::string(1000, 'x'));
  }
  void write(pid_t pid, int from, int to) {
    for (int i = from; i < to; ++i) logs_.write(pid, line(pid, i) + "\n");
  }

  const std::filesystem::path folder_ = new_folder();
  WorkerLogs logs_{folder_, "node"};
  std::map<std::string, std::string> had_;
};

TEST_F(LogsOfWorkers, AreFollowedFromWhereTheyWereRead) {
  write(7, 0, 2);
  EXPECT_THAT(follow(), testing::ElementsAre(line(7, 0), line(7, 1)));
  EXPECT_THAT(follow(), testing::IsEmpty());
  write(7, 2, 3);
  write(8, 0, 1);
  EXPECT_THAT(follow(), testing::UnorderedElementsAre(line(7, 2), line(8, 0)));
}

// The file that was put aside came once more from its start, and the new one only from where the old one had been read.
TEST_F(LogsOfWorkers, AreFollowedOverTheirRotationWithoutLosingOrRepeatingALine) {
  const int fills = static_cast<int>(WorkerLogs::most_file_bytes / 1000);
  std::vector<std::string> all;
  const auto read = [&] {
    for (std::string& one : follow()) all.push_back(std::move(one));
  };
  int written = 0;
  for (const int more : {100, fills, 30, 2 * fills / 3, fills / 2, 1, fills - 10, 50}) {
    write(7, written, written + more);
    written += more;
    read();
  }
  EXPECT_TRUE(std::filesystem::exists(folder_ / "node/worker-7.log.old"));
  ASSERT_EQ(all.size(), static_cast<std::size_t>(written));
  for (int i = 0; i < written; ++i) ASSERT_EQ(all[static_cast<std::size_t>(i)], line(7, i));
}

TEST_F(LogsOfWorkers, OfAProcessWithAnEarlierOnesNumberAreFollowedToo) {
  write(7, 0, 5);
  follow();
  logs_.ended(7);
  write(7, 5, 6);
  EXPECT_THAT(follow(), testing::ElementsAre(line(7, 5)));
}

TEST_F(LogsOfWorkers, AreShownByTheNameOfTheTask) {
  logs_.write(7, "(one pid=7) a\n(two pid=7) b\n");
  EXPECT_THAT(follow("two"), testing::ElementsAre(EndsWith("b")));
}

}  // namespace
}  // namespace mobula::daemon
