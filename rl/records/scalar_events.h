#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mobula::rl {

/// TensorBoard's event files, written without protobuf or TensorFlow.
///
/// A file is a sequence of records: the length as 8 little-endian bytes, a masked CRC-32C of those, the payload, a
/// masked CRC-32C of the payload (tensorflow/core/lib/io/record_writer.h; the mask is `rotate_right(crc, 15) +
/// 0xa282ead8`). A payload is an Event of tensorflow/core/util/event.proto: wall_time (1, double), step (2, int64) and
/// one of file_version (3), summary (5) or session_log (7). A summary has values (1) of tag (1) and simple_value (2,
/// float); we write no others. All functions return the bytes of whole records.

using Scalars = std::span<const std::pair<std::string, double>>;

/// What each file begins with.
std::string events_begin(double wall_time);
/// Tells readers that follow a run that it goes on: what they have of `step` and later is void.
std::string events_resume(double wall_time, std::int64_t step);
/// One record with all of them; values that are not finite are left out, nothing if none is.
std::string scalar_event(double wall_time, std::int64_t step, Scalars scalars);

struct ScalarEvent {
  double wall_time = 0;
  std::int64_t step = 0;
  std::vector<std::pair<std::string, double>> scalars;  ///< empty: a version or a note of the session
};
/// The records of a file of ours that `keep` wants, in their order. Ends at the first that is torn or damaged.
std::string filter_events(std::string_view file, const std::function<bool(const ScalarEvent&)>& keep);

}  // namespace mobula::rl
