#include <semaphore>
#include <string>
#include <thread>

#include "runtime/process/worker_start.h"

namespace {
// A library that starts a thread as it is loaded.
std::binary_semaphore never{0};
const bool started = [] {
  std::thread([] { never.acquire(); }).detach();
  return true;
}();

int work(const mobula::process::WorkerStart& start) {
  std::string line = "slot " + std::to_string(start.slot) + " generation " + std::to_string(start.generation) +
                     " options " + std::string(start.options) + "\n";
  std::fputs(line.c_str(), stdout);
  return 7;
}
}  // namespace

int main(int argc, char** argv) {
  mobula::process::init_zygote_if_marked(argc, argv, work);
  return started ? 0 : 1;
}
