#include "tune/schedulers/asha.h"

#include <algorithm>
#include <cmath>

#include "tune/schedulers/scheduler.h"

namespace mobula::tune {
namespace {

class Asha final : public TrialScheduler {
 public:
  explicit Asha(const SchedulerOptions& options)
      : rungs_(asha_rungs(options.grace, options.max, options.eta)),
        promotes_(options.variant == "promote"),
        stopping_(options.rule == "percentile" ? AshaStopping::Rule::percentile : AshaStopping::Rule::rank, rungs_,
                  options.eta),
        promotion_(rungs_, options.eta) {}

  double first() const override { return rungs_.front(); }
  double next(double reached) const override { return *std::upper_bound(rungs_.begin(), rungs_.end(), reached); }

  Verdict report(std::int64_t trial, double reached, double loss) override {
    if (promotes_) {
      promotion_.report(trial, reached, loss);
      return Verdict::pause;
    }
    // Whoever is at the top has nothing more to win or to lose.
    if (reached >= rungs_.back()) return Verdict::go_on;
    return stopping_.report(trial, reached, loss) ? Verdict::stop : Verdict::go_on;
  }
  std::optional<std::int64_t> promote() override { return promotes_ ? promotion_.promote() : std::nullopt; }

 private:
  const std::vector<double> rungs_;
  const bool promotes_;
  AshaStopping stopping_;
  AshaPromotion promotion_;
};

}  // namespace

std::vector<double> asha_rungs(double grace, double max, double eta) {
  std::vector<double> rungs;
  for (double resource = grace; resource < max * (1 - 1e-12); resource *= eta) rungs.push_back(resource);
  rungs.push_back(max);
  return rungs;
}

AshaStopping::AshaStopping(Rule rule, std::vector<double> rungs, double eta) : rule_(rule), eta_(eta) {
  for (const double resource : rungs) rungs_.push_back({resource, {}, {}});
}

bool AshaStopping::report(std::int64_t trial, double resource, double loss) {
  const auto record = [&](Rung& rung) {
    rung.trials.insert(trial);
    rung.losses.insert(std::upper_bound(rung.losses.begin(), rung.losses.end(), loss), loss);
  };
  if (rule_ == Rule::rank) {
    for (auto& rung : rungs_) {
      if (resource < rung.resource) return false;
      if (rung.trials.contains(trial)) continue;
      record(rung);
      if (!judge_by_rank(rung, loss)) return true;
    }
    return false;
  }
  for (auto rung = rungs_.rbegin(); rung != rungs_.rend(); ++rung) {
    if (resource < rung->resource || rung->trials.contains(trial)) continue;
    const bool stop = !judge_by_percentile(*rung, loss);
    record(*rung);
    return stop;
  }
  return false;
}

bool AshaStopping::judge_by_rank(Rung& rung, double loss) const {
  const auto n = static_cast<double>(rung.losses.size());
  const auto kept = std::max<std::size_t>(1, static_cast<std::size_t>(std::floor(n / eta_)));
  return loss <= rung.losses[kept - 1];
}

bool AshaStopping::judge_by_percentile(const Rung& rung, double loss) const {
  if (rung.losses.empty()) return true;
  // The quantile of the values (-loss) in numpy's order of operations: the last bit decides between equal values.
  const std::size_t n = rung.losses.size();
  const double position = static_cast<double>(n - 1) * ((1 - 1 / eta_) * 100 / 100);
  const auto below = std::min(n - 1, static_cast<std::size_t>(position));
  const double fraction = position - static_cast<double>(below);
  const double a = -rung.losses[n - 1 - below];
  const double b = -rung.losses[n - 1 - std::min(n - 1, below + 1)];
  const double cutoff = fraction >= 0.5 ? b - (b - a) * (1 - fraction) : a + (b - a) * fraction;
  return !(-loss < cutoff);
}

AshaPromotion::AshaPromotion(std::vector<double> rungs, double eta) : eta_(eta) {
  for (const double resource : rungs) rungs_.push_back({resource, {}, {}});
}

void AshaPromotion::report(std::int64_t trial, double resource, double loss) {
  for (auto& rung : rungs_) {
    if (rung.resource == resource) rung.entries.insert({loss, trial});
  }
}

std::optional<std::int64_t> AshaPromotion::promote() {
  for (std::size_t i = rungs_.size() - 1; i-- > 0;) {
    Rung& rung = rungs_[i];
    auto left = static_cast<std::size_t>(std::floor(static_cast<double>(rung.entries.size()) / eta_));
    for (auto entry = rung.entries.begin(); left > 0 && entry != rung.entries.end(); ++entry, --left) {
      if (rung.promoted.insert(entry->second).second) return entry->second;
    }
  }
  return std::nullopt;
}

std::unique_ptr<TrialScheduler> make_asha(const SchedulerOptions& options) {
  return std::make_unique<Asha>(options);
}

}  // namespace mobula::tune
