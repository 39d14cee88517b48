#include "runtime/daemon/embedded.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <thread>

#include "runtime/daemon/node_loop.h"

namespace mobula::daemon {
namespace {

// How long a driver tries to join a cluster.
constexpr Duration join_patience = std::chrono::seconds(10);

// The loop's thread takes no signal meant for the program, and no SIGPIPE; what its own instructions cause stays fatal.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    for (int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGPROF}) sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

class EmbeddedLoop final : public Embedded {
 public:
  explicit EmbeddedLoop(const NodeLoopOptions& options) : loop_(options) {
    const SignalsBlocked blocked;  // inherited by the thread
    thread_ = std::thread([this] {
      pthread_setname_np(pthread_self(), "mobula-node");
      loop_.run();
    });
  }
  ~EmbeddedLoop() override { end(); }

  void join(const std::string& head) {
    if (loop_.wait_until_joined()) return;
    end();
    throw TaskError({.code = ErrorCode::unavailable,
                     .message = fmt::format("cannot join the cluster at {}: {}", head, loop_.reason())});
  }

  NodeId node() const override { return loop_.id(); }
  const std::string& node_name() const override { return loop_.name(); }
  net::Segment& segment() override { return loop_.segment(); }
  object::Arena& arena() override { return loop_.arena(); }
  net::Peer driver() const override { return loop_.driver(); }
  const wire::Program& program() const override { return loop_.program(); }
  void set_background(Background* background) override { loop_.set_background(background); }

 private:
  void end() {
    loop_.stop();
    if (thread_.joinable()) thread_.join();
  }

  NodeLoop loop_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Embedded> Embedded::start(const EmbeddedOptions& options) {
  NodeLoopOptions loop;
  loop.cpus = options.cpus;
  loop.resources = machine_resources(options.cpus, options.resources, options.object_memory).value();
  loop.name = options.name;
  loop.object_memory = options.object_memory;
  loop.log_level = options.log_level;
  loop.node_timeout = options.node_timeout;
  loop.labels = options.labels;
  loop.decision_log = options.decision_log;
  loop.spill_directory = options.spill_directory;
  loop.memory_threshold = options.memory_threshold;
  loop.memory_check = options.memory_check;
  loop.has_driver = true;
  loop.is_head = options.address.empty();
  loop.head = options.address;
  loop.keys = options.keys;
  loop.trusted_network = options.trusted_network;
  loop.join_patience = join_patience;
  if (!options.address.empty() && options.keys.empty()) {
    throw TaskError(
        {.code = ErrorCode::invalid,
         .message = fmt::format(
             "joining the cluster at {} needs its keys: give the file that `mobula head --keys FILE` wrote there",
             options.address)});
  }
  if (options.address.empty()) loop.keys.clear();
  auto embedded = std::make_unique<EmbeddedLoop>(loop);
  if (!options.address.empty()) embedded->join(options.address);
  return embedded;
}

}  // namespace mobula::daemon
