#include "rl/records/scalar_events.h"

#include <gmock/gmock.h>

#include <limits>

namespace mobula::rl {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::vector<ScalarEvent> all(std::string_view file) {
  std::vector<ScalarEvent> events;
  filter_events(file, [&](const ScalarEvent& event) {
    events.push_back(event);
    return true;
  });
  return events;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const unsigned char c : bytes) {
    for (const int digit : {c >> 4, c & 15}) text += "0123456789abcdef"[digit];
  }
  return text;
}

// What TensorFlow writes at wall time 1: tf.io.TFRecordWriter of Event(wall_time=1, file_version="brain.Event:2") gives
// the same bytes. Its two checksums were computed bit by bit from the definition of CRC-32C.
TEST(ScalarEvents, AreTheBytesThatTensorFlowWrites) {
  EXPECT_EQ(hex(events_begin(1.0)),
            "1800000000000000"                // 24 bytes
            "a37f4b22"                        // masked CRC of the length
            "09000000000000f03f"              // wall_time = 1.0
            "1a0d627261696e2e4576656e743a32"  // file_version = "brain.Event:2"
            "86bf577a");
}

TEST(ScalarEvents, ReadBackAsTheyWereWritten) {
  const std::vector<std::pair<std::string, double>> two{{"loss", 0.5}, {"fairness/gap[a - b]", -3}};
  const auto events =
      all(events_begin(1) + scalar_event(2, 300, two) + events_resume(3, 301) + scalar_event(4, 0, two));
  ASSERT_EQ(events.size(), 4u);
  EXPECT_TRUE(events[0].scalars.empty());
  EXPECT_EQ(events[1].wall_time, 2);
  EXPECT_EQ(events[1].step, 300);
  EXPECT_THAT(events[1].scalars, ElementsAre(Pair("loss", 0.5), Pair("fairness/gap[a - b]", -3)));
  EXPECT_EQ(events[2].step, 301);
  EXPECT_EQ(events[3].step, 0);
}

TEST(ScalarEvents, LeaveOutWhatIsNoNumber) {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::pair<std::string, double>> some{{"a", nan}, {"b", 1}, {"c", -infinity}}, none{{"a", nan}};
  EXPECT_THAT(all(scalar_event(1, 1, some))[0].scalars, ElementsAre(Pair("b", 1)));
  EXPECT_EQ(scalar_event(1, 1, none), "");
  EXPECT_EQ(scalar_event(1, 1, {}), "");
}

TEST(ScalarEvents, EndWhereAFileIsTornOrDamaged) {
  const std::vector<std::pair<std::string, double>> one{{"loss", 0.5}};
  const std::string first = events_begin(1) + scalar_event(2, 1, one), second = scalar_event(3, 2, one);
  const auto everything = [](const ScalarEvent&) { return true; };
  for (std::size_t size = 0; size < second.size(); ++size) {
    EXPECT_EQ(filter_events(first + second.substr(0, size), everything), first) << size << " bytes of the last";
  }
  for (std::size_t byte = 0; byte < second.size(); ++byte) {
    std::string damaged = second;
    damaged[byte] ^= 0x10;
    EXPECT_EQ(filter_events(first + damaged, everything), first) << "byte " << byte;
  }
  EXPECT_EQ(filter_events(first + second, [](const ScalarEvent& event) { return event.step != 1; }),
            events_begin(1) + second);
}

}  // namespace
}  // namespace mobula::rl
