#include "rl/fairness/group_statistics.h"

#include <algorithm>
#include <limits>

namespace mobula::rl {
namespace {

void add_times(std::int64_t times, const std::vector<GroupTotals::Cell>& cells, std::vector<GroupTotals::Cell>& sums) {
  for (std::size_t i = 0; i < cells.size(); ++i) {
    sums[i].count += times * cells[i].count;
    sums[i].milli += times * cells[i].milli;
    sums[i].above += times * cells[i].above;
  }
}

}  // namespace

const GroupTotals::Cell* GroupTotals::find(std::string_view metric, std::string_view group) const {
  for (std::size_t i = 0; i < keys_->size() && i < cells_.size(); ++i) {
    if ((*keys_)[i].metric == metric && (*keys_)[i].group == group) return &cells_[i];
  }
  return nullptr;
}

double GroupTotals::mean(std::string_view metric, std::string_view group) const {
  const Cell* cell = find(metric, group);
  if (!cell || cell->count == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(cell->milli) / static_cast<double>(cell->count) / 1000.0;
}

double GroupTotals::long_rate(std::string_view metric, std::string_view group) const {
  const Cell* cell = find(metric, group);
  if (!cell || cell->count == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(cell->above) / static_cast<double>(cell->count);
}

std::size_t GroupStatistics::column(const GroupTotals::Key& key) {
  const auto found = std::find(keys_.begin(), keys_.end(), key);
  if (found != keys_.end()) return static_cast<std::size_t>(found - keys_.begin());
  keys_.push_back(key);
  return keys_.size() - 1;
}

void GroupStatistics::add(const EpisodeEnd& end) {
  std::vector<GroupTotals::Cell> row;
  for (const auto& entry : end.report.entries()) {
    const std::size_t at = column({entry.metric, entry.group, entry.kind == EpisodeReport::Kind::samples});
    if (row.size() <= at) row.resize(at + 1);
    GroupTotals::Cell& cell = row[at];
    cell.count += static_cast<std::int64_t>(entry.milli.size());
    for (const std::int64_t milli : entry.milli) {
      cell.milli += milli;
      cell.above += milli > long_above_milli_ ? 1 : 0;
    }
  }
  episodes_[{end.env, end.episode}] = std::move(row);
}

void GroupStatistics::merge(const GroupStatistics& other) {
  std::vector<std::size_t> place;
  for (const auto& key : other.keys_) place.push_back(column(key));
  for (const auto& [id, cells] : other.episodes_) {
    std::vector<GroupTotals::Cell> row;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (row.size() <= place[i]) row.resize(place[i] + 1);
      row[place[i]] = cells[i];
    }
    episodes_[id] = std::move(row);
  }
}

void GroupStatistics::keep_newest(std::size_t episodes) {
  if (episodes_.size() <= episodes) return;
  std::vector<Id> ages;  // episode first
  for (const auto& [id, cells] : episodes_) ages.emplace_back(id.second, id.first);
  const auto oldest = ages.begin() + static_cast<std::ptrdiff_t>(ages.size() - episodes);
  std::nth_element(ages.begin(), oldest, ages.end());
  for (auto old = ages.begin(); old != oldest; ++old) episodes_.erase({old->second, old->first});
}

GroupTotals GroupStatistics::totals() const {
  return totals(nullptr);
}

GroupTotals GroupStatistics::totals(const std::uint32_t* times) const {
  std::vector<GroupTotals::Cell> sums(keys_.size());
  std::int64_t episodes = 0;
  std::size_t k = 0;
  for (const auto& [id, cells] : episodes_) {
    const std::int64_t n = times ? times[k++] : 1;
    episodes += n;
    if (n == 0) continue;
    add_times(n, cells, sums);
  }
  return {keys_, std::move(sums), episodes};
}

void GroupStatistics::for_each_without_one(const std::function<void(const GroupTotals&)>& visit) const {
  std::vector<GroupTotals::Cell> all(keys_.size());
  for (const auto& [id, cells] : episodes_) add_times(1, cells, all);
  const auto left = static_cast<std::int64_t>(episodes_.size()) - 1;
  for (const auto& [id, cells] : episodes_) {
    auto sums = all;
    add_times(-1, cells, sums);
    visit({keys_, std::move(sums), left});
  }
}

}  // namespace mobula::rl
