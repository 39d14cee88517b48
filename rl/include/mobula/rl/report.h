#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

// What an environment says of an episode that ended, beyond its return: named metrics, over all or per group.
//
// Every quantity is an integer in thousandths (milliseconds for a wait, 1000 for one vehicle), so that sums over
// episodes and workers do not depend on the order in which they are merged.
class EpisodeReport {
 public:
  enum class Kind : std::uint8_t {
    samples,  // one number per item (each vehicle's wait): means, quantiles and maxima are taken over these
    total,    // one number per episode (vehicles that passed)
    outcomes  // 0 or 1000 per item, each independent of all others (who was given a loan): shares are taken over these
  };
  struct Entry {
    std::string metric;
    std::string group;  // empty: over all
    Kind kind = Kind::samples;
    std::vector<std::int64_t> milli;  // a total has exactly one
    bool operator==(const Entry&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(metric, group, kind, milli);
    }
  };

  void add_sample(std::string_view metric, std::string_view group, std::int64_t milli) {
    entry(metric, group, Kind::samples).milli.push_back(milli);
  }
  template <class Integer>
  void add_samples(std::string_view metric, std::string_view group, std::span<const Integer> milli) {
    auto& values = entry(metric, group, Kind::samples).milli;
    values.insert(values.end(), milli.begin(), milli.end());
  }
  // Adds to the episode's total.
  void add_total(std::string_view metric, std::string_view group, std::int64_t milli) {
    auto& values = entry(metric, group, Kind::total).milli;
    if (values.empty()) values.push_back(0);
    values[0] += milli;
  }

  // What came of an item that is independent of all others, also of those of its episode: only then is the interval of
  // their share, Wilson's, the right one. Items that depend on each other are samples of 0 and 1000.
  void add_outcome(std::string_view metric, std::string_view group, bool yes) {
    entry(metric, group, Kind::outcomes).milli.push_back(yes ? 1000 : 0);
  }

  // In the order in which they were first named.
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(std::string_view metric, std::string_view group = {}) const {
    for (const auto& e : entries_)
      if (e.metric == metric && e.group == group) return &e;
    return nullptr;
  }
  bool empty() const { return entries_.empty(); }
  bool operator==(const EpisodeReport&) const = default;
  template <class Archive>
  void serialize(Archive& archive) {
    archive(entries_);
  }

 private:
  Entry& entry(std::string_view metric, std::string_view group, Kind kind) {
    for (auto& e : entries_)
      if (e.metric == metric && e.group == group && e.kind == kind) return e;
    return entries_.emplace_back(Entry{std::string(metric), std::string(group), kind, {}});
  }

  std::vector<Entry> entries_;
};

}  // namespace mobula::rl
