// wire::decode: what comes from other nodes and processes. What it accepts must survive encoding unchanged.
#include <utility>

#include "runtime/wire/codec.h"
#include "tests/fuzz/target.h"

namespace mobula::fuzz {

void run(std::span<const std::byte> input) {
  const auto message = wire::decode(input);
  if (!message) {
    require(message.error().code == ErrorCode::bad_message && !message.error().message.empty());
    return;
  }
  const auto again = wire::decode(wire::encode(*message));
  require(again && again->index() == message->index());
}

std::vector<Input> seeds() {
  std::vector<Input> all;
  [&]<std::size_t... kinds>(std::index_sequence<kinds...>) {
    (all.push_back(copy_of(wire::encode(wire::Message(std::in_place_index<kinds>)))), ...);
  }
  (std::make_index_sequence<std::variant_size_v<wire::Message>>());
  return all;
}

}  // namespace mobula::fuzz
