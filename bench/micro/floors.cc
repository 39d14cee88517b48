#include "bench/micro/floors.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <system_error>

#include "bench/micro/peer.h"
#include "runtime/net/endpoint.h"

namespace mobula::bench {

namespace {

using Clock = std::chrono::steady_clock;
using net::Endpoint;
using net::Peer;
using net::Segment;
using Payload = std::array<std::byte, 64>;

double microseconds_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin).count();
}

template <class RoundTrip>
void time_each(int count, std::vector<double>& microseconds, RoundTrip&& round_trip) {
  for (int i = 0; i < count; ++i) {
    const auto begin = Clock::now();
    round_trip();
    microseconds.push_back(microseconds_since(begin));
  }
}

/// Anonymous memory shared with children, or of this process alone.
class Memory {
 public:
  Memory(std::size_t bytes, int sharing) : bytes_(bytes) {
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
    if (data_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mapping memory to measure with");
  }
  ~Memory() { munmap(data_, bytes_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data() const { return data_; }

 private:
  std::size_t bytes_;
  void* data_;
};

class UnixSocketEcho {
 public:
  UnixSocketEcho() {
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_.data()) != 0) {
      throw std::system_error(errno, std::generic_category(), "making a socket pair");
    }
    peer_ = std::make_unique<PeerProcess>([this] {
      close(ends_[0]);  // or the end of the parent would not be seen
      while (exchange(ends_[1], true)) {
      }
    });
  }
  ~UnixSocketEcho() {
    close(ends_[0]);
    close(ends_[1]);
  }
  void round_trip() { exchange(ends_[0], false); }

 private:
  bool exchange(int socket, bool echo) {
    if (echo) return receive(socket) && write(socket, payload_.data(), payload_.size()) == ssize_t{sizeof(payload_)};
    return write(socket, payload_.data(), payload_.size()) == ssize_t{sizeof(payload_)} && receive(socket);
  }
  bool receive(int socket) {
    std::size_t got = 0;
    while (got < payload_.size()) {
      const ssize_t bytes = read(socket, payload_.data() + got, payload_.size() - got);
      if (bytes <= 0) return false;
      got += static_cast<std::size_t>(bytes);
    }
    return true;
  }

  std::array<int, 2> ends_{};
  Payload payload_{};
  std::unique_ptr<PeerProcess> peer_;
};

class ZeroMqEcho {
 public:
  ZeroMqEcho() {
    // In the abstract namespace: no file is left behind.
    const std::string address = "ipc://@mobula-microbenchmark-" + std::to_string(getpid());
    peer_ = std::make_unique<PeerProcess>([this, address] {
      open(address, false);
      while (zmq_recv(socket_, payload_.data(), payload_.size(), 0) >= 0) {
        zmq_send(socket_, payload_.data(), payload_.size(), 0);
      }
    });
    open(address, true);
  }
  ~ZeroMqEcho() {
    const int linger = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof(linger));
    zmq_close(socket_);
    zmq_ctx_term(context_);
  }
  void round_trip() {
    zmq_send(socket_, payload_.data(), payload_.size(), 0);
    zmq_recv(socket_, payload_.data(), payload_.size(), 0);
  }

 private:
  void open(const std::string& address, bool bind) {
    context_ = zmq_ctx_new();
    socket_ = zmq_socket(context_, ZMQ_PAIR);
    if ((bind ? zmq_bind(socket_, address.c_str()) : zmq_connect(socket_, address.c_str())) != 0) {
      throw std::runtime_error("opening " + address + ": " + zmq_strerror(errno));
    }
  }

  void* context_ = nullptr;
  void* socket_ = nullptr;
  Payload payload_{};
  std::unique_ptr<PeerProcess> peer_;
};

class FutexEcho {
 public:
  FutexEcho() : memory_(4096, MAP_SHARED) {
    peer_ = std::make_unique<PeerProcess>([this] {
      for (std::uint32_t turn = 1;; ++turn) {
        await(there(), turn);
        post(back(), turn);
      }
    });
  }
  void round_trip() {
    ++turn_;
    std::memcpy(static_cast<std::byte*>(memory_.data()) + 1024, payload_.data(), payload_.size());
    post(there(), turn_);
    await(back(), turn_);
  }

 private:
  using Word = std::atomic<std::uint32_t>;
  Word& there() const { return *static_cast<Word*>(memory_.data()); }
  Word& back() const { return *reinterpret_cast<Word*>(static_cast<std::byte*>(memory_.data()) + 512); }
  static void post(Word& word, std::uint32_t turn) {
    word.store(turn, std::memory_order_release);
    syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }
  static void await(Word& word, std::uint32_t turn) {
    while (word.load(std::memory_order_acquire) != turn) {
      syscall(SYS_futex, &word, FUTEX_WAIT, turn - 1, nullptr, nullptr, 0);
    }
  }

  Memory memory_;
  std::uint32_t turn_ = 0;
  Payload payload_{};
  std::unique_ptr<PeerProcess> peer_;
};

/// A process that sends each message back, or, of every batch, only the last.
class LaneEcho {
 public:
  explicit LaneEcho(int batch) : here_(*segment_.allocate_slot()), there_(*segment_.allocate_slot()) {
    peer_ = std::make_unique<PeerProcess>([this, batch] {
      Endpoint endpoint(segment_, there_);
      for (int received = 0;;) {
        endpoint.poll([&](Peer from, Endpoint::Bytes frame) {
          if (++received % batch == 0) endpoint.send(from, {frame});
        });
        endpoint.wait(Clock::time_point::max());
      }
    });
    endpoint_.emplace(segment_, here_);
  }
  void round_trip(int messages = 1) {
    if (messages > 1) endpoint_->cork();
    for (int sent = 0; sent < messages;) {
      if (endpoint_->send(there_, {payload_}) == net::SendStatus::ok) {
        ++sent;
      } else {
        endpoint_->wait(Clock::time_point::max());
      }
    }
    if (messages > 1) endpoint_->flush();
    while (endpoint_->poll([](Peer, Endpoint::Bytes) {}) == 0) endpoint_->wait(Clock::time_point::max());
  }

 private:
  Segment segment_;
  const Peer here_, there_;
  Payload payload_{};
  std::unique_ptr<PeerProcess> peer_;
  std::optional<Endpoint> endpoint_;
};

constexpr int batch = 100'000;

class Copy {
 public:
  Copy() : from_(bytes, MAP_PRIVATE), to_(bytes, MAP_SHARED) {
    std::memset(from_.data(), 1, bytes);
    std::memset(to_.data(), 2, bytes);
  }
  void once() { std::memcpy(to_.data(), from_.data(), bytes); }

 private:
  static constexpr std::size_t bytes = 100'000'000;
  Memory from_, to_;
};

}  // namespace

struct Floors::Peers {
  // The order is that of forking: what has no threads comes first.
  UnixSocketEcho unix_socket;
  FutexEcho futex;
  LaneEcho lane{1};
  LaneEcho lane_batches{batch};
  ZeroMqEcho zmq;
  std::unique_ptr<Copy> copy;  // 200 MB, made when they are needed
};

Floors::Floors() : peers_(std::make_unique<Peers>()) {
  const auto add = [this](const char* name, auto& echo, int per_round) {
    const auto measure = [&echo](int count, std::vector<double>& microseconds) {
      time_each(count, microseconds, [&] { echo.round_trip(); });
    };
    floors_.push_back({name, measure, per_round, false});
  };
  add("unix_socket_rtt", peers_->unix_socket, 500);
  add("zmq_ipc_rtt", peers_->zmq, 500);
  add("futex_rtt", peers_->futex, 500);
  add("lane_rtt", peers_->lane, 2000);
  const auto batches = [this](int count, std::vector<double>& microseconds) {
    const auto begin = Clock::now();
    for (int sent = 0; sent < count; sent += batch) peers_->lane_batches.round_trip(batch);
    microseconds.push_back(microseconds_since(begin) / count);
  };
  floors_.push_back({"lane_messages", batches, batch, true});
  const auto copy = [this](int count, std::vector<double>& microseconds) {
    if (!peers_->copy) peers_->copy = std::make_unique<Copy>();
    time_each(count, microseconds, [&] { peers_->copy->once(); });
  };
  floors_.push_back({"memcpy_touched", copy, 2, false});
}

Floors::~Floors() = default;

}  // namespace mobula::bench
