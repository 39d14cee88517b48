#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mobula::rl {

/// What episodes together say of each metric and group: counts and sums in thousandths, all integers, so that they are
/// the same in whatever order episodes and workers are added. Values are in the units of the metric (s for a wait).
class GroupTotals {
 public:
  struct Cell {
    std::int64_t count = 0;  ///< samples; of a total: episodes
    std::int64_t milli = 0;  ///< their sum
    std::int64_t above = 0;  ///< samples above the limit of what counts as long
    bool operator==(const Cell&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(count, milli, above);
    }
  };
  struct Key {
    std::string metric, group;  ///< group empty: over all
    bool samples = true;        ///< false: one number an episode
    bool operator==(const Key&) const = default;
    template <class Archive>
    void serialize(Archive& archive) {
      archive(metric, group, samples);
    }
  };

  GroupTotals(const std::vector<Key>& keys, std::vector<Cell> cells, std::int64_t episodes)
      : keys_(&keys), cells_(std::move(cells)), episodes_(episodes) {}

  /// Null if no episode named it.
  const Cell* find(std::string_view metric, std::string_view group = {}) const;
  /// Mean over samples (of a total: over episodes); NaN without any.
  double mean(std::string_view metric, std::string_view group = {}) const;
  /// Share of samples above the limit; NaN without any.
  double long_rate(std::string_view metric, std::string_view group = {}) const;
  std::int64_t episodes() const { return episodes_; }

 private:
  const std::vector<Key>* keys_;  // lives as long as the statistics it was made by
  std::vector<Cell> cells_;
  std::int64_t episodes_;
};

}  // namespace mobula::rl
