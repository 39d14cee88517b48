#include <mobula/rl/intersection.h>

#include <algorithm>

namespace mobula::rl {

Intersection::Observation Intersection::observe() const {
  Observation row{};
  row[signal_.next] = 1;
  row[2] = signal_.stage == Signal::Stage::green ? 1.0f : 0.0f;
  row[3] = std::min(2.0f, static_cast<float>(signal_.elapsed) / 60000.0f);
  row[4] = signal_.may_change(times_) ? 1.0f : 0.0f;
  float* out = row.data() + 5;
  for (const Lane& lane : lanes_) {
    int waiting = 0, near = 0, middle = 0, far = 0;
    float speed_sum = 0;
    std::int32_t longest = 0;
    const int first = lane.first_before_line();
    for (int i = first; i < lane.size(); ++i) {
      const float position = lane.position(i);
      near += position >= -50.0f ? 1 : 0;
      middle += position < -50.0f && position >= -120.0f ? 1 : 0;
      far += position < -120.0f ? 1 : 0;
      waiting += lane.speed(i) < Lane::waiting_speed ? 1 : 0;
      speed_sum += lane.speed(i);
      longest = std::max(longest, lane.wait(i));
    }
    if (lane.outside() > 0) longest = std::max(longest, now_ - lane.outside_arrivals().front());
    const int cars = lane.size() - first;
    out[0] = static_cast<float>(waiting) / 28.0f;
    out[1] = static_cast<float>(near) / 7.0f;
    out[2] = static_cast<float>(middle) / 10.0f;
    out[3] = static_cast<float>(far) / 12.0f;
    out[4] = cars > 0 ? speed_sum / static_cast<float>(cars * config_.driver.desired_speed) : 1.0f;
    out[5] = std::min(2.0f, static_cast<float>(longest) / 120000.0f);
    out[6] = std::min(2.0f, static_cast<float>(lane.outside()) / 20.0f);
    out += features_per_approach;
  }
  return row;
}

}  // namespace mobula::rl
