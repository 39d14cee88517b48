// The pictures of docs/guide/traffic.md: one moment of an hour under the fixed-time plan, and the minutes before it.
//   intersection_picture FOLDER        writes intersection.svg and intersection_episode.svg there
#include <mobula/rl/intersection.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

int main(int argc, char** argv) {
  using namespace mobula;
  using namespace mobula::rl;
  if (argc != 2) {
    std::fputs("usage: intersection_picture FOLDER\n", stderr);
    return 2;
  }
  const std::string folder = argv[1];
  Intersection env;
  Random random(1, Stream::evaluation);
  env.reset(random);
  std::vector<Intersection> frames;
  while (env.now() < 1500000 || !env.signal().green(Intersection::main_street) || env.signal().elapsed < 70000) {
    env.step(Intersection::baselines()[0].act(env), random);
    if (env.now() >= 1200000) frames.push_back(env);
  }
  std::ofstream(folder + "/intersection.svg") << env.render_svg();
  std::ofstream(folder + "/intersection_episode.svg") << render_episode_svg(frames);
  std::fputs(env.render_text().c_str(), stdout);
}
