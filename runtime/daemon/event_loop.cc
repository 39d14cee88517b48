#include "runtime/daemon/event_loop.h"

#include <utility>  // Boost 1.74's asio uses std::exchange without it

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <vector>

namespace mobula::daemon {

namespace asio = boost::asio;

namespace {

// The descriptor and the function outlive the Watch until the last handler has run.
struct Watched : std::enable_shared_from_this<Watched> {
  using Served = std::vector<std::shared_ptr<Watched>>;
  Watched(asio::io_context& context, Served& list, int fd, std::function<void()> call)
      : descriptor(context, fd), served(list), readable(std::move(call)) {}

  void start() {
    if (waiting || paused || closed) return;
    waiting = true;
    descriptor.async_wait(asio::posix::stream_descriptor::wait_read,
                          [self = shared_from_this()](const boost::system::error_code& error) {
                            self->waiting = false;
                            if (error || self->closed) return;
                            if (!self->paused) self->readable();
                            self->served.push_back(self);
                          });
  }

  asio::posix::stream_descriptor descriptor;
  Served& served;
  std::function<void()> readable;
  bool waiting = false;
  bool paused = false;
  bool closed = false;
};

}  // namespace

struct EventLoop::Impl {
  asio::io_context context{1};
  asio::steady_timer timer{context};
  asio::executor_work_guard<asio::io_context::executor_type> alive{context.get_executor()};
  // Those whose function was called. They wait again at the next run_once: what stays readable must not keep one
  // run_once from returning to its caller, who may be the one to read it. Last, because their descriptors belong to the
  // context.
  Watched::Served served;
};

namespace {

class AsioWatch : public EventLoop::Watch {
 public:
  explicit AsioWatch(std::shared_ptr<Watched> watched) : watched_(std::move(watched)) {}
  ~AsioWatch() override {
    watched_->closed = true;
    boost::system::error_code ignored;
    watched_->descriptor.close(ignored);
  }
  void pause() override { watched_->paused = true; }
  void resume() override {
    watched_->paused = false;
    watched_->start();
  }

 private:
  const std::shared_ptr<Watched> watched_;
};

}  // namespace

EventLoop::EventLoop() : impl_(std::make_unique<Impl>()) {}
EventLoop::~EventLoop() = default;

std::unique_ptr<EventLoop::Watch> EventLoop::watch(int fd, std::function<void()> readable) {
  // Asio closes the descriptor that it is given.
  const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (own < 0) throw std::runtime_error(fmt::format("cannot watch descriptor {}: {}", fd, std::strerror(errno)));
  auto watched = std::make_shared<Watched>(impl_->context, impl_->served, own, std::move(readable));
  watched->start();
  return std::make_unique<AsioWatch>(std::move(watched));
}

void EventLoop::run_once(Time deadline) {
  for (const auto& watched : std::exchange(impl_->served, {})) watched->start();
  if (impl_->context.poll() > 0) return;
  if (deadline != never) {
    impl_->timer.expires_at(deadline);
    impl_->timer.async_wait([](const boost::system::error_code&) {});
  }
  impl_->context.run_one();
  if (deadline != never) impl_->timer.cancel();
  impl_->context.poll();
}

void EventLoop::wake() {
  asio::post(impl_->context, [] {});
}

}  // namespace mobula::daemon
