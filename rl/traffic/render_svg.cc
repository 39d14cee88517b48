#include <fmt/format.h>
#include <mobula/rl/intersection.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include "rl/traffic/drawing.h"

namespace mobula::rl {
namespace {

// Two pixels a metre, the junction in the middle; lanes and cars are drawn wider than they are.
constexpr double scale = 2, size = 830, middle = size / 2;
constexpr double lane_width = 13, car_length = 10, car_width = 7;
constexpr double box = Lane::junction / 2.0;  // m from the middle to a stop line
constexpr std::array<std::string_view, 3> light_colour{"#3ecf6a", "#f6c945", "#e5484d"};

struct Point {
  double x, y;
};

// Where the front bumper of a car is on the picture, and which way it faces.
Point at(int approach, double position) {
  const double along = (position - box) * scale, beside = lane_width / 2;
  switch (approach) {
    case Intersection::west:
      return {middle + along, middle + beside};
    case Intersection::east:
      return {middle - along, middle - beside};
    case Intersection::north:
      return {middle - beside, middle + along};
    default:
      return {middle + beside, middle - along};
  }
}
constexpr std::array<int, 4> heading{0, 180, 90, 270};  // degrees, of a car drawn facing right

template <class... Args>
void add(std::string& out, fmt::format_string<Args...> text, Args&&... args) {
  fmt::format_to(std::back_inserter(out), text, std::forward<Args>(args)...);
}

// Grass, roads and markings.
void ground(std::string& out) {
  const double half = lane_width, stop = box * scale;
  add(out,
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {0} {0}" width="{0}" height="{0}" )"
      R"(font-family="Helvetica, Arial, sans-serif">)"
      "\n<rect width=\"{0}\" height=\"{0}\" fill=\"#dfe9d8\"/>\n",
      size);
  for (const double kerb : {half + 4, half}) {
    add(out,
        R"(<g fill="{0}"><rect x="0" y="{1}" width="{2}" height="{3}"/><rect x="{1}" y="0" width="{3}" height="{2}"/>)",
        kerb > half ? "#c9cfc2" : "#50555f", middle - kerb, size, 2 * kerb);
    const double corner = stop - (kerb > half ? 0 : 4);
    add(out,
        R"(<rect x="{0}" y="{0}" width="{1}" height="{1}" rx="6"/></g>)"
        "\n",
        middle - corner, 2 * corner);
  }
  add(out,
      R"(<g stroke="#f4f4ef" stroke-width="1.4" stroke-dasharray="9 8"><path d="M0 {0}H{1}M{2} {0}H{3}M{0} 0V{1}M{0} {2}V{3}" fill="none"/></g>)"
      "\n",
      middle, middle - stop, middle + stop, size);
  add(out,
      R"(<g stroke="#ffffff" stroke-width="3"><path d="M{0} {2}v{3}M{1} {2}v-{3}M{2} {0}h-{3}M{2} {1}h{3}"/></g>)"
      "\n",
      middle - stop, middle + stop, middle, lane_width);
}

// The lamp of an approach stands to the right of its stop line.
Point lamp(int approach) {
  const double back = box * scale + 8, side = lane_width + 11;
  switch (approach) {
    case Intersection::west:
      return {middle - back, middle + side};
    case Intersection::east:
      return {middle + back, middle - side};
    case Intersection::north:
      return {middle - side, middle - back};
    default:
      return {middle + side, middle + back};
  }
}

void lamps(std::string& out, const std::array<std::string, 2>& animation, const std::array<drawing::Light, 2>& light) {
  for (int a = 0; a < Intersection::approaches; ++a) {
    const auto [x, y] = lamp(a);
    const int street = Intersection::street_of(a);
    add(out,
        R"(<circle cx="{}" cy="{}" r="6" fill="{}" stroke="#2b2f36" stroke-width="2">{}</circle>)"
        "\n",
        x, y, light_colour[static_cast<int>(light[street])], animation[street]);
  }
}

constexpr std::string_view car_shape =
    R"(<rect x="-{0}" y="-{1}" width="{0}" height="{2}" rx="2.4"/><rect x="-4" y="-{3}" width="2.4" height="{4}" rx="1" fill="#2b2f36" opacity=".55"/>)";

std::string car() {
  return fmt::format(fmt::runtime(car_shape), car_length, car_width / 2, car_width, car_width / 2 - 1, car_width - 2);
}

void legend(std::string& out) {
  const double x = 470, y = 770;
  out += R"(<defs><linearGradient id="wait">)";
  for (const int s : {0, 30, 90})
    add(out, R"(<stop offset="{:.3f}" stop-color="{}"/>)", s / 90.0, drawing::wait_colour(s * 1000));
  add(out,
      R"(</linearGradient></defs><g font-size="13" fill="#3a4048"><text x="{0}" y="{1}">waited so far</text>)"
      R"svg(<rect x="{0}" y="{2}" width="270" height="9" rx="4" fill="url(#wait)"/>)svg"
      R"(<text x="{0}" y="{3}">0 s</text><text x="{4}" y="{3}">30 s</text><text x="{5}" y="{3}" text-anchor="end">90 s or more</text></g>)"
      "\n",
      x, y - 10, y, y + 25, x + 80, x + 270);
}

std::string table(const Intersection& env, double x, double y) {
  std::string out;
  add(out, R"(<g font-size="14" fill="#3a4048"><text x="{}" y="{}" font-weight="bold">from</text>)", x, y);
  const std::array<double, 3> column{x + 140, x + 228, x + 330};
  const std::array<std::string_view, 3> title{"waiting", "mean wait", "longest now"};
  for (int k = 0; k < 3; ++k)
    add(out, R"(<text x="{}" y="{}" font-weight="bold" text-anchor="end">{}</text>)", column[k], y, title[k]);
  for (int a = 0; a < Intersection::approaches; ++a) {
    const Lane& lane = env.lane(a);
    int waiting = lane.outside();
    std::int32_t longest = lane.outside() > 0 ? env.now() - lane.outside_arrivals().front() : 0;
    for (int i = lane.first_before_line(); i < lane.size(); ++i) {
      waiting += lane.speed(i) < Lane::waiting_speed ? 1 : 0;
      longest = std::max(longest, lane.wait(i));
    }
    const double mean =
        static_cast<double>(env.waited(a)) / 1000 / static_cast<double>(std::max<std::int64_t>(1, lane.arrived()));
    const double row = y + 21 * (a + 1);
    add(out,
        R"(<text x="{}" y="{}">{} ({})</text><text x="{}" y="{}" text-anchor="end">{}</text><text x="{}" y="{}" text-anchor="end">{:.1f} s</text><text x="{}" y="{}" text-anchor="end">{} s</text>)",
        x, row, Intersection::approach_names[a], Intersection::group_names[Intersection::street_of(a)], column[0], row,
        waiting, column[1], row, mean, column[2], row, longest / 1000);
  }
  return out + "</g>\n";
}

void heading_text(std::string& out, const Intersection& env, std::string_view second_line) {
  add(out,
      R"(<g fill="#3a4048"><text x="40" y="52" font-size="24" font-weight="bold">Intersection</text><text x="40" y="76" font-size="14">main {:.0f}, side {:.0f} vehicles/h on each approach</text><text x="40" y="98" font-size="14">{}</text></g>)"
      "\n",
      env.config().main_demand, env.config().side_demand, second_line);
}

}  // namespace

std::string Intersection::render_svg() const {
  std::string out;
  ground(out);
  lamps(out, {}, {drawing::light(signal_, main_street), drawing::light(signal_, side_street)});
  for (int a = 0; a < approaches; ++a) {
    const Lane& lane = lanes_[a];
    for (int i = 0; i < lane.size(); ++i) {
      const auto [x, y] = at(a, static_cast<double>(lane.position(i)));
      add(out,
          R"svg(<g transform="translate({:.1f} {:.1f}) rotate({})" fill="{}">{}</g>)svg"
          "\n",
          x, y, heading[a], drawing::wait_colour(lane.wait(i)), car());
    }
    if (lane.outside() > 0) {
      const auto [x, y] = at(a, -static_cast<double>(Lane::approach) + 12);
      add(out,
          R"(<g><circle cx="{0:.1f}" cy="{1:.1f}" r="15" fill="{2}"/><text x="{0:.1f}" y="{3:.1f}" font-size="12" text-anchor="middle" fill="#fff">+{4}</text></g>)"
          "\n",
          x, y, drawing::wait_colour(now_ - lane.outside_arrivals().front()), y + 4, lane.outside());
    }
  }
  heading_text(out, *this, drawing::clock(now_));
  out += table(*this, 470, 52);
  legend(out);
  return out + "</svg>\n";
}

namespace {

// A car's way through the frames: where it was and how long it had waited.
struct Track {
  int first = 0;
  std::vector<double> position;
  std::vector<std::int32_t> wait;
};

std::map<std::int64_t, Track> tracks(std::span<const Intersection> frames, int approach) {
  std::map<std::int64_t, Track> out;
  for (int f = 0; f < static_cast<int>(frames.size()); ++f) {
    const Lane& lane = frames[f].lane(approach);
    for (int i = 0; i < lane.size(); ++i) {
      Track& track = out[lane.number(i)];
      if (track.position.empty()) track.first = f;
      track.position.push_back(static_cast<double>(lane.position(i)));
      track.wait.push_back(lane.wait(i));
    }
  }
  return out;
}

}  // namespace

std::string render_episode_svg(std::span<const Intersection> frames, double frame_seconds) {
  if (frames.empty()) return {};
  const int last = std::max<int>(1, static_cast<int>(frames.size()) - 1);
  const double duration = last * frame_seconds;
  const auto key = [last](int frame) { return static_cast<double>(std::clamp(frame, 0, last)) / last; };
  const auto timing = [&](const std::string& times) {
    return fmt::format(R"(dur="{:.2f}s" repeatCount="indefinite" keyTimes="{}")", duration, times);
  };

  std::string out;
  ground(out);
  std::array<std::string, 2> animation;
  std::array<drawing::Light, 2> start{};
  for (int street = 0; street < 2; ++street) {
    std::string times, values;
    for (int f = 0; f <= last && f < static_cast<int>(frames.size()); ++f) {
      const auto light = drawing::light(frames[f].signal(), street);
      if (f == 0) start[street] = light;
      add(times, "{}{:.4f}", f ? ";" : "", key(f));
      add(values, "{}{}", f ? ";" : "", light_colour[static_cast<int>(light)]);
    }
    animation[street] =
        fmt::format(R"(<animate attributeName="fill" calcMode="discrete" {} values="{}"/>)", timing(times), values);
  }
  lamps(out, animation, start);

  // A car waits off the picture before its first frame and after its last one. Between frames it moves evenly.
  const double before = -static_cast<double>(Lane::approach) - 15,
               after = 2 * box + static_cast<double>(Lane::approach) + 15;
  for (int a = 0; a < Intersection::approaches; ++a) {
    for (const auto& [number, track] : tracks(frames, a)) {
      std::string times, places, colours;
      const auto keyframe = [&](double time, double position, std::int32_t wait) {
        const auto [x, y] = at(a, position);
        const char* separator = times.empty() ? "" : ";";
        add(times, "{}{:.4f}", separator, time);
        add(places, "{}{:.0f},{:.0f}", separator, x, y);
        add(colours, "{}{}", separator, drawing::wait_colour(wait));
      };
      const int count = static_cast<int>(track.position.size());
      const int end = track.first + count - 1;
      if (track.first > 0) {
        keyframe(0, before, 0);
        if (track.first > 1) keyframe(key(track.first - 1), before, 0);
      }
      for (int k = 0; k < count; ++k) keyframe(key(track.first + k), track.position[k], track.wait[k]);
      if (end < last) {
        keyframe(key(end + 1), after, track.wait.back());
        if (end + 1 < last) keyframe(1, after, track.wait.back());
      }
      add(out, R"(<g fill="{}">)", drawing::wait_colour(0));
      if (track.wait.back() > 0) add(out, R"(<animate attributeName="fill" {} values="{}"/>)", timing(times), colours);
      add(out, R"(<animateTransform attributeName="transform" type="translate" {} values="{}"/>)", timing(times),
          places);
      add(out,
          R"svg(<g transform="rotate({})">{}</g></g>)svg"
          "\n",
          heading[a], car());
    }
  }
  heading_text(out, frames.front(),
               fmt::format("{} to {}", drawing::clock(frames.front().now()), drawing::clock(frames.back().now())));
  add(out,
      R"(<rect x="40" y="112" width="1" height="4" fill="#3a4048"><animate attributeName="width" dur="{:.2f}s" repeatCount="indefinite" values="0;270"/></rect>)"
      "\n",
      duration);
  out += table(frames.back(), 470, 52);
  legend(out);
  return out + "</svg>\n";
}

}  // namespace mobula::rl
