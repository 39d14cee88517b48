#include "bench/micro/floors.h"

#include <sys/mman.h>

#include <cstring>
#include <optional>
#include <utility>

#include "bench/micro/echoes.h"

namespace mobula::bench {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr int lane_batch = 100'000;
constexpr int fork_batch = 200;
constexpr std::size_t hundred_megabytes = 100'000'000;

class Copy {
 public:
  explicit Copy(std::size_t bytes) : from_(bytes, MAP_PRIVATE), to_(bytes, MAP_SHARED) {
    std::memset(from_.data(), 1, bytes);
    std::memset(to_.data(), 2, bytes);
  }
  void once() { std::memcpy(to_.data(), from_.data(), to_.bytes()); }

 private:
  Memory from_, to_;
};

}  // namespace

struct Floors::Peers {
  // The order is that of forking.
  UnixSocketEcho unix_socket;
  FutexEcho futex;
  LaneEcho lane;
  LaneEcho lane_batches{1, lane_batch};
  LaneEcho relay{2};
  ForkServer forks;
  Burners burners;
  ZeroMqEcho zmq;
  std::optional<Copy> copy, large_copy;  // made when they are needed
};

Floors::Floors(bool quick) : quick_(quick) {}
Floors::~Floors() = default;

void Floors::fork() {
  peers_ = std::make_unique<Peers>();
}

void Floors::keep_busy(bool on) const {
  on ? peers_->burners.resume() : peers_->burners.pause();
}

std::vector<Case> Floors::cases() {
  std::vector<Case> all;
  const auto add = [&](const char* name, const char* about, auto work) -> Case& {
    all.push_back({.name = name, .group = "floors", .about = about, .floor = {}, .once = [this, work] {
                     return timed([&] { work(*peers_); });
                   }});
    return all.back();
  };
  const std::size_t megabytes = quick_ ? hundred_megabytes / 100 : hundred_megabytes;
  const auto zmq = [](Peers& peers) { peers.zmq.round_trip(); };
  add("unix_socket_rtt", "a round trip of 64 bytes over Unix sockets",
      [](Peers& peers) { peers.unix_socket.round_trip(); });
  add("zmq_ipc_rtt", "a round trip of 64 bytes over ZeroMQ ipc, blocking", zmq);
  add("zmq_ipc_rtt_idle_100us", "the same after 100 us of idleness", zmq).idle = microseconds(100);
  add("zmq_ipc_rtt_idle_1ms", "the same after 1 ms of idleness", zmq).idle = milliseconds(1);
  add("zmq_ipc_rtt_idle_10ms", "the same after 10 ms of idleness", zmq).idle = milliseconds(10);
  add("zmq_ipc_rtt_busy", "the same while every cpu computes", zmq).surroundings = [this](bool on) { keep_busy(on); };
  add("futex_rtt", "a round trip over shared memory, sleeping in a futex",
      [](Peers& peers) { peers.futex.round_trip(); });
  add("lane_rtt", "a round trip over our lanes, spinning before they sleep",
      [](Peers& peers) { peers.lane.round_trip(); });
  add("relay_rtt", "64 bytes over our lanes through three processes, and back",
      [](Peers& peers) { peers.relay.round_trip(); });
  Case& messages = add("lane_messages", "100,000 messages of 64 bytes over a lane, one way",
                       [](Peers& peers) { peers.lane_batches.round_trip(); });
  messages.measure = Measure::rate;
  messages.operations = lane_batch;
  add("fork_rtt", "a small process forks one that says a byte", [](Peers& peers) { peers.forks.fork(1); });
  Case& forks = add("forks", "200 of these at a time", [](Peers& peers) { peers.forks.fork(fork_batch); });
  forks.measure = Measure::rate;
  forks.operations = fork_batch;
  add("memcpy_touched", "100 MB into touched shared memory", [megabytes](Peers& peers) {
    if (!peers.copy) peers.copy.emplace(megabytes);
    peers.copy->once();
  });
  add("memcpy_1gb", "1 GB into touched shared memory", [megabytes](Peers& peers) {
    if (!peers.large_copy) peers.large_copy.emplace(10 * megabytes);
    peers.large_copy->once();
  });
  Case& fresh = add("memcpy_fresh", "100 MB into shared memory that was never touched", [](Peers&) {});
  fresh.once = [megabytes] {
    const std::vector<char> from(megabytes, 'f');
    const Memory to(megabytes, MAP_SHARED);
    return timed([&] { std::memcpy(to.data(), from.data(), from.size()); });
  };
  return all;
}

}  // namespace mobula::bench
