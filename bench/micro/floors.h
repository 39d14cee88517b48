#pragma once

#include <memory>
#include <vector>

#include "bench/micro/case.h"

namespace mobula::bench {

/// What figures are held against: bare measurements of what the machine does in the same run. Round trips of 64 bytes
/// between two processes, neither pinned, both sides blocking except where the name says more:
///   unix_socket_rtt   a pair of Unix stream sockets, read() and write()
///   zmq_ipc_rtt       two ZeroMQ PAIR sockets over ipc://, blocking calls; also after the idleness that a name tells,
///                     and `_busy`, while every cpu has a process that computes
///   futex_rtt         a word in shared memory and a futex, without spinning
///   lane_rtt          our own lanes (net::Endpoint), which spin shortly before they sleep
///   relay_rtt         the same through three processes: there, on to the next, and back
/// one way, in batches:
///   lane_messages     messages of 64 bytes over a lane
/// processes:
///   fork_rtt          a small process of one thread forks one that says a byte
///   forks             the same, 200 at a time
/// and in one process:
///   memcpy_touched    100 MB from touched private memory into touched shared memory
///   memcpy_1gb        1 GB of the same
///   memcpy_fresh      100 MB into shared memory that was not touched before: the system's page faults
class Floors {
 public:
  /// `quick`: a hundredth of the memory that is copied, to try the program.
  explicit Floors(bool quick = false);
  ~Floors();
  Floors(const Floors&) = delete;
  Floors& operator=(const Floors&) = delete;

  /// All of them, in the order above. They refer to this object.
  std::vector<Case> cases();

  /// Forks the processes at the other ends, which end with this object. Once, before the process has other threads and
  /// before any case is called.
  void fork();

  /// Processes that compute on every cpu, or not; for Case::surroundings. After fork().
  void keep_busy(bool on) const;

 private:
  struct Peers;
  const bool quick_;
  std::unique_ptr<Peers> peers_;
};

}  // namespace mobula::bench
