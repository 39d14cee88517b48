// torch_start: how long a training program takes to its first update, with the native learner and with the torch
// one, beside the time that loading LibTorch takes in the same run. Each is measured in processes of their own, five
// times in turn; medians.
#include <dlfcn.h>
#include <mobula/rl/train.h>
#include <mobula/runtime.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

// The program again, with this argument, from exec to end.
double seconds_of(const char* what) {
  const auto begin = Clock::now();
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/proc/self/exe", "torch_start", what, nullptr);
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    std::fprintf(stderr, "torch_start %s failed\n", what);
    std::exit(1);
  }
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// One iteration of the smallest kind.
void train_once(const char* learner) {
  mobula::rl::TrainOptions options;
  options.env = *mobula::rl::find_environment("cartpole");
  options.algorithm =
      mobula::rl::PpoOptions{.n_envs = 8, .n_steps = 32, .batch_size = 256, .n_epochs = 1, .learner = learner};
  options.stop.env_steps = 256;
  options.evaluate.episodes = 1;
  options.workers = 0;
  options.write = false;
  mobula::rl::train(options);
}

}  // namespace

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  if (argc == 2) {
    if (std::strcmp(argv[1], "libtorch") == 0) {
      if (!::dlopen(MOBULA_LIBTORCH, RTLD_NOW)) return 1;
    } else {
      train_once(argv[1]);
    }
    std::fflush(stdout);
    ::_exit(0);
  }
  const char* names[] = {"native", "libtorch", "torch"};
  std::vector<double> seconds[3];
  for (int round = 0; round < 5; ++round) {
    for (int k = 0; k < 3; ++k) seconds[k].push_back(seconds_of(names[k]));
  }
  double median[3];
  for (int k = 0; k < 3; ++k) {
    std::nth_element(seconds[k].begin(), seconds[k].begin() + 2, seconds[k].end());
    median[k] = seconds[k][2];
  }
  std::printf("start_native    %.3f s\nload_libtorch   %.3f s\nstart_torch     %.3f s (%.3f s more than loading)\n",
              median[0], median[1], median[2], median[2] - median[1]);
}
