#include "runtime/daemon/program_store.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

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
  const std::string wanted = "0123456789abcdef";
  source_.know(wanted, "/proc/self/exe");
  fetches_.want(wanted, driver, {});
  serve([](const auto&, const Answer&) {});
  const auto ends = fetches_.take_ends();
  ASSERT_EQ(ends.size(), 1U);
  ASSERT_FALSE(ends[0].file.ok());
  EXPECT_THAT(ends[0].file.error().message, HasSubstr("it sent a file of build-id " + build_));
  EXPECT_EQ(files(), 0U);
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
