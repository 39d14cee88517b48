// NAME_fuzz CORPUS: runs the target on its seeds, on each file of the corpus, and on fixed mutations of all of them.
// Exit status 0, or the crash that the sanitizer or the target made of it; the input is then in crash.input.
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>

#include <mobula/random.h>

#include "tests/fuzz/target.h"

namespace mobula::fuzz {
namespace {

constexpr int kRuns = 20000;  // of mutations, in all
const Input* running = nullptr;

// Only what a signal handler may: the process is about to end, and nobody else writes.
extern "C" void keep_input(int signal) {
  if (std::FILE* file = std::fopen("crash.input", "wb")) {
    std::fwrite(running->data(), 1, running->size(), file);
    std::fclose(file);
  }
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

Input mutated(Input input, const std::vector<Input>& others, Random& random) {
  const auto below = [&](std::size_t n) {
    return static_cast<std::size_t>(random.below(static_cast<std::uint32_t>(n)));
  };
  for (std::uint32_t times = 1 + random.below(4); times > 0; --times) {
    const std::size_t size = input.size();
    switch (size == 0 ? 5 : random.below(6)) {
      case 0:
        input[below(size)] ^= static_cast<std::byte>(1u << random.below(8));
        break;
      case 1:
        input[below(size)] = static_cast<std::byte>(random.below(256));
        break;
      case 2:
        input.resize(below(size));
        break;
      case 3: {  // a length or an offset that is far too large
        const std::size_t at = below(size) / 4 * 4;
        for (std::size_t k = at; k < std::min(size, at + 4); ++k) input[k] = std::byte{0xff};
        break;
      }
      case 4: {  // the tail of another input
        const Input& other = others[below(others.size())];
        if (other.empty()) break;
        input.resize(below(size));
        input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(below(other.size())), other.end());
        break;
      }
      default:
        input.insert(input.end(), 1 + below(16), static_cast<std::byte>(random.below(256)));
    }
  }
  return input;
}

int replay(const std::filesystem::path& corpus) {
  std::vector<Input> inputs = seeds();
  const std::size_t own = inputs.size();
  if (std::filesystem::is_directory(corpus)) {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(corpus)) files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    for (const auto& path : files) {
      std::ifstream file(path, std::ios::binary);
      const std::string text{std::istreambuf_iterator<char>(file), {}};
      inputs.push_back(copy_of(std::as_bytes(std::span(text))));
    }
  }
  if (inputs.empty()) {
    std::cerr << "no seeds: nothing was tested\n";
    return 1;
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGFPE, SIGBUS, SIGILL}) std::signal(signal, keep_input);
  std::size_t runs = 0;
  const auto once = [&](const Input& input) {
    running = &input;
    run(input);
    ++runs;
  };
  Random random(1, Stream::user);
  for (const Input& input : inputs) once(input);
  for (int k = 0; k < kRuns; ++k) once(mutated(inputs[static_cast<std::size_t>(k) % inputs.size()], inputs, random));
  std::cout << own << " seeds, " << inputs.size() - own << " inputs of the corpus, " << runs << " runs\n";
  return 0;
}

}  // namespace
}  // namespace mobula::fuzz

int main(int argc, char** argv) {
  return mobula::fuzz::replay(argc > 1 ? argv[1] : "");
}
