// libFuzzer's entry. With --seeds FOLDER as the only arguments it writes the seeds there instead, to start a corpus.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "tests/fuzz/target.h"

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv) {
  if (*argc != 3 || std::strcmp((*argv)[1], "--seeds") != 0) return 0;
  int number = 0;
  for (const auto& seed : mobula::fuzz::seeds()) {
    std::ofstream file(std::string((*argv)[2]) + "/seed-" + std::to_string(number++), std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.data()), static_cast<std::streamsize>(seed.size()));
  }
  std::exit(0);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  mobula::fuzz::run({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
