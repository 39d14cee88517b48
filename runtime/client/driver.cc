#include "runtime/client/driver.h"

#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "runtime/client/context.h"

namespace mobula::client {
namespace {

// How long the loop thread stays away from the lanes of a busy program.
constexpr Duration look_every = std::chrono::milliseconds(5);

}  // namespace

detail::Core* DriverCore::start(const daemon::EmbeddedOptions& options, std::uint64_t lineage_bytes) {
  auto node = daemon::Embedded::start(options);
  // A mapping of its own: arrays may outlive the runtime.
  auto arena =
      std::make_shared<object::Arena>(fcntl(node->arena().descriptor(), F_DUPFD_CLOEXEC, 0), node->driver().slot);
  const ProcessSetup setup{.node = node->node(),
                           .node_name = node->node_name(),
                           .segment = &node->segment(),
                           .self = node->driver(),
                           .arena = std::move(arena),
                           .program = node->program(),
                           .cpus = static_cast<int>(options.cpus),
                           .job = node->node().value,
                           .idle_lease_keep = std::chrono::milliseconds(100),
                           .lineage_bytes = lineage_bytes};
  auto* core = new DriverCore(std::move(node), setup);
  register_core(core);
  core->node_->set_background(core);
  return core;
}

DriverCore::DriverCore(std::unique_ptr<daemon::Embedded> node, const ProcessSetup& setup)
    : ProcessCore(setup), node_(std::move(node)) {}

void DriverCore::rouse_background() {
  // A bell that is armed goes quiet first, so that a busy program's workers do not make a system call for each message.
  if (armed_) {
    armed_ = false;
    endpoint_->disarm();
  }
  background_sleeps_ = false;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(endpoint_->event_fd(), &one, sizeof one);
}

Time DriverCore::run(Time now) {
  const std::lock_guard lock(mutex_);
  if (closed_) return never;
  // What rouse_background() wrote. (disarm() would do, but may not be called while a thread of the program sleeps.)
  std::uint64_t rings = 0;
  [[maybe_unused]] const auto bytes = ::read(endpoint_->event_fd(), &rings, sizeof rings);
  if (armed_) {
    armed_ = false;
    endpoint_->disarm();
  }
  if (pumping_) {  // the program does it, timers included
    background_sleeps_ = false;
    return now + look_every;
  }
  while (read_lanes() > 0) {
  }
  if (waiting_ > 0) round_ended_.notify_all();
  if (activity_ != activity_seen_) {
    activity_seen_ = activity_;
    background_sleeps_ = false;
    return std::min(now + look_every, next_timer());
  }
  while (!endpoint_->arm(net::Endpoint::Interest::messages)) read_lanes();
  armed_ = true;
  background_sleeps_ = true;
  return next_timer();
}

void DriverCore::shutdown() {
  if (forked_) return;  // all of it is the parent's
  unregister_core(this);
  node_->set_background(nullptr);
  {
    Lock lock(mutex_);
    close(lock);
  }
  node_.reset();
  drop();
}

}  // namespace mobula::client
