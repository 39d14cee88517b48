#include "rl/envs/wrap/stall_guard.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

namespace mobula::rl {

// The thread that steps, and what it shares with the one that waits. When it is left behind it holds the last
// reference.
struct StallGuard::Crew {
  std::mutex mutex;
  std::condition_variable changed;
  // Guarded by the mutex:
  std::vector<std::shared_ptr<AnyVecEnv>> envs;
  Job job;
  int next = 0, end = 0;  // environments still to be done; `next` is in work
  bool leave = false;     // the thread ends as soon as it can
  std::exception_ptr error;
  std::thread thread;

  static std::shared_ptr<Crew> start() {
    auto crew = std::make_shared<Crew>();
    crew->thread = std::thread([crew] { crew->work(); });
    return crew;
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return leave || next < end; });
      if (leave) return;
      const auto env = envs[next];
      const Job todo = job;
      const int i = next;
      lock.unlock();
      std::exception_ptr failed;
      try {
        todo(*env, i);
      } catch (...) {
        failed = std::current_exception();
      }
      lock.lock();
      if (leave) return;
      if (failed) error = failed, end = next;
      ++next;
      if (next >= end) changed.notify_all();
    }
  }
};

namespace {
VecEnvOptions one_of(VecEnvOptions options, int i) {
  options.first += static_cast<std::uint32_t>(i);
  options.count = 1;
  return options;
}
}  // namespace

StallGuard::StallGuard(const VecEnvMaker& make, const VecEnvOptions& options, std::chrono::duration<double> limit)
    : AnyVecEnv(make(one_of(options, 0))->info(), options), make_(make), limit_(limit), crew_(Crew::start()) {
  for (int i = 0; i < size(); ++i) envs_.push_back(make_(one_of(options, i)));
}

StallGuard::~StallGuard() {
  {
    const std::lock_guard lock(crew_->mutex);
    crew_->leave = true;
  }
  crew_->changed.notify_all();
  crew_->thread.join();
}

std::vector<int> StallGuard::run(int first, int end, const Job& job) {
  std::vector<int> stalled;
  while (first < end) {
    std::unique_lock lock(crew_->mutex);
    crew_->envs = envs_;
    crew_->job = job;
    crew_->next = first;
    crew_->end = end;
    crew_->changed.notify_all();
    int seen = first;
    while (!crew_->changed.wait_for(lock, limit_, [this] { return crew_->next >= crew_->end; })) {
      if (crew_->next == seen) break;
      seen = crew_->next;
    }
    if (auto error = std::exchange(crew_->error, nullptr)) std::rethrow_exception(error);
    if (crew_->next >= crew_->end) break;
    const int stuck = crew_->next;
    stalled.push_back(stuck);
    crew_->leave = true;
    crew_->thread.detach();
    lock.unlock();
    crew_ = Crew::start();
    envs_[stuck] = make_(one_of(options_, stuck));
    first = stuck + 1;
  }
  return stalled;
}

void StallGuard::copy_row(int i) {
  const AnyVecEnv& env = *envs_[i];
  const auto copy = [i](const auto& from, auto& to, std::size_t width) {
    std::copy_n(from.data(), width, to.data() + static_cast<std::size_t>(i) * width);
  };
  const std::size_t costs = info_.cost_names.size();
  copy(env.observations(), observations_, static_cast<std::size_t>(info_.observation_size));
  copy(env.final_observations(), final_observations_, static_cast<std::size_t>(info_.observation_size));
  copy(env.rewards(), rewards_, 1);
  copy(env.terminated(), terminated_, 1);
  copy(env.truncated(), truncated_, 1);
  copy(env.episodes(), episodes_, 1);
  copy(env.costs(), costs_, costs);
  copy(env.groups(), groups_, costs);
  copy(env.masks(), masks_, static_cast<std::size_t>(info_.mask_size));
}

// A new environment starts the episode after the one that stalled.
void StallGuard::replace(int i) {
  const std::uint32_t episode = episodes_[i] + 1;
  if (!run(i, i + 1, [episode](AnyVecEnv& env, int) { env.reset(episode); }).empty()) {
    throw std::runtime_error("Environment " + std::to_string(options_.first + static_cast<std::uint32_t>(i)) +
                             " stalled, was made anew, and stalled again in its reset (longer than " +
                             std::to_string(limit_.count()) + " s, env.wrappers, restart_stalled).");
  }
}

void StallGuard::reset(std::uint32_t episode) {
  ended_.clear();
  std::fill(episodes_.begin(), episodes_.end(), episode);
  for (const int i : run(0, size(), [episode](AnyVecEnv&env, int) { env.reset(episode); })) replace(i);
  for (int i = 0; i < size(); ++i) copy_row(i);
}

void StallGuard::step(std::span<const float> actions) {
  ended_.clear();
  const std::size_t width = static_cast<std::size_t>(info_.action.dimensions);
  // A thread that is left behind may still look at its actions.
  const auto mine = std::make_shared<const std::vector<float>>(actions.begin(), actions.end());
  const auto stalled = run(0, size(), [mine, width](AnyVecEnv& env, int i) {
    env.step({mine->data() + static_cast<std::size_t>(i) * width, width});
  });
  auto stuck = stalled.begin();
  for (int i = 0; i < size(); ++i) {
    if (stuck == stalled.end() || *stuck != i) {
      copy_row(i);
      ended_.insert(ended_.end(), envs_[i]->ended().begin(), envs_[i]->ended().end());
      continue;
    }
    ++stuck;
    auto& end = ended_.emplace_back();
    end.env = options_.first + static_cast<std::uint32_t>(i);
    end.episode = episodes_[i];
    end.crashed = true;
    end.crashes = 1;
    const std::size_t k = static_cast<std::size_t>(info_.observation_size);
    std::copy_n(observations_.data() + i * k, k, final_observations_.data() + i * k);
    replace(i);
    const std::vector<float> last(final_observations_.begin() + i * k, final_observations_.begin() + (i + 1) * k);
    copy_row(i);
    std::copy(last.begin(), last.end(), final_observations_.begin() + i * k);
    rewards_[i] = 0;
    terminated_[i] = 0;
    truncated_[i] = 1;
  }
}

void StallGuard::cut(int i) {
  if (terminated_[i] || truncated_[i]) return;
  envs_[i]->cut(0);
  const double reward = rewards_[i];
  copy_row(i);
  rewards_[i] = reward;
  add_end(envs_[i]->ended().back());
}

void StallGuard::baseline_actions(int k, std::span<float> actions) const {
  const std::size_t width = static_cast<std::size_t>(info_.action.dimensions);
  for (int i = 0; i < size(); ++i) envs_[i]->baseline_actions(k, actions.subspan(i * width, width));
}

void StallGuard::save(int i, std::vector<std::byte>& bytes) const {
  envs_[i]->save(0, bytes);
}

void StallGuard::load(int i, std::span<const std::byte>& bytes) {
  envs_[i]->load(0, bytes);
  copy_row(i);
}

}  // namespace mobula::rl
