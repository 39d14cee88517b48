// Address files, which say where a head or a node is, and which process to end.
#include "runtime/daemon/address_file.h"
#include "tests/fuzz/input_file.h"

namespace mobula::fuzz {

void run(std::span<const std::byte> input) {
  static const InputFile file;
  const std::string& path = file.hold(input);
  const auto found = daemon::read_address_file(path);
  const auto head = daemon::head_at("@" + path, "", Duration{0});
  require(found.ok() == head.ok());
  if (!found.ok()) return require(found.error().code == ErrorCode::invalid && !found.error().message.empty());
  require(found->address.find(':') != std::string::npos);
  // (No process began at the moment that an input says, so whatever it names is left alone.)
  require(!daemon::lives(*found) || found->started != 0);
}

std::vector<Input> seeds() {
  return {bytes_of("10.0.0.1:6390\nhead \nkeys /home/me/mobula.keys\nname first\npid 4711\nstarted 123456\n"),
          bytes_of("[fe80::1]:7000\nhead 10.0.0.1:6390\nkeys k\nname second node\npid 1\nstarted 1\n"),
          bytes_of("localhost:1\n"), bytes_of("nowhere\npid -1\n")};
}

}  // namespace mobula::fuzz
