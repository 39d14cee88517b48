// Decision logs, as `mobula replay` reads them.
#include <sstream>
#include <string>

#include "scheduler/replay/replay.h"
#include "tests/fuzz/target.h"

namespace mobula::fuzz {

void run(std::span<const std::byte> input) {
  std::istringstream log(std::string(reinterpret_cast<const char*>(input.data()), input.size()));
  const auto recording = scheduler::read_recording(log);
  if (!recording) require(!recording.error().message.empty());
}

std::vector<Input> seeds() {
  const std::string log =
      "0 node n=1 name=a total=cpu:4,gpu:1 label.zone=b\n"
      "0 ask n=1 owner=1:1.1 tag=0 order=1 ask=cpu:1 spread=1 -> grant there is room here\n"
      "0 lease n=1 lease=1 owner=1:1.1 tag=0 order=1 ask=cpu:1\n"
      "1 end n=1 lease=1\n";
  return {copy_of(std::as_bytes(std::span(log)))};
}

}  // namespace mobula::fuzz
