#include "tune/study/journal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/random.h>
#include <mobula/tune/report.h>
#include <mobula/tune/study.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <sstream>

#include "tests/support/small_disk.h"

namespace mobula::tune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class JournalFile : public testing::Test {
 protected:
  JournalFile() {
    std::string name = (std::filesystem::temp_directory_path() / "mobula-journal-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~JournalFile() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path file(const std::string& name = "journal.jsonl") const { return folder_ / name; }
  static std::string content(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    std::ostringstream out;
    out << in.rdbuf();
    return out.str();
  }
  static void write(const std::filesystem::path& file, const std::string& text) {
    std::ofstream(file, std::ios::binary | std::ios::trunc) << text;
  }
  static std::string error_of(const std::function<void()>& f) {
    try {
      f();
    } catch (const TuneError& error) {
      return error.what();
    }
    return "nothing was thrown";
  }
  std::filesystem::path folder_;
};

TEST_F(JournalFile, GivesBackWhatWasAppended) {
  {
    Journal journal(file(), Journal::Sync::always);
    journal.append("one");
    journal.flush();
    journal.append("two");
  }
  EXPECT_THAT(Journal(file(), Journal::Sync::never).records(), ElementsAre("one", "two"));
}

TEST_F(JournalFile, ATornTailIsCutOffWhereverItWasTorn) {
  {
    Journal journal(file(), Journal::Sync::never);
    journal.append("one");
    journal.append("two");
  }
  const std::string whole = content(file());
  const std::size_t first = whole.find('\n') + 1;
  for (std::size_t size = first; size < whole.size(); ++size) {
    write(file(), whole.substr(0, size));
    {
      Journal journal(file(), Journal::Sync::never);
      ASSERT_THAT(journal.records(), ElementsAre("one")) << "torn at " << size;
      journal.append("three");
    }
    ASSERT_THAT(Journal(file(), Journal::Sync::never).records(), ElementsAre("one", "three"));
  }
}

TEST_F(JournalFile, DamageInTheMiddleIsRefused) {
  {
    Journal journal(file(), Journal::Sync::never);
    for (const char* record : {"one", "two", "three"}) journal.append(record);
  }
  std::string damaged = content(file());
  damaged[damaged.find("two")] = 'T';
  write(file(), damaged);
  EXPECT_THAT(error_of([&] { Journal(file(), Journal::Sync::never); }), HasSubstr("journal.jsonl:2: the journal is"));
}

TEST_F(JournalFile, AFullDiskLeavesNoHalfLine) {
  {
    Journal journal(file(), Journal::Sync::never);
    journal.append("first");
    journal.flush();
    journal.append("second, which is too long");
    {
      const tests::SmallDisk disk(std::filesystem::file_size(file()) + 12);
      EXPECT_THAT(error_of([&] { journal.flush(); }), HasSubstr("cannot write to the journal"));
    }
    // There is room again, and what was to be written is there as a whole.
    journal.flush();
  }
  EXPECT_THAT(Journal(file(), Journal::Sync::never).records(), ElementsAre("first", "second, which is too long"));
}

TEST_F(JournalFile, OneStudyAtATimeHoldsIt) {
  const Journal journal(file(), Journal::Sync::never);
  EXPECT_THAT(error_of([&] { Journal(file(), Journal::Sync::never); }), HasSubstr("in use by another process"));
}

Space plane() {
  Space space;
  space.add("x", uniform(-1, 1)).add("k", choice({"a", "b"})).add("z", uniform(0, 1), {{"k", {"b"}}});
  return space;
}
StudyOptions options(const std::filesystem::path& journal, const std::string& variant) {
  StudyOptions o{.mode = "min", .seed = 11, .num_trials = 40, .max_concurrent = 5, .seeds_per_trial = 2};
  o.scheduler = {.name = "asha", .max = 9, .variant = variant};
  o.journal = journal;
  return o;
}
double loss_of(const Job& job) {
  const double x = job.params.number("x") + (job.params.has("z") ? job.params.number("z") : 0.1);
  return x * x / job.until + 1e-3 * static_cast<double>(job.seed % 64);
}

/// Every (trial, repeat, until) that was answered.
using Answered = std::map<std::tuple<std::int64_t, std::int64_t, double>, int>;

/// Answers at most `count` jobs in random order; false when the study has ended.
bool answer(Study& study, Random& random, std::size_t count, Answered& answered) {
  std::vector<Job> open;
  for (;;) {
    while (auto job = study.ask()) open.push_back(std::move(*job));
    if (open.empty()) return false;
    if (count-- == 0) return true;
    const auto i = random.below(static_cast<std::uint32_t>(open.size()));
    ++answered[{open[i].trial, open[i].repeat, open[i].until}];
    study.tell(open[i], {.value = loss_of(open[i]), .state = "s" + std::string(1, '\0') + to_text(open[i].until)});
    open.erase(open.begin() + i);
  }
}

TEST_F(JournalFile, AStudyThatWasBrokenOffAnywhereEndsInTheSameTable) {
  for (const std::string variant : {"stop", "promote"}) {
    Random random(3, Stream::user);
    Answered once;
    Study whole(plane(), options({}, variant));
    answer(whole, random, 1'000'000, once);
    for (int round = 0; round < 20; ++round) {
      const auto path = file(variant + std::to_string(round));
      Answered answered;
      std::size_t pieces = 0;
      for (bool going = true; going; ++pieces) {
        Study study(plane(), options(path, variant));
        going = answer(study, random, random.below(40), answered);
        if (!going) {
          EXPECT_EQ(trials_csv(study), trials_csv(whole));
        }
      }
      EXPECT_GT(pieces, 2u);
      EXPECT_EQ(answered, once) << "something was lost or asked for again";
    }
  }
}

TEST_F(JournalFile, AJournalCutAtAnyByteLeadsToTheSameTable) {
  Random random(4, Stream::user);
  Answered answered;
  std::string table;
  {
    Study study(plane(), options(file(), "promote"));
    answer(study, random, 1'000'000, answered);
    table = trials_csv(study);
  }
  const std::string whole = content(file());
  for (int round = 0; round < 60; ++round) {
    write(file("cut"), whole.substr(0, random.below(static_cast<std::uint32_t>(whole.size()))));
    Study study(plane(), options(file("cut"), "promote"));
    answer(study, random, 1'000'000, answered);
    ASSERT_EQ(trials_csv(study), table);
  }
}

TEST_F(JournalFile, FastModeGoesOnFromTheDecisionsThatWereTaken) {
  auto fast = options(file(), "stop");
  fast.deterministic = false;
  Random random(5, Stream::user);
  Answered answered;
  std::vector<Trial> before;
  {
    Study study(plane(), fast);
    answer(study, random, 50, answered);
    before = study.trials();
  }
  Study study(plane(), fast);
  ASSERT_EQ(study.trials().size(), before.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    EXPECT_EQ(study.trials()[i].status, before[i].status);
    EXPECT_EQ(study.trials()[i].values, before[i].values);
  }
  answer(study, random, 1'000'000, answered);
  EXPECT_EQ(study.trials().size(), 40u);
  for (const auto& [job, times] : answered) EXPECT_EQ(times, 1);
}

TEST_F(JournalFile, MoreTrialsMayBeAskedForLater) {
  Random random(6, Stream::user);
  Answered answered;
  std::string first_rows;
  auto grown = options(file(), "stop");
  {
    Study study(plane(), grown);
    answer(study, random, 1'000'000, answered);
    first_rows = trials_csv(study);
  }
  grown.num_trials = 60;
  {
    Study study(plane(), grown);
    answer(study, random, 17, answered);
  }
  Study study(plane(), grown);
  answer(study, random, 1'000'000, answered);
  EXPECT_EQ(study.trials().size(), 60u);
  EXPECT_EQ(trials_csv(study).substr(0, first_rows.size()), first_rows);
  for (const auto& [job, times] : answered) EXPECT_EQ(times, 1);
}

// Such a state once left the constructor as an exception of the standard library's number reader.
TEST_F(JournalFile, AStateThatIsNotHexadecimalIsRefusedInWords) {
  { Study study(plane(), options(file(), "stop")); }
  {
    Journal journal(file(), Journal::Sync::never);
    journal.append(
        R"({"kind":"result","trial":0,"repeat":0,"until":1.0,"value":1.0,"iterations":1,"seconds":1.0,"state":"zz"})");
  }
  EXPECT_THAT(error_of([&] { Study(plane(), options(file(), "stop")); }), HasSubstr("hexadecimal"));
}

TEST_F(JournalFile, AnotherStudysJournalIsRefusedWithTheDifference) {
  { Study study(plane(), options(file(), "stop")); }
  const auto error = [&](auto change) {
    auto other = options(file(), "stop");
    change(other);
    return error_of([&] { Study(plane(), other); });
  };
  EXPECT_THAT(error([](auto& o) { o.seed = 12; }), HasSubstr("its seed is 11, not 12"));
  EXPECT_THAT(error([](auto& o) { o.max_concurrent = 4; }), HasSubstr("its max_concurrent is 5, not 4"));
  EXPECT_THAT(error([](auto& o) { o.num_trials = 39; }), HasSubstr("can only grow"));
  EXPECT_THAT(error_of([&] {
                Space other = plane();
                other.add("more", uniform(0, 1));
                Study(other, options(file(), "stop"));
              }),
              HasSubstr("its space is"));
}

}  // namespace
}  // namespace mobula::tune
