// A thread that takes half of the work of the one that learns.
#pragma once

#include <atomic>
#include <exception>
#include <functional>
#include <thread>
#include <utility>

namespace mobula::rl {

// One piece of work at a time: start(), something else meanwhile, finish(). Both sides look for a few microseconds
// before they sleep, since the pieces are short. For one owner thread.
class SecondThread {
 public:
  SecondThread() : thread_([this](const std::stop_token& stop) { serve(stop); }) {}
  ~SecondThread() {
    thread_.request_stop();
    state_.store(kStop);
    state_.notify_all();
  }
  SecondThread(const SecondThread&) = delete;
  SecondThread& operator=(const SecondThread&) = delete;

  void start(std::function<void()> work) {
    work_ = std::move(work);
    state_.store(kWork);
    state_.notify_all();
  }
  // Waits for it; throws what it threw.
  void finish() {
    wait_until_not(kWork);
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  enum State : int { kIdle, kWork, kStop };

  void wait_until_not(int state) const {
    for (int look = 0; look < 2000; ++look) {
      if (state_.load(std::memory_order_acquire) != state) return;
      if (look > 200) std::this_thread::yield();
    }
    while (state_.load(std::memory_order_acquire) == state) state_.wait(state);
  }
  void serve(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      wait_until_not(kIdle);
      if (state_.load() != kWork) return;
      try {
        work_();
      } catch (...) {
        error_ = std::current_exception();
      }
      int work = kWork;
      state_.compare_exchange_strong(work, kIdle);  // unless the end has come
      state_.notify_all();
    }
  }

  // Of whoever has the turn: the owner while idle, the thread while there is work.
  std::function<void()> work_;
  std::exception_ptr error_;
  std::atomic<int> state_{kIdle};
  std::jthread thread_;
};

}  // namespace mobula::rl
