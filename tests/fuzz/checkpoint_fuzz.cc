// Checkpoints of training runs. The first byte says whether the rest is the whole file, or what its checksum is added
// to: so that damage gets past it too.
#include "rl/train/checkpoint.h"

#include "rl/train/sha256.h"
#include "tests/fuzz/input_file.h"

namespace mobula::fuzz {

void run(std::span<const std::byte> input) {
  if (input.empty()) return;
  static const InputFile file;
  std::string content = text_of(input.subspan(1));
  if (input[0] != std::byte{'f'}) content += rl::sha256(input.subspan(1)) + "\n";
  try {
    const rl::Checkpoint checkpoint = rl::read_checkpoint(file.hold(bytes_of(content)));
    std::size_t bytes = 0;
    for (const auto& [name, section] : checkpoint.sections) {
      require(&checkpoint.section(name) == &section);  // its name is no other's
      bytes += section.size();
    }
    require(bytes < content.size());
  } catch (const rl::CheckpointError& error) {
    require(*error.what() != 0);
  }
}

std::vector<Input> seeds() {
  const std::string body =
      "MOBULA-CHECKPOINT 1\n"
      R"({"program":"0.1.0","iteration":7,"env_steps":1400,"sections":[{"name":"learner","bytes":5},{"name":"rng","bytes":3}]})"
      "\nabcdexyz";
  const std::string hash = rl::sha256(std::as_bytes(std::span(body.data(), body.size()))) + "\n";
  return {bytes_of("f" + body + hash), bytes_of("b" + body),
          bytes_of("bMOBULA-CHECKPOINT 1\n{\"iteration\":0,\"env_steps\":0,\"sections\":[]}\n"),
          bytes_of("bMOBULA-CHECKPOINT 2\n\n")};
}

}  // namespace mobula::fuzz
