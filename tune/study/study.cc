#include <mobula/random.h>
#include <mobula/tune/study.h>

#include <boost/math/distributions/students_t.hpp>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "runtime/base/json_integer.h"
#include "tune/schedulers/scheduler.h"
#include "tune/search/searcher.h"
#include "tune/study/journal.h"

// The journal holds inputs (study, grow, result) and what follows from them (trial, job, decide). Decisions are a pure
// function of the inputs in their order, so going on means: feed the inputs of the file to a new state machine, check
// that it decides what the file says, and begin to append where the file ends.

namespace mobula::tune {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

Json to_json(const Value& value) {
  return std::visit([](const auto& v) { return Json(v); }, value);
}
Json to_json(const Params& params) {
  Json object = Json::object();
  for (const auto& [name, value] : params.entries()) object[name] = to_json(value);
  return object;
}

/// Bytes that may be anything, as text.
std::string to_hex(const std::string& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const unsigned char c : bytes) {
    text += digits[c >> 4];
    text += digits[c & 15];
  }
  return text;
}
std::string from_hex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    unsigned char byte = 0;
    const char* const end = text.data() + i + 2;
    if (std::from_chars(text.data() + i, end, byte, 16).ptr != end) {
      throw TuneError("the state of a trial in the journal is not written in hexadecimal digits");
    }
    bytes += static_cast<char>(byte);
  }
  return bytes;
}

Journal::Sync sync_of(const std::string& name) {
  if (name == "always") return Journal::Sync::always;
  return name == "never" ? Journal::Sync::never : Journal::Sync::interval;
}

}  // namespace

struct Study::Impl {
  struct Outcome {
    Report report;
    std::string error;
  };
  /// Room for one trial under way.
  struct Slot {
    bool busy = false;
    std::int64_t trial = 0;
    double from = 0, until = 0, end = 0;  // resource, resource, virtual time
    std::vector<std::optional<Outcome>> outcomes;
    std::int64_t open = 0;  // outcomes that are missing
  };

  Impl(Space given_space, StudyOptions given)
      : space(std::move(given_space)),
        options(std::move(given)),
        searcher(make_searcher(options.search.name, space, options.seed)),
        scheduler(make_scheduler(options.scheduler)),
        slots(static_cast<std::size_t>(options.max_concurrent)) {}

  // Constant after construction.
  const Space space;
  StudyOptions options;  // num_trials grows
  const std::unique_ptr<Searcher> searcher;
  const std::unique_ptr<TrialScheduler> scheduler;

  // A function of the inputs so far.
  std::int64_t num_trials = 0;
  std::vector<Trial> trials;
  std::vector<std::vector<std::string>> states;  // of each trial and repeat
  std::vector<Slot> slots;
  std::deque<Job> jobs;  // to be handed out
  double now = 0;
  double allotted = 0;     // resource given to trials
  bool exhausted = false;  // the searcher has no more

  std::unique_ptr<Journal> journal;
  std::size_t next_record = 0;  // of the file that is being gone through again

  void open() {
    if (!options.journal.empty()) journal = std::make_unique<Journal>(options.journal, sync_of(options.sync));
    put(header());
    replay();
    if (options.num_trials < num_trials) {
      throw TuneError("num_trials: the study in " + options.journal.string() + " has " + std::to_string(num_trials) +
                      ", and it can only grow; give at least that");
    }
    if (options.num_trials > num_trials) {
      put({{"kind", "grow"}, {"num_trials", options.num_trials}});
      grow(options.num_trials);
    }
    flush();
  }

  /// Everything that decisions depend on. What may differ from one process to the next is left out.
  Json header() const {
    const auto& o = options;
    const auto& s = o.scheduler;
    return {{"kind", "study"},
            {"version", kVersion},
            {"space", space.describe()},
            {"metric", o.metric},
            {"mode", o.mode},
            {"seed", o.seed},
            {"max_concurrent", o.max_concurrent},
            {"seeds_per_trial", o.seeds_per_trial},
            {"budget", o.budget ? Json(*o.budget) : Json()},
            {"deterministic", o.deterministic},
            {"resumable", o.resumable},
            {"search", o.search.name},
            {"scheduler",
             {{"name", s.name},
              {"max", s.max},
              {"grace", s.grace},
              {"eta", s.eta},
              {"variant", s.variant},
              {"rule", s.rule},
              {"interval", s.interval ? Json(*s.interval) : Json()},
              {"min_samples", s.min_samples}}}};
  }

  bool replaying() const { return journal && next_record < journal->records().size(); }

  /// Writes a record; where the file already has one at this point, it must be the same.
  void put(const Json& record) {
    if (!journal) return;
    const std::string text = record.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (!replaying()) {
      journal->append(text);
      return;
    }
    const std::string& stored = journal->records()[next_record++];
    if (stored == text) return;
    const std::string where = journal->file().string() + ":" + std::to_string(next_record) + ": ";
    if (record.at("kind") == "study") {
      throw TuneError(where + "the journal is one of another study: " + difference(record, stored) +
                      "; only num_trials may change, and only grow. Give the old settings, or another folder");
    }
    throw TuneError(where + "the journal says " + stored + ", but this program decides " + text +
                    "; it was written by another version. Go on with that one");
  }
  static std::string difference(const Json& record, const std::string& stored_text) {
    const Json stored = Json::parse(stored_text, nullptr, false);
    for (const auto& [key, value] : record.items()) {
      if (!stored.is_object() || !stored.contains(key)) return "it does not name its " + key;
      if (stored.at(key) != value) return "its " + key + " is " + stored.at(key).dump() + ", not " + value.dump();
    }
    return "it has other settings";
  }

  void replay() {
    while (replaying()) {
      const std::size_t line = next_record + 1;
      try {
        const Json record = Json::parse(journal->records()[next_record++]);
        const std::string kind = record.at("kind");
        if (kind == "grow") {
          grow(json_integer(record.at("num_trials")));
        } else if (kind == "result") {
          Outcome outcome;
          if (record.contains("error")) {
            outcome.error = record.at("error");
            outcome.report.iterations = 0;
          } else {
            outcome.report.value = record.at("value");
            outcome.report.iterations = json_integer(record.at("iterations"));
            outcome.report.seconds = record.at("seconds");
            if (record.contains("state")) outcome.report.state = from_hex(record.at("state"));
            outcome.report.n = json_integer<std::int64_t>(record, "n", 0);
            if (record.contains("ci95")) {
              outcome.report.low = record.at("ci95").at(0);
              outcome.report.high = record.at("ci95").at(1);
            }
          }
          Job job;
          job.trial = json_integer(record.at("trial"));
          job.repeat = json_integer(record.at("repeat"));
          job.until = record.at("until");
          accept(job, std::move(outcome));
        } else {
          throw TuneError("nothing led to this record of kind '" + kind + "'");
        }
      } catch (const nlohmann::json::exception& error) {
        throw TuneError(journal->file().string() + ":" + std::to_string(line) +
                        ": the record cannot be read: " + error.what());
      }
    }
    // What was handed out and not answered is handed out again; what was answered in the file is not.
    std::erase_if(jobs, [&](const Job& job) {
      const Slot* slot = slot_of(job);
      return slot == nullptr || slot->outcomes[static_cast<std::size_t>(job.repeat)].has_value();
    });
  }

  void flush() {
    if (journal) journal->flush();
  }

  void grow(std::int64_t n) {
    num_trials = n;
    fill();
    advance();
  }

  Slot* slot_of(const Job& job) {
    for (auto& slot : slots) {
      if (slot.busy && slot.trial == job.trial && slot.until == job.until && job.repeat >= 0 &&
          job.repeat < static_cast<std::int64_t>(slot.outcomes.size())) {
        return &slot;
      }
    }
    return nullptr;
  }

  void accept(const Job& job, Outcome outcome) {
    Slot* slot = slot_of(job);
    if (slot == nullptr || slot->outcomes[static_cast<std::size_t>(job.repeat)]) {
      throw TuneError("told about a job that is not open: trial " + std::to_string(job.trial) + ", repeat " +
                      std::to_string(job.repeat) + ", until " + to_text(job.until));
    }
    if (outcome.error.empty() && !std::isfinite(outcome.report.value)) {
      outcome.error = "the objective's value is " + std::string(std::isnan(outcome.report.value) ? "NaN" : "infinite");
    }
    slot->outcomes[static_cast<std::size_t>(job.repeat)] = std::move(outcome);
    --slot->open;
    advance();
  }

  /// Goes through the events whose turn has come: see the class comment.
  void advance() {
    for (;;) {
      std::vector<Slot*> ended;
      if (options.deterministic) {
        double first = std::numeric_limits<double>::infinity();
        for (const auto& slot : slots) {
          if (slot.busy) first = std::min(first, slot.end);
        }
        for (auto& slot : slots) {
          if (!slot.busy || slot.end != first) continue;
          if (slot.open > 0) return;
          ended.push_back(&slot);
        }
      } else {
        for (auto& slot : slots) {
          if (slot.busy && slot.open == 0) ended.push_back(&slot);
        }
      }
      if (ended.empty()) return;
      now = std::max(now, ended.front()->end);
      for (Slot* slot : ended) conclude(*slot);
      fill();
    }
  }

  /// One trial has got as far as it was sent: what becomes of it?
  void conclude(Slot& slot) {
    Trial& trial = trials[static_cast<std::size_t>(slot.trial)];
    auto& kept = states[static_cast<std::size_t>(slot.trial)];
    double sum = 0;
    trial.iterations = 0;
    for (std::size_t r = 0; r < slot.outcomes.size(); ++r) {
      Outcome& outcome = *slot.outcomes[r];
      sum += outcome.report.value;
      trial.iterations += outcome.report.iterations;
      trial.seconds += outcome.report.seconds;
      if (!outcome.error.empty() && trial.error.empty()) trial.error = outcome.error;
      kept[r] = std::move(outcome.report.state);
    }
    slot.busy = false;
    std::string decision;
    Json value;
    if (!trial.error.empty()) {
      trial.status = Status::failed;
      decision = "fail";
    } else {
      trial.reached = slot.until;
      trial.value = sum / static_cast<double>(slot.outcomes.size());
      trial.values.emplace_back(slot.until, *trial.value);
      set_interval(trial, slot);
      value = *trial.value;
      const double loss = options.mode == "max" ? -*trial.value : *trial.value;
      const Verdict verdict = scheduler->report(trial.id, slot.until, loss);
      if (slot.until >= options.scheduler.max) {
        trial.status = Status::completed;
        decision = "complete";
      } else if (verdict == Verdict::stop) {
        trial.status = Status::stopped;
        decision = "stop";
      } else if (verdict == Verdict::pause) {
        trial.status = Status::paused;
        decision = "pause";
      } else {
        decision = "go on";
      }
    }
    put({{"kind", "decide"}, {"trial", trial.id}, {"at", slot.until}, {"value", value}, {"decision", decision}});
    if (decision == "go on") begin(slot, trial, scheduler->next(slot.until));
  }

  /// Repeats are on seeds of their own and so independent; what one of them says of itself is its own affair then.
  static void set_interval(Trial& trial, const Slot& slot) {
    const auto n = static_cast<double>(slot.outcomes.size());
    if (slot.outcomes.size() < 2) {
      const Report& only = slot.outcomes.front()->report;
      trial.low = only.low;
      trial.high = only.high;
      trial.n = only.n;
      return;
    }
    double squares = 0;
    for (const auto& outcome : slot.outcomes) {
      squares += (outcome->report.value - *trial.value) * (outcome->report.value - *trial.value);
    }
    const double t = boost::math::quantile(boost::math::students_t(n - 1), 0.975);
    const double half = t * std::sqrt(squares / (n - 1) / n);
    trial.low = *trial.value - half;
    trial.high = *trial.value + half;
    trial.n = static_cast<std::int64_t>(slot.outcomes.size());
  }

  void fill() {
    for (auto& slot : slots) {
      if (slot.busy) continue;
      if (const auto promoted = scheduler->promote()) {
        Trial& trial = trials[static_cast<std::size_t>(*promoted)];
        begin(slot, trial, scheduler->next(trial.reached));
        continue;
      }
      if (exhausted || static_cast<std::int64_t>(trials.size()) >= num_trials) continue;
      if (options.budget && allotted >= *options.budget) continue;
      const auto id = static_cast<std::int64_t>(trials.size());
      auto params = searcher->propose(id, trials);
      if (!params) {
        exhausted = true;
        continue;
      }
      trials.push_back({.id = id, .params = std::move(*params)});
      states.emplace_back(static_cast<std::size_t>(options.seeds_per_trial));
      put({{"kind", "trial"}, {"id", id}, {"params", to_json(trials.back().params)}});
      begin(slot, trials.back(), scheduler->first());
    }
  }

  void begin(Slot& slot, Trial& trial, double until) {
    const auto repeats = static_cast<std::size_t>(options.seeds_per_trial);
    trial.status = Status::running;
    slot.busy = true;
    slot.trial = trial.id;
    slot.from = options.resumable ? trial.reached : 0;
    slot.until = until;
    slot.end = now + (until - slot.from);
    slot.outcomes.assign(repeats, std::nullopt);
    slot.open = options.seeds_per_trial;
    allotted += (until - slot.from) * static_cast<double>(repeats);
    const auto index = static_cast<std::int64_t>(&slot - slots.data());
    put({{"kind", "job"}, {"trial", trial.id}, {"slot", index}, {"from", slot.from}, {"until", until}});
    for (std::int64_t r = 0; r < options.seeds_per_trial; ++r) {
      Random random(options.seed, static_cast<std::uint32_t>(TuneStream::trial_seed),
                    static_cast<std::uint32_t>(trial.id), static_cast<std::uint32_t>(r));
      Job job{.trial = trial.id,
              .repeat = r,
              .seed = random.bits() >> 1,
              .params = trial.params,
              .from = slot.from,
              .until = until,
              .slot = index};
      if (options.resumable) job.state = states[static_cast<std::size_t>(trial.id)][static_cast<std::size_t>(r)];
      jobs.push_back(std::move(job));
    }
  }
};

Study::Study(Space space, StudyOptions options) {
  if (const std::string problem = options.problem(); !problem.empty()) throw TuneError(problem);
  impl_ = std::make_unique<Impl>(std::move(space), std::move(options));
  impl_->open();
}
Study::~Study() = default;
Study::Study(Study&&) noexcept = default;

std::optional<Job> Study::ask() {
  impl_->flush();
  if (impl_->jobs.empty()) return std::nullopt;
  Job job = std::move(impl_->jobs.front());
  impl_->jobs.pop_front();
  return job;
}

void Study::tell(const Job& job, const Report& report) {
  if (!std::isfinite(report.value)) {
    fail(job, "the objective's value is " + std::string(std::isnan(report.value) ? "NaN" : "infinite"));
    return;
  }
  Json record{{"kind", "result"},         {"trial", job.trial},    {"repeat", job.repeat},
              {"until", job.until},       {"value", report.value}, {"iterations", report.iterations},
              {"seconds", report.seconds}};
  if (!report.state.empty()) record["state"] = to_hex(report.state);
  if (report.n > 0) record["n"] = report.n;
  if (std::isfinite(report.low) && std::isfinite(report.high)) record["ci95"] = {report.low, report.high};
  impl_->put(record);
  impl_->accept(job, {.report = report, .error = {}});
}

void Study::fail(const Job& job, const std::string& error) {
  const std::string reason = error.empty() ? "it failed" : error;
  impl_->put(
      {{"kind", "result"}, {"trial", job.trial}, {"repeat", job.repeat}, {"until", job.until}, {"error", reason}});
  impl_->accept(job, {.report = {.iterations = 0}, .error = reason});
}

void Study::flush() {
  impl_->flush();
}

bool Study::finished() const {
  return std::none_of(impl_->slots.begin(), impl_->slots.end(), [](const auto& slot) { return slot.busy; });
}

const std::vector<Trial>& Study::trials() const {
  return impl_->trials;
}

const Trial* Study::best() const {
  const Trial* best = nullptr;
  const auto better = [&](const Trial& a, const Trial& b) {
    const bool a_done = a.status == Status::completed, b_done = b.status == Status::completed;
    if (a_done != b_done) return a_done;
    return impl_->options.mode == "max" ? *a.value > *b.value : *a.value < *b.value;
  };
  for (const auto& trial : impl_->trials) {
    if (!trial.value || trial.status == Status::failed) continue;
    if (best == nullptr || better(trial, *best)) best = &trial;
  }
  return best;
}

double Study::now() const {
  return impl_->now;
}
const Space& Study::space() const {
  return impl_->space;
}
const StudyOptions& Study::options() const {
  return impl_->options;
}

}  // namespace mobula::tune
