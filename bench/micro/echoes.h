#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/micro/peer.h"
#include "runtime/net/endpoint.h"

namespace mobula::bench {

using Payload = std::array<std::byte, 64>;

/// Anonymous memory shared with children (MAP_SHARED), or of this process alone (MAP_PRIVATE).
class Memory {
 public:
  Memory(std::size_t bytes, int sharing);
  ~Memory();
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  std::byte* data() const { return static_cast<std::byte*>(data_); }
  std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_;
  void* data_;
};

// Each of these forks a process that sends back what it gets, so it is made while this process has one thread.
// round_trip() sends 64 bytes there and waits for them.

/// A pair of Unix stream sockets, read() and write().
class UnixSocketEcho {
 public:
  UnixSocketEcho();
  ~UnixSocketEcho();
  void round_trip() { exchange(ends_[0], false); }

 private:
  bool exchange(int socket, bool echo);
  bool receive(int socket);

  std::array<int, 2> ends_{};
  Payload payload_{};
  std::unique_ptr<PeerProcess> peer_;
};

/// Two ZeroMQ PAIR sockets over ipc://, blocking calls. The context, with its two threads, comes with the first round
/// trip.
class ZeroMqEcho {
 public:
  ZeroMqEcho();
  ~ZeroMqEcho();
  void round_trip();

 private:
  void open(const std::string& address, bool bind);

  std::string address_;
  void* context_ = nullptr;
  void* socket_ = nullptr;
  Payload payload_{};
  std::unique_ptr<PeerProcess> peer_;
};

/// A word in shared memory and a futex, without spinning.
class FutexEcho {
 public:
  FutexEcho();
  void round_trip();

 private:
  using Word = std::atomic<std::uint32_t>;
  Word& there() const { return *reinterpret_cast<Word*>(memory_.data()); }
  Word& back() const { return *reinterpret_cast<Word*>(memory_.data() + 512); }

  Memory memory_;
  std::uint32_t turn_ = 0;
  Payload payload_{};
  std::unique_ptr<PeerProcess> peer_;
};

/// Our own lanes (net::Endpoint), which spin shortly before they sleep. `hops` processes pass a message on until the
/// last one sends it back; of every `batch` messages only the last.
class LaneEcho {
 public:
  explicit LaneEcho(int hops = 1, int batch = 1);
  void round_trip();

 private:
  void serve(std::size_t hop);

  const int batch_;
  net::Segment segment_;
  std::vector<net::Peer> slots_;  // this process, then the hops
  Payload payload_{};
  std::vector<std::unique_ptr<PeerProcess>> peers_;
  std::optional<net::Endpoint> endpoint_;
};

/// A process of one thread and a small heap that forks others, each of which says one byte and ends.
class ForkServer {
 public:
  ForkServer();
  ~ForkServer();
  /// Returns when all `count` have spoken.
  void fork(int count);

 private:
  [[noreturn]] static void serve(int orders, int words);
  std::array<int, 2> orders_{}, words_{};
  std::unique_ptr<PeerProcess> peer_;
};

/// Processes that keep every cpu busy from resume() to pause().
class Burners {
 public:
  Burners();
  void resume() const;
  void pause() const;

 private:
  std::vector<std::unique_ptr<PeerProcess>> peers_;
};

}  // namespace mobula::bench
