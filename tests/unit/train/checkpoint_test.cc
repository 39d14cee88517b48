#include "rl/train/checkpoint.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "rl/train/files.h"
#include "rl/train/sha256.h"
#include "tests/support/small_disk.h"
#include "tests/unit/train/scratch.h"

namespace mobula::rl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Checkpoint example(std::int64_t iteration) {
  Checkpoint checkpoint;
  checkpoint.iteration = iteration;
  checkpoint.env_steps = iteration * 256;
  checkpoint.add("learner", std::string("\0\n\xff binary", 10));
  checkpoint.add("environments", "");
  return checkpoint;
}

std::string error_of(const std::filesystem::path& file) {
  try {
    read_checkpoint(file);
  } catch (const CheckpointError& error) {
    return error.what();
  }
  return "";
}

// Half a checkpoint once stayed on the disk that was full, and took the room that the next one needed.
TEST(WriteFile, LeavesTheOldFileAndNothingElseWhenThereIsNoRoom) {
  Scratch scratch;
  write_file(scratch / "file", "old");
  {
    const tests::SmallDisk disk(1000);
    EXPECT_THROW(write_file(scratch / "file", std::string(2000, 'x')), FileError);
  }
  EXPECT_EQ(read_file(scratch / "file"), "old");
  EXPECT_FALSE(std::filesystem::exists(scratch / "file.new"));
}

TEST(Sha256, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(sha256({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  const std::string text = "abc";
  EXPECT_EQ(sha256(std::as_bytes(std::span(text))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Checkpoint, ReadsBackWhatWasWritten) {
  const Scratch scratch;
  write_checkpoint(scratch / "one", example(7));
  const Checkpoint read = read_checkpoint(scratch / "one");
  EXPECT_EQ(read.iteration, 7);
  EXPECT_EQ(read.env_steps, 7 * 256);
  EXPECT_EQ(read.sections, example(7).sections);
}

TEST(Checkpoint, TellsWhatItIsInItsFirstTwoLines) {
  const Scratch scratch;
  write_checkpoint(scratch / "one", example(7));
  std::ifstream in(scratch / "one");
  std::string first, second;
  std::getline(in, first);
  std::getline(in, second);
  EXPECT_EQ(first, "MOBULA-CHECKPOINT 1");
  EXPECT_THAT(second, HasSubstr("\"iteration\":7"));
  EXPECT_THAT(second, HasSubstr("\"name\":\"learner\",\"bytes\":10"));
}

TEST(Checkpoint, IsRefusedWhereverItIsCutOff) {
  const Scratch scratch;
  write_checkpoint(scratch / "whole", example(7));
  const std::string whole = read_file(scratch / "whole");
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(scratch / "torn", std::ios::binary) << whole.substr(0, length);
    EXPECT_NE(error_of(scratch / "torn"), "") << "cut to " << length << " of " << whole.size() << " bytes";
  }
}

TEST(Checkpoint, IsRefusedWhicheverByteChanges) {
  const Scratch scratch;
  write_checkpoint(scratch / "whole", example(7));
  const std::string whole = read_file(scratch / "whole");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string altered = whole;
    altered[at] = static_cast<char>(altered[at] ^ 1);
    std::ofstream(scratch / "altered", std::ios::binary) << altered;
    EXPECT_NE(error_of(scratch / "altered"), "") << "byte " << at;
  }
}

TEST(Checkpoint, SaysWhatIsWrong) {
  const Scratch scratch;
  write_file(scratch / "empty", "");
  EXPECT_THAT(error_of(scratch / "empty"), HasSubstr("the file is empty"));
  write_file(scratch / "other", "hello\n");
  EXPECT_THAT(error_of(scratch / "other"), HasSubstr("not a checkpoint of Mobula"));
  write_file(scratch / "newer", "MOBULA-CHECKPOINT 9\n{}\n");
  EXPECT_THAT(error_of(scratch / "newer"), HasSubstr("it is of format 9, this program reads format 1"));
}

// A header that said how long its sections are by a number that wraps around once led past the end of the file, in an
// exception that CheckpointFolder did not take for a reason to use an older file.
TEST(Checkpoint, WithASoundChecksumMayStillBeWrong) {
  const Scratch scratch;
  const auto error_with = [&](const std::string& header, const std::string& sections) {
    const std::string body = "MOBULA-CHECKPOINT 1\n" + header + sections;
    write_file(scratch / "one", body + sha256(std::as_bytes(std::span(body))) + "\n");
    return error_of(scratch / "one");
  };
  const std::string begin = R"({"iteration":1,"env_steps":2,"sections":[)";
  EXPECT_EQ(error_with(begin + R"({"name":"a","bytes":1}]})" + "\n", "x"), "");
  EXPECT_THAT(error_with(begin + R"({"name":"a","bytes":2}]})" + "\n", "x"), HasSubstr("longer than the file"));
  EXPECT_THAT(error_with(begin + R"({"name":"a","bytes":1},{"name":"a","bytes":1}]})" + "\n", "xy"),
              HasSubstr("one name"));
  EXPECT_THAT(error_with(begin + R"({"name":"a","bytes":18446744073709551551},{"name":"b","bytes":70}]})", ""),
              HasSubstr("no end"));
  EXPECT_THAT(error_with("[1]\n", ""), HasSubstr("cannot be read"));
}

TEST(CheckpointFolder, KeepsTheNewest) {
  const Scratch scratch;
  const CheckpointFolder folder(scratch / "checkpoints");
  for (int i = 1; i <= 5; ++i) folder.save(example(i), 2);
  EXPECT_THAT(folder.files(), ElementsAre(scratch / "checkpoints/000000000005.checkpoint",
                                          scratch / "checkpoints/000000000004.checkpoint"));
}

TEST(CheckpointFolder, FallsBackToThePreviousOneWhenTheNewestIsTorn) {
  const Scratch scratch;
  const CheckpointFolder folder(scratch / "checkpoints");
  folder.save(example(1), 3);
  const auto newest = folder.save(example(2), 3);
  std::filesystem::resize_file(newest, std::filesystem::file_size(newest) / 2);
  const auto loaded = folder.load_newest();
  EXPECT_EQ(loaded.checkpoint.iteration, 1);
  EXPECT_THAT(loaded.refused, ElementsAre(HasSubstr("000000000002.checkpoint: the checksum does not fit")));
}

TEST(CheckpointFolder, NamesEveryFileWhenNoneCanBeUsed) {
  const Scratch scratch;
  const CheckpointFolder folder(scratch / "checkpoints");
  for (int i = 1; i <= 2; ++i) std::filesystem::resize_file(folder.save(example(i), 3), 30);
  try {
    folder.load_newest();
    FAIL();
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), HasSubstr("holds no checkpoint that can be used"));
    EXPECT_THAT(error.what(), HasSubstr("000000000001.checkpoint"));
    EXPECT_THAT(error.what(), HasSubstr("000000000002.checkpoint"));
  }
}

// A crash while writing leaves the half-written file beside the target; it is not taken for a checkpoint.
TEST(CheckpointFolder, IgnoresWhatACrashLeftBeside) {
  const Scratch scratch;
  const CheckpointFolder folder(scratch / "checkpoints");
  folder.save(example(1), 3);
  std::ofstream(scratch / "checkpoints/000000000002.checkpoint.new") << "MOBULA";
  EXPECT_EQ(folder.load_newest().checkpoint.iteration, 1);
  EXPECT_TRUE(folder.load_newest().refused.empty());
}

}  // namespace
}  // namespace mobula::rl
