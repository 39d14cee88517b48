#pragma once

#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/group_totals.h>

#include <cstdint>
#include <functional>
#include <map>
#include <utility>
#include <vector>

namespace mobula::rl {

/// What single episodes say of each metric and group. Merging is a union of episodes with integer sums, so that any
/// order of adding and merging gives the same totals; episodes stay apart because they are the independent units of
/// every bound and interval.
class GroupStatistics {
 public:
  explicit GroupStatistics(double long_above = 0) : long_above_milli_(static_cast<std::int64_t>(long_above * 1000)) {}

  /// An episode is known by (env, episode); one that was added before is not counted twice.
  void add(const EpisodeEnd& end);
  void merge(const GroupStatistics& other);
  /// Only the newest ones stay: those with the greatest episode numbers, then environments.
  void keep_newest(std::size_t episodes);

  std::size_t episodes() const { return episodes_.size(); }
  GroupTotals totals() const;
  /// With the k-th episode (in order of env and episode) counted times[k] times.
  GroupTotals totals(const std::uint32_t* times) const;
  /// The totals of all episodes but one, for each in order of env and episode.
  void for_each_without_one(const std::function<void(const GroupTotals&)>& visit) const;

  template <class Archive>
  void save(Archive& archive) const {
    std::uint64_t n = episodes_.size();
    archive(long_above_milli_, keys_, n);
    for (const auto& [id, cells] : episodes_) archive(id.first, id.second, cells);
  }
  template <class Archive>
  void load(Archive& archive) {
    std::uint64_t n = 0;
    archive(long_above_milli_, keys_, n);
    episodes_.clear();
    for (std::uint64_t i = 0; i < n; ++i) {
      Id id;
      std::vector<GroupTotals::Cell> cells;
      archive(id.first, id.second, cells);
      episodes_[id] = std::move(cells);
    }
  }

 private:
  using Id = std::pair<std::uint32_t, std::uint32_t>;  // env, episode
  std::size_t column(const GroupTotals::Key& key);

  std::int64_t long_above_milli_;
  std::vector<GroupTotals::Key> keys_;
  std::map<Id, std::vector<GroupTotals::Cell>> episodes_;  // cells beyond a row's end are empty
};

}  // namespace mobula::rl
