// Configuration files and overrides: text that people write. The input is a file; what follows a zero byte is an
// override laid over it.
#include <algorithm>
#include <string>

#include "runtime/config/document.h"
#include "tests/fuzz/target.h"

namespace mobula::fuzz {

void run(std::span<const std::byte> input) {
  const std::string text(reinterpret_cast<const char*>(input.data()), input.size());
  const std::size_t end = std::min(text.find('\0'), text.size());
  try {
    config::Document document = config::Document::parse(text.substr(0, end), "input.yaml");
    for (const auto& key : document.keys("")) static_cast<void>(document.has(key));
    if (end < text.size()) document.set(text.substr(end + 1));
  } catch (const config::ConfigError& error) {
    require(error.what() != nullptr && *error.what() != 0);
  }
}

std::vector<Input> seeds() {
  const std::string files[] = {
      "experiment: cartpole\nenv: {name: cartpole}\nalgorithm:\n  name: ppo\n  lr: 3.0e-4\n  hidden: [64, 64]\n",
      "a: &x {b: 1}\nc: *x\nd: |\n  text\n",
      "tune:\n  metric: return\nlr: {loguniform: [1e-5, 1e-2]}\n# comment\n",
      std::string("a: {b: [1, 2]}\n\0a.b.0=3", 23),
  };
  std::vector<Input> all;
  for (const auto& file : files) all.push_back(copy_of(std::as_bytes(std::span(file))));
  return all;
}

}  // namespace mobula::fuzz
