#pragma once

#include <functional>
#include <memory>

#include "runtime/base/time.h"

namespace mobula::daemon {

// Waits for descriptors and for time, on one thread: Boost.Asio, kept out of everything else.
class EventLoop {
 public:
  // While it lives (and is not paused), its function is called on the loop's thread whenever the descriptor is
  // readable, again and again as long as it stays so. It may destroy its own Watch.
  class Watch {
   public:
    virtual ~Watch() = default;
    virtual void pause() = 0;
    virtual void resume() = 0;
  };

  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // The descriptor is duplicated: the caller keeps its own.
  std::unique_ptr<Watch> watch(int fd, std::function<void()> readable);

  // Calls what is due; if nothing is, waits until something becomes so, or `deadline`, or wake().
  void run_once(Time deadline);
  // Any thread.
  void wake();

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace mobula::daemon
