#include "runtime/daemon/program_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <random>

#include "runtime/process/modules.h"

namespace mobula::daemon {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const NodeId here{1}, driver{2}, other{3};

class ProgramFetch : public testing::Test {
 protected:
  ProgramFetch() { source_.know(build_, "/proc/self/exe"); }
  ~ProgramFetch() override {
    std::error_code none;
    std::filesystem::remove_all(folder_, none);
  }
  std::vector<NodeId> asked(std::vector<ProgramFetches::Ask> asks) {
    std::vector<NodeId> nodes;
    for (const auto& ask : asks) nodes.push_back(ask.to);
    return nodes;
  }
  static std::filesystem::path new_folder() {
    std::string made = (std::filesystem::temp_directory_path() / "mobula-store-XXXXXX").string();
    return mkdtemp(made.data());
  }
  // Answers all that is asked, until nothing is; `change` may spoil an answer.
  template <class Change>
  void serve(Change change) {
    for (auto asks = fetches_.take_asks(); !asks.empty(); asks = fetches_.take_asks()) {
      for (const auto& ask : asks) {
        Answer answer = source_.chunk(ask.question);
        change(ask, answer);
        fetches_.on_answer(ask.to, answer);
      }
    }
  }
  std::size_t files() const {
    std::error_code none;
    const std::filesystem::directory_iterator all(folder_ / "cache", none);
    return none ? 0 : static_cast<std::size_t>(std::distance(begin(all), end(all)));
  }

  const std::string build_ = fmt::format("{:016x}", process::build_id_of_program());
  const std::filesystem::path folder_ = new_folder();
  ProgramStore source_{folder_ / "nothing"}, store_{folder_ / "cache"};
  ProgramFetches fetches_{store_, here};
};

TEST_F(ProgramFetch, BringsTheFileInPartsAndKeepsIt) {
  fetches_.want(build_, driver, {other, driver, here});
  std::size_t parts = 0;
  serve([&](const auto& ask, const Answer&) {
    EXPECT_EQ(ask.to, driver);
    ++parts;
  });
  const auto ends = fetches_.take_ends();
  ASSERT_EQ(ends.size(), 1U);
  ASSERT_TRUE(ends[0].file.ok()) << ends[0].file.error().message;
  const auto size = std::filesystem::file_size("/proc/self/exe");
  EXPECT_EQ(parts, (size + program_chunk - 1) / program_chunk);
  EXPECT_EQ(std::filesystem::file_size(*ends[0].file), size);
  EXPECT_EQ(store_.cached(build_), *ends[0].file);
  EXPECT_EQ(files(), 1U);
}

TEST_F(ProgramFetch, GoesOnToTheNextMemberAfterARefusalADeathAndASpoiltFile) {
  fetches_.want(build_, driver, {other, NodeId{4}, NodeId{5}});
  auto asks = fetches_.take_asks();
  EXPECT_THAT(asked(asks), ElementsAre(driver));
  fetches_.on_answer(driver, {.id = asks[0].question.id, .number = 0, .error = "it has no such program", .rows = {}});
  EXPECT_THAT(asked(fetches_.take_asks()), ElementsAre(other));
  fetches_.lost(other, "it has died");
  serve([&](const auto& ask, Answer& answer) {
    if (ask.to == NodeId{4}) answer.rows[0][0][0] ^= 1;
  });
  const auto ends = fetches_.take_ends();
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_TRUE(ends[0].file.ok()) << "the last one sends it whole";
  EXPECT_EQ(files(), 1U);
}

TEST_F(ProgramFetch, EndsInAnErrorThatSaysWhatEachMemberSaid) {
  fetches_.want(build_, driver, {other});
  serve([&](const auto& ask, Answer& answer) {
    if (ask.to == driver) answer = {.id = answer.id, .number = 0, .error = "it has no such program", .rows = {}};
    if (ask.to == other) answer.number += 1;
  });
  const auto ends = fetches_.take_ends();
  ASSERT_EQ(ends.size(), 1U);
  ASSERT_FALSE(ends[0].file.ok());
  EXPECT_EQ(ends[0].file.error().code, ErrorCode::build_mismatch);
  EXPECT_THAT(ends[0].file.error().message, testing::AllOf(HasSubstr("n0002: it has no such program"),
                                                           HasSubstr("n0003: its file has changed meanwhile")));
  EXPECT_EQ(store_.cached(build_), "");
  EXPECT_EQ(files(), 0U) << "nothing is left";
}

TEST_F(ProgramFetch, RefusesAFileOfAnotherBuild) {
  fetches_.want("0123456789abcdef", driver, {});
  serve([&](const auto& ask, Answer& answer) {
    Question other_build = ask.question;
    other_build.words = {build_};
    answer = source_.chunk(other_build);
  });
  const auto ends = fetches_.take_ends();
  ASSERT_EQ(ends.size(), 1U);
  ASSERT_FALSE(ends[0].file.ok());
  EXPECT_THAT(ends[0].file.error().message, HasSubstr("it sent a file of build-id " + build_));
  EXPECT_EQ(files(), 0U);
}

// A second program that waited for the same build was ignored: when the first one's machine died, both failed.
TEST_F(ProgramFetch, GoesOnFromWhoAskedLaterIfTheFirstSourceDies) {
  fetches_.want(build_, driver, {});
  auto asks = fetches_.take_asks();
  ASSERT_THAT(asked(asks), ElementsAre(driver));
  fetches_.on_answer(driver, source_.chunk(asks[0].question));  // the first part
  fetches_.want(build_, other, {NodeId{4}});
  fetches_.want(build_, driver, {});  // who is being asked anyway
  EXPECT_THAT(asked(fetches_.take_asks()), ElementsAre(driver)) << "it goes on with the first";
  fetches_.lost(driver, "it hung up");
  EXPECT_THAT(fetches_.take_ends(), IsEmpty());
  asks = fetches_.take_asks();
  ASSERT_THAT(asked(asks), ElementsAre(other));
  EXPECT_EQ(asks[0].question.number, 0u) << "from the start";
  fetches_.on_answer(other, {.id = asks[0].question.id, .number = 0, .error = "not yet", .rows = {}});
  EXPECT_THAT(asked(fetches_.take_asks()), ElementsAre(NodeId{4}));
  fetches_.want(build_, other, {});  // now it has it
  fetches_.lost(NodeId{4}, "it has died");
  serve([](const auto& ask, const Answer&) { EXPECT_EQ(ask.to, other); });
  const auto ends = fetches_.take_ends();
  ASSERT_EQ(ends.size(), 1U);
  EXPECT_TRUE(ends[0].file.ok());
}

// A build that began in place while the file was sent made it shorter under a mapping: SIGBUS ended the node.
TEST_F(ProgramFetch, RefusesAFileThatIsBuiltAnewWhileItIsSent) {
  const auto file = folder_ / "built";
  std::filesystem::copy_file("/proc/self/exe", file);
  source_.know(build_, file);
  fetches_.want(build_, driver, {});
  std::size_t parts = 0;
  serve([&](const auto&, Answer& answer) {
    if (++parts == 1) {
      std::filesystem::copy_file("/bin/sh", file, std::filesystem::copy_options::overwrite_existing);
    } else {
      EXPECT_THAT(answer.error,
                  testing::AllOf(HasSubstr(file.string()), HasSubstr("has changed since: its build-id is ")));
    }
  });
  EXPECT_EQ(parts, 2u);
  EXPECT_FALSE(fetches_.take_ends().at(0).file.ok());
  const Question whole{1, Topic::program, 0, {build_}};
  std::filesystem::resize_file(file, 10);
  EXPECT_THAT(source_.chunk(whole).error, HasSubstr("is no program any more"));
  std::filesystem::resize_file(file, 0);
  EXPECT_THAT(source_.chunk(whole).error, HasSubstr("cannot be read"));
  // The same one again, as after a build that changed nothing.
  std::filesystem::copy_file("/proc/self/exe", file, std::filesystem::copy_options::overwrite_existing);
  EXPECT_EQ(source_.chunk(whole).error, "");
  EXPECT_EQ(files(), 0U);
}

TEST_F(ProgramFetch, MakesRoomByWhatIsNotInUse) {
  std::filesystem::create_directories(folder_ / "cache");
  std::filesystem::permissions(folder_ / "cache", std::filesystem::perms::owner_all);
  const auto name = [](std::size_t i) { return fmt::format("{:016x}", i + 1); };
  const auto hour = std::chrono::hours(1);
  for (std::size_t i = 0; i < ProgramStore::most_files; ++i) {
    std::ofstream(folder_ / "cache" / name(i)) << "a program\n";
    const auto age = static_cast<int>(ProgramStore::most_files - i) * hour;
    std::filesystem::last_write_time(folder_ / "cache" / name(i), std::filesystem::file_time_type::clock::now() - age);
  }
  store_.ask_in_use([&](const std::string& build_id) { return build_id == name(0); });
  std::filesystem::remove(folder_ / "cache" / name(5));
  std::ofstream(folder_ / "cache" / name(100)) << "a new one\n";
  std::ofstream(folder_ / "cache" / name(101)) << "another new one\n";
  fetches_.want(build_, driver, {});
  serve([](const auto&, const Answer&) {});
  EXPECT_TRUE(std::filesystem::exists(folder_ / "cache" / name(0))) << "the oldest, but in use";
  EXPECT_FALSE(std::filesystem::exists(folder_ / "cache" / name(1)));
  EXPECT_TRUE(std::filesystem::exists(folder_ / "cache" / name(2)));
  EXPECT_EQ(files(), ProgramStore::most_files + 1) << "and the one in use";
}

TEST_F(ProgramFetch, TakesNothingFromAFolderThatIsOpenToOthers) {
  fetches_.want(build_, driver, {});
  serve([](const auto&, const Answer&) {});
  ASSERT_NE(store_.cached(build_), "");
  chmod((folder_ / "cache").c_str(), 0777);
  EXPECT_EQ(store_.cached(build_), "");
}

TEST_F(ProgramFetch, ServesNoFileThatIsNotAProgramOfThisNode) {
  for (const std::string name : {"", "../../../etc/passwd", "0123456789abcdef", "0123456789abcdeF"}) {
    EXPECT_THAT(source_.chunk({.id = 1, .topic = Topic::program, .number = 0, .words = {name}}).rows, IsEmpty());
  }
}

TEST(Inquiry, ComesBackAsItWasAndWhateverElseIsNone) {
  const Question question{7, Topic::logs, 1234567890123, {"a", "", std::string("\0b", 2)}};
  const Answer answer{8, 9, "why", {{}, {"a", "bc"}, {""}}};
  EXPECT_EQ(decode_question(encode(question).span()), question);
  EXPECT_EQ(decode_answer(encode(answer).span()), answer);
  const Bytes bytes = encode(answer);
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) EXPECT_FALSE(decode_answer(bytes.span().first(cut)));
  std::mt19937_64 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::vector<std::byte> noise(bytes.span().begin(), bytes.span().end());
    for (int k = 0; k < 3; ++k) noise[random() % noise.size()] = static_cast<std::byte>(random());
    static_cast<void>(decode_answer(noise));
    static_cast<void>(decode_question(noise));
  }
}

}  // namespace
}  // namespace mobula::daemon
