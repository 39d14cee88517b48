#include "runtime/daemon/cluster.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <spdlog/logger.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include <mobula/result.h>

#include "runtime/net/keys.h"
#include "runtime/net/router.h"
#include "runtime/process/fd.h"
#include "runtime/wire/reliable_link.h"

namespace mobula::daemon {
namespace {

std::string numeric(const sockaddr* address, socklen_t size) {
  std::array<char, NI_MAXHOST> host{};
  if (getnameinfo(address, size, host.data(), host.size(), nullptr, 0, NI_NUMERICHOST) != 0) return {};
  return host.data();
}

// "HOST:PORT" or "[v6]:PORT".
std::pair<std::string, std::string> split(const std::string& address) {
  const std::size_t colon = address.rfind(':');
  if (colon == std::string::npos) return {address, ""};
  std::string host = address.substr(0, colon);
  if (host.size() > 1 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  return {host, address.substr(colon + 1)};
}

// The address of this machine from which packets to `peer` leave (nothing is sent).
std::string address_towards(const std::string& peer) {
  const auto [host, port] = split(peer);
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), port.c_str(), &hints, &found) != 0) return {};
  std::string own;
  for (const addrinfo* at = found; at != nullptr && own.empty(); at = at->ai_next) {
    const process::Fd fd(socket(at->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_storage local{};
    socklen_t size = sizeof(local);
    if (fd.valid() && connect(fd.get(), at->ai_addr, at->ai_addrlen) == 0 &&
        getsockname(fd.get(), reinterpret_cast<sockaddr*>(&local), &size) == 0) {
      own = numeric(reinterpret_cast<sockaddr*>(&local), size);
    }
  }
  freeaddrinfo(found);
  return own;
}

// The address of the interface of that name; of the first that is not the loopback's if `name` is empty.
std::string address_of_interface(const std::string& name) {
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return {};
  std::string found;
  for (const ifaddrs* at = all; at != nullptr && found.empty(); at = at->ifa_next) {
    if (at->ifa_addr == nullptr || at->ifa_addr->sa_family != AF_INET || (at->ifa_flags & IFF_UP) == 0) continue;
    if (name.empty() ? (at->ifa_flags & IFF_LOOPBACK) != 0 : name != at->ifa_name) continue;
    found = numeric(at->ifa_addr, sizeof(sockaddr_in));
  }
  freeifaddrs(all);
  return found;
}

// What a node that was declared dead, and is not, gets for an answer: no link leads to it any more. The head's word
// counts.
constexpr std::array<char, 16> gone_mark = {'M', 'b', 'n', 'o', 'd', 'e', ' ', 'g',
                                            'i', 'v', 'e', 'n', ' ', 'u', 'p', 0};

bool is_gone_mark(std::span<const std::byte> bytes) {
  return bytes.size() == gone_mark.size() && std::memcmp(bytes.data(), gone_mark.data(), gone_mark.size()) == 0;
}

}  // namespace

NodeId random_node() {
  NodeId id;
  while (!id) {
    if (getrandom(&id.value, sizeof(id.value), 0) != sizeof(id.value)) id.value = 0;
  }
  return id;
}

class Cluster::Impl final : public wire::LinkSink {
 public:
  Impl(EventLoop& loop, const ClusterOptions& options, std::shared_ptr<spdlog::logger> log, ClusterEvents& events)
      : options_(options), log_(std::move(log)), events_(events) {
    auto keys = net::Keys::load(options.keys);
    if (!keys) throw TaskError(keys.error());
    net::RouterOptions router;
    router.self = options.self;
    router.keys = *keys;
    router.port = options.port;
    if (!options.host.empty()) {
      const std::string interface = address_of_interface(options.host);
      router.host = interface.empty() ? options.host : interface;
    } else {
      // Nobody said that other machines may call: only where the head is, if that is not this machine.
      const std::string towards = options.is_head ? std::string() : address_towards(options.head);
      router.host = towards.empty() ? "127.0.0.1" : towards;
    }
    router_ = std::make_unique<net::Router>(
        router, net::Router::Handlers{
                    .on_frame = [this](NodeId from, std::span<const std::byte> frame) { on_datagram(from, frame); },
                    .on_event = [this](const net::RouterEvent& event) { on_event(event); },
                });
    host_ = router.host;
    if (host_ == "0.0.0.0" || host_ == "::")
      host_ = options.is_head ? address_of_interface("") : address_towards(options.head);
    if (host_.empty()) host_ = "127.0.0.1";
    watch_ = loop.watch(router_->fd(), [] {});  // the caller calls process() whenever the loop wakes
    if (!options.is_head) connect_to_head();
  }

  std::string address() const {
    return host_.find(':') == std::string::npos ? fmt::format("{}:{}", host_, router_->port())
                                                : fmt::format("[{}]:{}", host_, router_->port());
  }

  bool send(NodeId to, std::initializer_list<std::span<const std::byte>> parts, Time now) {
    wire::ReliableLink* link = link_to(to);
    if (link == nullptr) return false;
    std::size_t size = 0;
    for (const auto& part : parts) size += part.size();
    Bytes payload;
    std::byte* at = payload.resize_for_overwrite(size);
    for (const auto& part : parts) {
      if (!part.empty()) std::memcpy(at, part.data(), part.size());
      at += part.size();
    }
    now_ = now;
    link->send(std::move(payload), now);
    return true;
  }

  std::size_t backlog(NodeId to) const {
    const auto at = links_.find(to);
    return at == links_.end() ? 0 : at->second->unacknowledged();
  }

  bool congested() const {
    return std::ranges::any_of(links_, [](const auto& entry) { return entry.second->full(); });
  }

  void set_peers(const std::vector<wire::NodeView>& nodes) {
    for (const wire::NodeView& node : nodes) addresses_[node.node] = node.address;
  }

  void forget(NodeId node) { to_forget_.push_back(node); }

  // Not at once: a frame of that node may be what told of its death.
  void drop(NodeId node) {
    dropped_.insert(node);
    to_forget_.push_back(node);
  }

  bool process(Time now) {
    now_ = now;
    const bool any = router_->process();
    forget_dropped();
    return any;
  }

  void on_timer(Time now) {
    now_ = now;
    for (auto& [node, link] : links_) {
      if (link->next_timer() <= now) link->on_timer(now);
    }
    forget_dropped();
  }

  Time next_timer() const {
    Time next = never;
    for (const auto& [node, link] : links_) next = std::min(next, link->next_timer());
    return next;
  }

 private:
  void connect_to_head() {
    try {
      router_->connect(options_.head);
    } catch (const std::invalid_argument& error) {
      throw TaskError({.code = ErrorCode::invalid, .message = error.what()});
    }
  }

  wire::ReliableLink* link_to(NodeId node) {
    if (dropped_.contains(node)) return nullptr;
    const auto at = links_.find(node);
    if (at != links_.end()) return at->second.get();
    const auto address = addresses_.find(node);
    const bool connected = connected_.contains(node);
    if (!connected && (address == addresses_.end() || address->second.empty())) return nullptr;
    if (!connected) router_->connect(address->second, node);
    return links_.emplace(node, std::make_unique<wire::ReliableLink>(options_.self, node, wire::LinkOptions{}, *this))
        .first->second.get();
  }

  void on_datagram(NodeId from, std::span<const std::byte> datagram) {
    if (is_gone_mark(datagram)) {
      if (from == head_) events_.given_up();
    } else if (options_.is_head && dropped_.contains(from)) {
      static_cast<void>(router_->send(from, {std::as_bytes(std::span(gone_mark))}));
    } else if (wire::ReliableLink* link = link_to(from)) {
      link->on_datagram(datagram, now_);
    }
  }

  void transmit(NodeId peer, std::span<const std::byte> datagram) override {
    // What the router does not take now, the link sends again.
    static_cast<void>(router_->send(peer, {datagram}));
  }
  void deliver(NodeId peer, std::span<const std::byte> payload) override {
    if (!dropped_.contains(peer)) events_.frame_arrived(peer, payload);
  }

  void on_event(const net::RouterEvent& event) {
    using Kind = net::RouterEvent::Kind;
    switch (event.kind) {
      case Kind::connected: {
        log_->debug("connected to node {} at {}", to_string(event.node), event.address);
        connected_.insert(event.node);
        if (!event.address.empty()) addresses_.try_emplace(event.node, event.address);
        if (const auto at = links_.find(event.node); at != links_.end()) at->second->on_reconnected(now_);
        if (!options_.is_head && event.address == options_.head) {
          head_ = event.node;
          events_.head_found(head_);
        }
        events_.node_connected(event.node);
        break;
      }
      case Kind::disconnected:
        log_->debug("lost the connection to node {}: {}", to_string(event.node), event.reason);
        connected_.erase(event.node);
        events_.node_disconnected(event.node);
        break;
      case Kind::unreachable:
        log_->warn("cannot reach {}: {}", event.address, event.reason);
        if (!options_.is_head && event.address == options_.head) events_.head_unreachable(event.reason);
        break;
      case Kind::refused:
        log_->warn("refused {}: {}", event.address.empty() ? "an unknown address" : event.address, event.reason);
        break;
      case Kind::handshake_failed:
        log_->warn("not let in at {}: {}", event.address, event.reason);
        if (options_.is_head || event.address != options_.head) break;
        if (!head_) {
          events_.head_refused(event.reason);
        } else if (router_->send(head_, {}) == net::Router::SendStatus::unknown) {
          // Another node listens there now: the head was started again.
          connected_.erase(head_);
          connect_to_head();
        }
        break;
    }
  }

  void forget_dropped() {
    for (NodeId node : std::exchange(to_forget_, {})) {
      links_.erase(node);
      connected_.erase(node);
      addresses_.erase(node);
      router_->forget(node);
    }
  }

  const ClusterOptions options_;
  const std::shared_ptr<spdlog::logger> log_;
  ClusterEvents& events_;
  std::unique_ptr<net::Router> router_;
  std::unique_ptr<EventLoop::Watch> watch_;
  std::string host_;
  NodeId head_;
  Time now_{};
  std::map<NodeId, std::unique_ptr<wire::ReliableLink>> links_;
  std::map<NodeId, std::string> addresses_;
  std::set<NodeId> connected_;
  std::set<NodeId> dropped_;  // never come back under the same id
  std::vector<NodeId> to_forget_;
};

Cluster::Cluster(EventLoop& loop, const ClusterOptions& options, std::shared_ptr<spdlog::logger> log,
                 ClusterEvents& events)
    : impl_(std::make_unique<Impl>(loop, options, std::move(log), events)) {}
Cluster::~Cluster() = default;
std::string Cluster::address() const {
  return impl_->address();
}
bool Cluster::send(NodeId to, std::initializer_list<std::span<const std::byte>> parts, Time now) {
  return impl_->send(to, parts, now);
}
std::size_t Cluster::backlog(NodeId to) const {
  return impl_->backlog(to);
}
bool Cluster::congested() const {
  return impl_->congested();
}
void Cluster::set_peers(const std::vector<wire::NodeView>& nodes) {
  impl_->set_peers(nodes);
}
void Cluster::forget(NodeId node) {
  impl_->forget(node);
}
void Cluster::drop(NodeId node) {
  impl_->drop(node);
}
bool Cluster::process(Time now) {
  return impl_->process(now);
}
void Cluster::on_timer(Time now) {
  impl_->on_timer(now);
}
Time Cluster::next_timer() const {
  return impl_->next_timer();
}

}  // namespace mobula::daemon
