#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mobula::bench {

/// What a figure is held against: a bare measurement of what the machine does in the same run.
struct Floor {
  std::string name;
  /// Measures `count` times and appends each time in microseconds; of a rate, the one mean time.
  std::function<void(int count, std::vector<double>& microseconds)> measure;
  int per_round = 0;  ///< how many a round takes
  bool rate = false;  ///< many at a time: what counts is how many a second
};

/// Round trips of 64 bytes between two processes, neither pinned, both sides blocking except where the name says more:
///   unix_socket_rtt   a pair of Unix stream sockets, read() and write()
///   zmq_ipc_rtt       two ZeroMQ PAIR sockets over ipc://, blocking calls
///   futex_rtt         a word in shared memory and a futex, without spinning
///   lane_rtt          our own lanes (net::Endpoint), which spin shortly before they sleep
/// one way, in batches:
///   lane_messages     messages of 64 bytes over a lane
/// and in one process:
///   memcpy_touched    100 MB from touched private memory into touched shared memory
///
/// The processes at the other end are forked here and end with the returned object, so call it before the process has
/// other threads.
class Floors {
 public:
  Floors();
  ~Floors();
  Floors(const Floors&) = delete;
  Floors& operator=(const Floors&) = delete;

  const std::vector<Floor>& all() const { return floors_; }

 private:
  struct Peers;
  std::unique_ptr<Peers> peers_;
  std::vector<Floor> floors_;
};

}  // namespace mobula::bench
