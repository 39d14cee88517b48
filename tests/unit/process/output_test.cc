#include "runtime/process/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <random>

#include "tests/unit/process/worker_roles.h"

namespace mobula::process {
namespace {

constexpr std::uint64_t token = 0x0011223344556677;

TEST(OutputLines, CarryTheNameOfTheTaskThatPrintedThem) {
  OutputLines lines(token, 42);
  std::string out;
  lines.feed("early\n" + output_mark(token, "square") + "a\nb\n" + output_mark(token, "cube") + "c\n", out);
  EXPECT_EQ(out, "(worker pid=42) early\n(square pid=42) a\n(square pid=42) b\n(cube pid=42) c\n");
}

TEST(OutputLines, HoldALineUntilItEnds) {
  OutputLines lines(token, 42);
  std::string out;
  lines.feed("be", out);
  EXPECT_EQ(out, "");
  lines.feed("gin\nrest", out);
  EXPECT_EQ(out, "(worker pid=42) begin\n");
  lines.finish(out);
  EXPECT_EQ(out, "(worker pid=42) begin\n(worker pid=42) rest\n");
}

TEST(OutputLines, EndALineWhenTheNameChanges) {
  OutputLines lines(token, 42);
  std::string out;
  lines.feed(output_mark(token, "a") + "half" + output_mark(token, "b") + "whole\n", out);
  EXPECT_EQ(out, "(a pid=42) half\n(b pid=42) whole\n");
}

TEST(OutputLines, CutALineThatNeverEnds) {
  OutputLines lines(token, 1);
  std::string out;
  for (int i = 0; i < 100; ++i) lines.feed(std::string(OutputLines::max_line / 10, 'x'), out);
  const std::size_t whole = out.size();
  EXPECT_GE(whole, 9 * OutputLines::max_line);
  EXPECT_LE(whole, 11 * OutputLines::max_line);
}

TEST(OutputLines, PassOnBytesThatOnlyResembleAMark) {
  OutputLines lines(token, 42);
  std::string out;
  const std::string forged = output_mark(token + 1, "root");
  lines.feed(forged + "\n", out);
  EXPECT_EQ(out, "(worker pid=42) " + forged + "\n");
  out.clear();
  lines.feed(output_mark(token, "name").substr(0, 7), out);
  lines.finish(out);
  EXPECT_EQ(out, "(worker pid=42) " + output_mark(token, "name").substr(0, 7) + "\n");
}

TEST(OutputLines, DoNotDependOnHowThePipeCutsTheBytes) {
  std::mt19937 random(7);
  std::string stream;
  for (int i = 0; i < 300; ++i) {
    switch (random() % 4) {
      case 0:
        stream += output_mark(token, "task" + std::to_string(random() % 5));
        break;
      case 1:
        stream += std::string(random() % 20, '\0');
        break;
      case 2:
        stream += output_mark(token, "x").substr(0, random() % 12);
        break;
      default:
        stream += "some text\n";
        break;
    }
  }
  const auto read_in_pieces = [&](auto size) {
    OutputLines lines(token, 1);
    std::string out;
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t take = std::min<std::size_t>(size(), stream.size() - at);
      lines.feed(std::string_view(stream).substr(at, take), out);
      at += take;
    }
    lines.finish(out);
    return out;
  };
  const std::string whole = read_in_pieces([] { return std::size_t{1} << 30; });
  EXPECT_EQ(read_in_pieces([] { return std::size_t{1}; }), whole);
  EXPECT_EQ(read_in_pieces([&] { return std::size_t{1 + random() % 30}; }), whole);
}

const WorkerRole printing("print", [](const WorkerStart&) {
  set_output_name("first");
  std::printf("unfinished");
  set_output_name("second");
  std::printf("line\n");
  std::fprintf(stderr, "complaint\n");
  set_output_name(std::string(500, 'n'));
  std::printf("end");
  return 0;
});

TEST(OutputLines, OfARealWorkerAreNamedOnBothStreams) {
  Collector collector;
  auto zygote = Zygote::start({.options = "print"});
  zygote->fork_worker(1, 1);
  ASSERT_TRUE(collector.run(*zygote, [&] { return collector.output.find(") end\n") != std::string::npos; }));
  const std::string pid = std::to_string(collector.started.begin()->first);
  EXPECT_EQ(collector.output, "(first pid=" + pid + ") unfinished\n(second pid=" + pid + ") line\n(" +
                                  std::string(120, 'n') + " pid=" + pid + ") end\n");
  EXPECT_EQ(collector.errors, "(second pid=" + pid + ") complaint\n");
}

}  // namespace
}  // namespace mobula::process
