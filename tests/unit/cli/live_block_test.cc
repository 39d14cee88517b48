#include "cli/live_block.h"

#include <gmock/gmock.h>

#include "cli/table.h"
#include "tests/support/screen.h"

namespace mobula::cli {
namespace {

using tests::Screen;

TEST(LiveBlock, WritesLinesAnewInPlace) {
  Screen screen(40, 10);
  screen.write("before\n");
  const std::vector<std::string> first{"one", "two", "three"}, second{"1", "2", "3", "4"}, third{"only"};
  screen.write(frame({}, first, {40, 10}));
  EXPECT_EQ(screen.text(), "before\none\ntwo\nthree\n");
  screen.write(frame(first, second, {40, 10}));
  EXPECT_EQ(screen.text(), "before\n1\n2\n3\n4\n") << "what was longer is gone to the end of its line";
  EXPECT_EQ(screen.erased(), 0) << "nothing is erased that is written anew: it would flicker";
  screen.write(frame(second, third, {40, 10}));
  EXPECT_EQ(screen.text(), "before\nonly\n");
  screen.write(frame(third, {}, {40, 10}));
  EXPECT_EQ(screen.text(), "before\n\n");
  EXPECT_EQ(screen.unknown(), 0);
}

TEST(LiveBlock, CutsToTheTerminal) {
  const std::vector<std::string> lines{std::string(50, 'x'), "b", "c", "d"};
  const auto cut = cut_to_size(lines, {20, 4});
  ASSERT_EQ(cut.size(), 3u) << "one row stays free";
  EXPECT_EQ(cut[0], std::string(18, 'x')) << "a ^C that the terminal itself writes fits";
  Screen screen(20, 4);
  screen.write(frame({}, cut, {20, 4}) + "^C");
  EXPECT_EQ(screen.wrapped(), 0);
}

TEST(LiveBlock, GoesBackOverLinesThatANarrowerTerminalHasBroken) {
  // 30 columns of text in a terminal that is now 20 wide: two rows.
  EXPECT_EQ(frame({std::string(30, 'x'), "y"}, {"z"}, {20, 10}), "\033[2A\rz\033[K\033[J");
  EXPECT_EQ(frame({std::string(20, 'x'), "y"}, {"z"}, {20, 10}), "\033[1A\rz\033[K\033[J");
}

TEST(LiveBlock, CountsCharactersAndShowsNothingThatMovesTheCursor) {
  EXPECT_EQ(cut_to_width("\xC3\xA4\xC3\xB6\xC3\xBC", 2), "\xC3\xA4\xC3\xB6");
  EXPECT_EQ(cut_to_width("a\033[2Jb\nc\x7F", 20), "a?[2Jb?c?");
}

TEST(Tables, AreTakenApartWhereTheyAreTooWide) {
  const std::vector<std::vector<std::string>> rows{{"policy", "return", "mean_wait", "p95"},
                                                   {"trained", "1 [0, 2]", "5", "10"}};
  EXPECT_EQ(fitted(rows, 100), aligned(rows));
  EXPECT_EQ(fitted(rows, 30), "policy   return    mean_wait\ntrained  1 [0, 2]  5\n\npolicy   p95\ntrained  10\n");
  EXPECT_EQ(fitted(rows, 28), "policy   return    mean_wait\ntrained  1 [0, 2]  5\n\npolicy   p95\ntrained  10\n")
      << "fits exactly";
  EXPECT_EQ(fitted(rows, 27),
            "policy   return\ntrained  1 [0, 2]\n\npolicy   mean_wait  p95\ntrained  5          10\n");
  // Too narrow for anything: still every number, once.
  EXPECT_THAT(fitted(rows, 1), testing::HasSubstr("1 [0, 2]"));
}

TEST(Tables, SentencesAreBrokenBetweenWords) {
  EXPECT_EQ(wrapped("a short one", 80), "a short one\n");
  EXPECT_EQ(wrapped("one two three four", 9), "one two\n  three\n  four\n");
  EXPECT_EQ(wrapped("incomprehensibilities", 5), "incomprehensibilities\n");
}

}  // namespace
}  // namespace mobula::cli
