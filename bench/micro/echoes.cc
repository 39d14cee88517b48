#include "bench/micro/echoes.h"

#include <linux/futex.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zmq.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <thread>

namespace mobula::bench {

namespace {

using Clock = std::chrono::steady_clock;
using net::Endpoint;
using net::Peer;

void socket_pair(std::array<int, 2>& ends) {
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "making a socket pair");
  }
}

void post(std::atomic<std::uint32_t>& word, std::uint32_t turn) {
  word.store(turn, std::memory_order_release);
  syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void await(std::atomic<std::uint32_t>& word, std::uint32_t turn) {
  while (word.load(std::memory_order_acquire) != turn) {
    syscall(SYS_futex, &word, FUTEX_WAIT, turn - 1, nullptr, nullptr, 0);
  }
}

}  // namespace

Memory::Memory(std::size_t bytes, int sharing) : bytes_(bytes) {
  data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS, -1, 0);
  if (data_ == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "mapping memory to measure with");
}

Memory::~Memory() {
  munmap(data_, bytes_);
}

UnixSocketEcho::UnixSocketEcho() {
  socket_pair(ends_);
  peer_ = std::make_unique<PeerProcess>([this] {
    close(ends_[0]);  // or the end of the parent would not be seen
    while (exchange(ends_[1], true)) {
    }
  });
}

UnixSocketEcho::~UnixSocketEcho() {
  close(ends_[0]);
  close(ends_[1]);
}

bool UnixSocketEcho::exchange(int socket, bool echo) {
  if (echo) return receive(socket) && write(socket, payload_.data(), payload_.size()) == ssize_t{sizeof(payload_)};
  return write(socket, payload_.data(), payload_.size()) == ssize_t{sizeof(payload_)} && receive(socket);
}

bool UnixSocketEcho::receive(int socket) {
  std::size_t got = 0;
  while (got < payload_.size()) {
    const ssize_t bytes = read(socket, payload_.data() + got, payload_.size() - got);
    if (bytes <= 0) return false;
    got += static_cast<std::size_t>(bytes);
  }
  return true;
}

// In the abstract namespace: no file is left behind.
ZeroMqEcho::ZeroMqEcho() : address_("ipc://@mobula-microbenchmark-" + std::to_string(getpid())) {
  peer_ = std::make_unique<PeerProcess>([this] {
    open(address_, false);
    while (zmq_recv(socket_, payload_.data(), payload_.size(), 0) >= 0) {
      zmq_send(socket_, payload_.data(), payload_.size(), 0);
    }
  });
}

ZeroMqEcho::~ZeroMqEcho() {
  if (context_ == nullptr) return;
  const int linger = 0;
  zmq_setsockopt(socket_, ZMQ_LINGER, &linger, sizeof(linger));
  zmq_close(socket_);
  zmq_ctx_term(context_);
}

void ZeroMqEcho::round_trip() {
  if (context_ == nullptr) open(address_, true);
  zmq_send(socket_, payload_.data(), payload_.size(), 0);
  zmq_recv(socket_, payload_.data(), payload_.size(), 0);
}

void ZeroMqEcho::open(const std::string& address, bool bind) {
  context_ = zmq_ctx_new();
  socket_ = zmq_socket(context_, ZMQ_PAIR);
  if ((bind ? zmq_bind(socket_, address.c_str()) : zmq_connect(socket_, address.c_str())) != 0) {
    throw std::runtime_error("opening " + address + ": " + zmq_strerror(errno));
  }
}

FutexEcho::FutexEcho() : memory_(4096, MAP_SHARED) {
  peer_ = std::make_unique<PeerProcess>([this] {
    for (std::uint32_t turn = 1;; ++turn) {
      await(there(), turn);
      post(back(), turn);
    }
  });
}

void FutexEcho::round_trip() {
  ++turn_;
  std::memcpy(memory_.data() + 1024, payload_.data(), payload_.size());
  post(there(), turn_);
  await(back(), turn_);
}

LaneEcho::LaneEcho(int hops, int batch) : batch_(batch) {
  for (int i = 0; i <= hops; ++i) slots_.push_back(*segment_.allocate_slot());
  for (std::size_t hop = 1; hop < slots_.size(); ++hop) {
    peers_.push_back(std::make_unique<PeerProcess>([this, hop] { serve(hop); }));
  }
  endpoint_.emplace(segment_, slots_.front());
}

void LaneEcho::serve(std::size_t hop) {
  Endpoint endpoint(segment_, slots_[hop]);
  const Peer next = slots_[(hop + 1) % slots_.size()];
  for (int received = 0;;) {
    endpoint.poll([&](Peer, Endpoint::Bytes frame) {
      if (++received % batch_ == 0) endpoint.send(next, {frame});
    });
    endpoint.wait(Clock::time_point::max());
  }
}

void LaneEcho::round_trip() {
  if (batch_ > 1) endpoint_->cork();
  for (int sent = 0; sent < batch_;) {
    if (endpoint_->send(slots_[1], {payload_}) == net::SendStatus::ok) {
      ++sent;
    } else {
      endpoint_->wait(Clock::time_point::max());
    }
  }
  if (batch_ > 1) endpoint_->flush();
  while (endpoint_->poll([](Peer, Endpoint::Bytes) {}) == 0) endpoint_->wait(Clock::time_point::max());
}

ForkServer::ForkServer() {
  socket_pair(orders_);
  socket_pair(words_);
  peer_ = std::make_unique<PeerProcess>([this] {
    close(orders_[0]);
    close(words_[0]);
    serve(orders_[1], words_[1]);
  });
}

ForkServer::~ForkServer() {
  for (const int end : {orders_[0], orders_[1], words_[0], words_[1]}) close(end);
}

void ForkServer::serve(int orders, int words) {
  signal(SIGCHLD, SIG_IGN);  // the system reaps
  for (int count = 0; read(orders, &count, sizeof(count)) == ssize_t{sizeof(count)};) {
    for (int i = 0; i < count; ++i) {
      if (::fork() != 0) continue;
      const char word = 'a';
      _exit(write(words, &word, 1) == 1 ? 0 : 1);
    }
  }
  _exit(0);
}

void ForkServer::fork(int count) {
  if (write(orders_[0], &count, sizeof(count)) != ssize_t{sizeof(count)}) {
    throw std::system_error(errno, std::generic_category(), "asking for forks");
  }
  std::array<char, 256> heard;
  for (int missing = count; missing > 0;) {
    const ssize_t bytes = read(words_[0], heard.data(), heard.size());
    if (bytes <= 0) throw std::runtime_error("a process that was to fork others has ended");
    missing -= static_cast<int>(bytes);
  }
}

Burners::Burners() {
  for (unsigned i = 0; i < std::max(1u, std::thread::hardware_concurrency()); ++i) {
    peers_.push_back(std::make_unique<PeerProcess>([] {
      raise(SIGSTOP);
      for (volatile std::uint64_t n = 0;;) n = n + 1;
    }));
  }
}

void Burners::resume() const {
  for (const auto& peer : peers_) kill(peer->pid(), SIGCONT);
}

void Burners::pause() const {
  for (const auto& peer : peers_) kill(peer->pid(), SIGSTOP);
}

}  // namespace mobula::bench
