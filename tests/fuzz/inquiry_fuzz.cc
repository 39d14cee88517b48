// Questions and answers between nodes and commands: what can be read comes back as the same bytes.
#include <algorithm>

#include "runtime/daemon/inquiry.h"
#include "tests/fuzz/target.h"

namespace mobula::fuzz {

void run(std::span<const std::byte> input) {
  const auto same = [&](const Bytes& again) { require(std::ranges::equal(again.span(), input)); };
  if (const auto question = daemon::decode_question(input)) same(daemon::encode(*question));
  if (const auto answer = daemon::decode_answer(input)) same(daemon::encode(*answer));
}

std::vector<Input> seeds() {
  const Bytes question =
      daemon::encode(daemon::Question{1, daemon::Topic::logs, 100, {"simulate", "", "worker-1.log=7"}});
  const Bytes answer = daemon::encode(daemon::Answer{1, 2, "none", {{"a", "bc"}, {}, {""}}});
  return {copy_of(question), copy_of(answer)};
}

}  // namespace mobula::fuzz
