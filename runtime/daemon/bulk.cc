#include "runtime/daemon/bulk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "runtime/net/bulk.h"
#include "runtime/process/fd.h"

namespace mobula::daemon {
namespace {

using process::Fd;

constexpr std::size_t most_senders = 4;
constexpr std::size_t most_connections = 64;
constexpr int connect_ms = 3000;

// The first bytes of a connection, and the one that answers all of it.
struct Hello {
  std::uint64_t token = 0;
  std::uint32_t plain = 0;
  std::uint32_t reserved = 0;
};
enum class Answer : std::uint8_t { all_here = 1 };

std::optional<sockaddr_storage> parse(const std::string& host, const std::string& port, socklen_t& size) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return std::nullopt;
  sockaddr_storage out{};
  std::memcpy(&out, found->ai_addr, found->ai_addrlen);
  size = found->ai_addrlen;
  freeaddrinfo(found);
  return out;
}

template <class T>
std::span<std::byte> bytes_of(T& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

}  // namespace

class Bulk::Impl {
 public:
  Impl(const BulkOptions& options, object::Arena& arena, std::function<void()> wake)
      : options_(options), arena_(arena), wake_(std::move(wake)), stop_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
      for (const auto& [fd, node] : open_) shutdown(fd, SHUT_RDWR);
    }
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop_.get(), &one, sizeof one);
    work_.notify_all();
    if (acceptor_.joinable()) acceptor_.join();
    for (auto& thread : senders_) thread.join();
    for (auto& receiver : receivers_) receiver.thread.join();
  }

  BulkOffer offer(const wire::ObjectLocation& asked, const object::Draft& draft) {
    BulkOffer out{.object = asked};
    if (asked.bytes < worth_it || !listen() || address_.size() >= out.address.size()) return {};
    if (getrandom(&out.token, sizeof(out.token), 0) != sizeof(out.token)) return {};
    out.token |= 1;  // 0 is none
    out.key = net::random_bulk_key();
    out.plain = options_.trusted ? 1 : 0;
    std::ranges::copy(address_, out.address.begin());
    const std::lock_guard lock(mutex_);
    offers_.insert_or_assign(out.token, Offer{asked, out.key, draft});
    return out;
  }

  std::optional<object::Draft> withdraw(const wire::ObjectLocation& asked) {
    const std::lock_guard lock(mutex_);
    const auto found = std::ranges::find_if(offers_, [&](const auto& entry) { return entry.second.asked == asked; });
    if (found == offers_.end()) return std::nullopt;
    const object::Draft draft = found->second.draft;
    offers_.erase(found);
    return draft;
  }

  void send(NodeId to, object::Pin pin, const BulkOffer& offer) {
    {
      const std::lock_guard lock(mutex_);
      if (dead_.contains(to)) return;
      queue_.push_back({to, std::move(pin), offer});
      if (busy_senders_ + queue_.size() > senders_.size() && senders_.size() < most_senders) {
        senders_.emplace_back([this] { send_queued(); });
      }
    }
    work_.notify_one();
  }

  void node_died(NodeId node) {
    const std::lock_guard lock(mutex_);
    dead_.insert(node);
    std::erase_if(queue_, [&](const Send& one) { return one.to == node; });
    for (const auto& [fd, at] : open_) {
      if (at == node) shutdown(fd, SHUT_RDWR);
    }
  }

  std::vector<Received> received() {
    const std::lock_guard lock(mutex_);
    return std::exchange(received_, {});
  }
  std::vector<Unsent> unsent() {
    const std::lock_guard lock(mutex_);
    return std::exchange(unsent_, {});
  }

 private:
  struct Offer {
    wire::ObjectLocation asked;
    net::BulkKey key;
    object::Draft draft;
  };
  struct Send {
    NodeId to;
    object::Pin pin;
    BulkOffer offer;
  };
  struct Receiver {
    std::thread thread;
    bool done = false;  // guarded by mutex_
  };

  // A connection that others may break; null once they have.
  class Open {
   public:
    Open(Impl& home, int fd, NodeId node) : home_(home), fd_(fd) {
      const std::lock_guard lock(home_.mutex_);
      home_.open_[fd] = node;
      if (home_.stopping_ || home_.dead_.contains(node)) shutdown(fd, SHUT_RDWR);
    }
    ~Open() {
      const std::lock_guard lock(home_.mutex_);
      home_.open_.erase(fd_);
    }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

   private:
    Impl& home_;
    const int fd_;
  };

  void set_patience(int fd) const {
    timeval time{};
    time.tv_sec = options_.patience.count() / 1000;
    time.tv_usec = options_.patience.count() % 1000 * 1000;
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
    const int yes = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes));
  }

  // Called by the loop's thread only.
  bool listen() {
    if (listening_.valid()) return true;
    socklen_t size = 0;
    const auto at = parse(options_.host, "0", size);
    if (!at) return false;
    Fd fd(socket(at->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_storage bound{};
    if (!fd.valid() || bind(fd.get(), reinterpret_cast<const sockaddr*>(&*at), size) != 0 ||
        ::listen(fd.get(), most_connections) != 0 ||
        getsockname(fd.get(), reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
      return false;
    }
    const auto port = ntohs(bound.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&bound)->sin6_port
                                                        : reinterpret_cast<const sockaddr_in*>(&bound)->sin_port);
    address_ = bound.ss_family == AF_INET6 ? fmt::format("[{}]:{}", options_.host, port)
                                           : fmt::format("{}:{}", options_.host, port);
    listening_ = std::move(fd);
    acceptor_ = std::thread([this] { accept_all(); });
    return true;
  }

  void accept_all() {
    for (;;) {
      std::array<pollfd, 2> fds{{{.fd = listening_.get(), .events = POLLIN, .revents = 0},
                                 {.fd = stop_.get(), .events = POLLIN, .revents = 0}}};
      if (poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR) return;
      if (fds[1].revents != 0) return;
      const int fd = accept4(listening_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      reap();
      if (receivers_.size() >= most_connections) {
        ::close(fd);
        continue;
      }
      Receiver& receiver = receivers_.emplace_back();
      receiver.thread = std::thread([this, fd, &receiver] {
        receive(Fd(fd));
        const std::lock_guard lock(mutex_);
        receiver.done = true;
      });
    }
  }

  void reap() {
    for (auto receiver = receivers_.begin(); receiver != receivers_.end();) {
      const bool done = [&] {
        const std::lock_guard lock(mutex_);
        return receiver->done;
      }();
      if (done) receiver->thread.join();
      receiver = done ? receivers_.erase(receiver) : std::next(receiver);
    }
  }

  void receive(const Fd& fd) {
    set_patience(fd.get());
    Hello hello;
    {
      const Open stranger(*this, fd.get(), NodeId{});
      if (!net::receive_all(fd.get(), bytes_of(hello))) return;
    }
    if (hello.plain != 0 && !options_.trusted) return;
    std::optional<Offer> taken_up;
    {
      const std::lock_guard lock(mutex_);
      if (auto found = offers_.extract(hello.token)) taken_up = found.mapped();
    }
    if (!taken_up) return;
    const wire::ObjectLocation& asked = taken_up->asked;
    const Open open(*this, fd.get(), asked.node);
    const object::Location& local = taken_up->draft.location;
    if (!net::receive_bulk(fd.get(), taken_up->draft.bytes, hello.plain != 0 ? nullptr : &taken_up->key)) {
      arena_.discard(local);
      return;
    }
    arena_.seal(local);
    finish(
        fd.get(),
        {asked, {.node = options_.self, .offset = local.offset, .bytes = local.bytes, .generation = local.generation}});
  }

  void finish(int fd, const Received& what) {
    {
      const std::lock_guard lock(mutex_);
      received_.push_back(what);
    }
    wake_();
    Answer answer = Answer::all_here;
    static_cast<void>(net::send_all(fd, bytes_of(answer)));
  }

  void send_queued() {
    std::unique_lock lock(mutex_);
    for (;;) {
      work_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      Send one = std::move(queue_.front());
      queue_.pop_front();
      ++busy_senders_;
      lock.unlock();
      const bool sent = deliver(one);
      if (sent) one.pin = {};
      lock.lock();
      --busy_senders_;
      if (!sent && !stopping_ && !dead_.contains(one.to)) {
        unsent_.push_back({one.to, one.offer.object, std::move(one.pin)});
        wake_();
      }
    }
  }

  bool deliver(const Send& one) {
    const Fd fd = connect_to(one);
    if (!fd.valid()) return false;
    const Open open(*this, fd.get(), one.to);
    Hello hello{.token = one.offer.token, .plain = options_.trusted && one.offer.plain != 0};
    Answer answer{};
    return net::send_all(fd.get(), bytes_of(hello)) &&
           net::send_bulk(fd.get(), one.pin.bytes(), hello.plain != 0 ? nullptr : &one.offer.key) &&
           net::receive_all(fd.get(), bytes_of(answer)) && answer == Answer::all_here;
  }

  Fd connect_to(const Send& one) {
    const std::string address(one.offer.address.data(), strnlen(one.offer.address.data(), one.offer.address.size()));
    const auto colon = address.rfind(':');
    if (colon == std::string::npos) return Fd();
    std::string host = address.substr(0, colon);
    if (host.size() > 1 && host.front() == '[') host = host.substr(1, host.size() - 2);
    socklen_t size = 0;
    const auto to = parse(host, address.substr(colon + 1), size);
    if (!to) return Fd();
    Fd fd(socket(to->ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) return Fd();
    const Open open(*this, fd.get(), one.to);
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*to), size) != 0 && errno != EINPROGRESS) return Fd();
    pollfd writable{.fd = fd.get(), .events = POLLOUT, .revents = 0};
    int error = 0;
    socklen_t error_size = sizeof(error);
    if (poll(&writable, 1, connect_ms) != 1 || getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &error_size) != 0 ||
        error != 0) {
      return Fd();
    }
    fcntl(fd.get(), F_SETFL, fcntl(fd.get(), F_GETFL) & ~O_NONBLOCK);
    set_patience(fd.get());
    return fd;
  }

  const BulkOptions options_;
  object::Arena& arena_;
  const std::function<void()> wake_;
  const Fd stop_;

  // Written by the loop's thread before the acceptor starts.
  Fd listening_;
  std::string address_;
  std::thread acceptor_;
  std::list<Receiver> receivers_;  // the acceptor's, and after its end the destructor's

  std::mutex mutex_;  // guards what follows
  bool stopping_ = false;
  std::map<std::uint64_t, Offer> offers_;
  std::map<int, NodeId> open_;
  std::set<NodeId> dead_;
  std::deque<Send> queue_;
  std::vector<std::thread> senders_;
  std::size_t busy_senders_ = 0;
  std::condition_variable work_;
  std::vector<Received> received_;
  std::vector<Unsent> unsent_;
};

Bulk::Bulk(const BulkOptions& options, object::Arena& arena, std::function<void()> wake)
    : impl_(std::make_unique<Impl>(options, arena, std::move(wake))) {}
Bulk::~Bulk() = default;
BulkOffer Bulk::offer(const wire::ObjectLocation& asked, const object::Draft& draft) {
  return impl_->offer(asked, draft);
}
std::optional<object::Draft> Bulk::withdraw(const wire::ObjectLocation& asked) {
  return impl_->withdraw(asked);
}
void Bulk::send(NodeId to, object::Pin pin, const BulkOffer& offer) {
  impl_->send(to, std::move(pin), offer);
}
void Bulk::node_died(NodeId node) {
  impl_->node_died(node);
}
std::vector<Bulk::Received> Bulk::received() {
  return impl_->received();
}
std::vector<Bulk::Unsent> Bulk::unsent() {
  return impl_->unsent();
}

}  // namespace mobula::daemon
