#include "runtime/net/router.h"

#include <netdb.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <vector>

namespace mobula::net {

namespace {

using Kind = RouterEvent::Kind;

constexpr int linger_ms = 100;

/// In front of every message.
struct Prefix {
  enum Type : std::uint8_t { frame = 1, hello = 2, welcome = 3 };
  char magic[2] = {'M', 'b'};
  std::uint8_t version = 0;
  std::uint8_t type = frame;
  std::uint32_t port = 0;  ///< hello, welcome: where the sender listens
  std::uint64_t node = 0;  ///< frame: whom it is for; hello, welcome: who speaks
};
static_assert(sizeof(Prefix) == 16);

// A routing id must not begin with a zero byte.
std::array<char, 9> routing_id(NodeId node) {
  std::array<char, 9> id{'M'};
  std::memcpy(id.data() + 1, &node.value, 8);
  return id;
}

/// Socket of ZeroMQ, closed with its owner.
class Socket {
 public:
  Socket(void* context, int type) : socket_(zmq_socket(context, type)) {
    if (socket_ == nullptr) throw std::runtime_error(std::string("making a ZeroMQ socket: ") + zmq_strerror(errno));
    set(ZMQ_LINGER, linger_ms);
  }
  ~Socket() { zmq_close(socket_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  void set(int option, int value) { zmq_setsockopt(socket_, option, &value, sizeof(value)); }
  void set(int option, std::int64_t value) { zmq_setsockopt(socket_, option, &value, sizeof(value)); }
  void set(int option, std::string_view value) { zmq_setsockopt(socket_, option, value.data(), value.size()); }
  int fd() const {
    int fd = -1;
    std::size_t size = sizeof(fd);
    zmq_getsockopt(socket_, ZMQ_FD, &fd, &size);
    return fd;
  }
  std::string last_endpoint() const {
    char text[256] = {};
    std::size_t size = sizeof(text);
    zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, text, &size);
    return text;
  }
  operator void*() const { return socket_; }

 private:
  void* socket_;
};

class Message {
 public:
  Message() { zmq_msg_init(&message_); }
  explicit Message(std::size_t bytes) { zmq_msg_init_size(&message_, bytes); }
  ~Message() { zmq_msg_close(&message_); }
  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  bool receive(const Socket& socket) { return zmq_msg_recv(&message_, socket, ZMQ_DONTWAIT) >= 0; }
  bool send(const Socket& socket, int flags) { return zmq_msg_send(&message_, socket, flags | ZMQ_DONTWAIT) >= 0; }
  bool more() { return zmq_msg_more(&message_) != 0; }
  std::byte* data() { return static_cast<std::byte*>(zmq_msg_data(&message_)); }
  std::size_t size() { return zmq_msg_size(&message_); }
  std::string_view text() { return {reinterpret_cast<const char*>(data()), size()}; }
  std::string property(const char* name) {
    const char* value = zmq_msg_gets(&message_, name);
    return value != nullptr ? value : "";
  }
  int source_fd() { return zmq_msg_get(&message_, ZMQ_SRCFD); }

 private:
  zmq_msg_t message_;
};

struct MonitorEvent {
  std::uint16_t what = 0;
  std::uint32_t value = 0;
};

/// What happens to the connections of a socket.
class Monitor {
 public:
  Monitor(void* context, const Socket& watched, const std::string& name)
      : watched_(watched), events_(context, ZMQ_PAIR) {
    constexpr int wanted = ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_CONNECT_RETRIED | ZMQ_EVENT_DISCONNECTED |
                           ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                           ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
    zmq_socket_monitor(watched_, name.c_str(), wanted);
    zmq_connect(events_, name.c_str());
  }
  ~Monitor() { zmq_socket_monitor(watched_, nullptr, 0); }

  std::optional<MonitorEvent> next() {
    Message head, endpoint;
    if (!head.receive(events_) || head.size() != 6) return std::nullopt;
    endpoint.receive(events_);
    MonitorEvent event;
    std::memcpy(&event.what, head.data(), 2);
    std::memcpy(&event.value, head.data() + 2, 4);
    return event;
  }
  int fd() const { return events_.fd(); }

 private:
  const Socket& watched_;
  Socket events_;
};

std::string handshake_reason(const MonitorEvent& event, bool at_server) {
  switch (event.what) {
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
      return "the keys were refused (status " + std::to_string(event.value) +
             "): they are not the ones of this cluster";
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
      if ((event.value & 0x11000000u) == 0x11000000u || event.value == ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC) {
        return "the key exchange failed: the keys of the two sides are not of one cluster, or the other side uses none";
      }
      return "the other side does not speak this protocol (ZeroMQ error " + std::to_string(event.value) + ")";
    default:
      return at_server
                 ? "the connection broke during the key exchange"
                 : "the other side broke off the key exchange; most often the keys file is not the one of its cluster: "
                   "copy the file that its head wrote";
  }
}

bool is_handshake_failure(const MonitorEvent& event) {
  return (event.what & (ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                        ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)) != 0;
}

/// "10.0.0.2:6500" or "[fe80::1]:6500"; a mapped IPv4 address is written as what it is.
std::string join_address(std::string_view host, std::string_view port) {
  constexpr std::string_view mapped = "::ffff:";
  if (host.starts_with(mapped) && host.find('.') != host.npos) host.remove_prefix(mapped.size());
  const bool bare_ipv6 = host.find(':') != host.npos && !host.starts_with('[');
  return (bare_ipv6 ? "[" + std::string(host) + "]:" : std::string(host) + ":") + std::string(port);
}

std::string address_of_peer(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  char host[128] = {}, port[16] = {};
  if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&address), size, host, sizeof(host), port, sizeof(port),
                  NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
    return "";
  }
  return join_address(host, port);
}

}  // namespace

class Router::Impl {
 public:
  Impl(const RouterOptions& options, Handlers handlers)
      : options_(options), handlers_(std::move(handlers)), zap_(context_, ZMQ_REP), router_(context_, ZMQ_ROUTER) {
    // The check of keys answers before anyone can connect.
    if (zmq_bind(zap_, "inproc://zeromq.zap.01") != 0) fail("listening for key checks");
    configure(router_);
    router_.set(ZMQ_CURVE_SERVER, 1);
    router_.set(ZMQ_CURVE_SECRETKEY, options_.keys.secret_key);
    router_.set(ZMQ_ZAP_DOMAIN, "mobula");
    router_.set(ZMQ_ROUTER_MANDATORY, 1);
    router_.set(ZMQ_ROUTER_HANDOVER, 1);
    monitor_.emplace(context_, router_, "inproc://monitor-router");
    const std::string address =
        "tcp://" + options_.host + ":" + (options_.port == 0 ? "*" : std::to_string(options_.port));
    if (zmq_bind(router_, address.c_str()) != 0) fail("listening for other nodes at " + address);
    const std::string bound = router_.last_endpoint();
    port_ = static_cast<std::uint16_t>(std::stoi(bound.substr(bound.rfind(':') + 1)));
    watch(zap_.fd());
    watch(router_.fd());
    watch(monitor_->fd());
  }

  void connect(const std::string& address, NodeId expected) {
    auto fresh = std::make_unique<Dealer>(context_, "inproc://monitor-" + std::to_string(++monitors_));
    fresh->address = address;
    fresh->expected = expected;
    configure(fresh->socket);
    fresh->socket.set(ZMQ_CURVE_SERVERKEY, options_.keys.public_key);
    fresh->socket.set(ZMQ_CURVE_PUBLICKEY, options_.keys.public_key);
    fresh->socket.set(ZMQ_CURVE_SECRETKEY, options_.keys.secret_key);
    const auto id = routing_id(options_.self);
    fresh->socket.set(ZMQ_ROUTING_ID, std::string_view(id.data(), id.size()));
    const std::string endpoint = "tcp://" + address;
    if (zmq_connect(fresh->socket, endpoint.c_str()) != 0) {
      throw std::invalid_argument("connecting to node " + address + ": " + zmq_strerror(errno) +
                                  "; an address is HOST:PORT, like 10.0.0.1:6500");
    }
    watch(fresh->socket.fd());
    watch(fresh->monitor.fd());
    say_hello(*fresh);  // in front of all frames; said again on each new connection
    if (expected) {
      Peer& peer = peers_[expected];
      close(peer.dealer);
      peer.dealer = fresh.get();
    }
    dealers_.push_back(std::move(fresh));
  }

  SendStatus send(NodeId to, std::initializer_list<Bytes> parts) {
    std::size_t bytes = sizeof(Prefix);
    for (const Bytes& part : parts) bytes += part.size();
    if (bytes - sizeof(Prefix) > options_.frame_bytes) return SendStatus::too_large;
    const auto found = peers_.find(to);
    if (found == peers_.end()) return SendStatus::unknown;
    const Peer& peer = found->second;
    Message message(bytes);
    const Prefix prefix{.version = options_.version, .type = Prefix::frame, .node = to.value};
    std::memcpy(message.data(), &prefix, sizeof(prefix));
    std::byte* at = message.data() + sizeof(Prefix);
    for (const Bytes& part : parts) {
      if (!part.empty()) std::memcpy(at, part.data(), part.size());
      at += part.size();
    }
    const bool by_dealer = peer.dealer != nullptr && (peer.dealer->welcomed || !peer.inbound);
    if (by_dealer) return message.send(peer.dealer->socket, 0) ? SendStatus::ok : SendStatus::full;
    return send_by_router(to, message);
  }

  void forget(NodeId node) {
    const auto found = peers_.find(node);
    if (found == peers_.end()) return;
    close(found->second.dealer);
    std::erase_if(inbound_, [&](const auto& entry) { return entry.second == node; });
    peers_.erase(found);
  }

  bool process() {
    bool any = check_keys();
    any |= watch_inbound();
    any |= receive_inbound();
    for (std::size_t i = 0; i < dealers_.size(); ++i) {  // handlers may add some
      if (!dealers_[i]->closed) any |= watch_dealer(*dealers_[i]);
      if (!dealers_[i]->closed) any |= receive(*dealers_[i]);
    }
    std::erase_if(dealers_, [](const auto& dealer) { return dealer->closed; });
    return any;
  }

  std::uint16_t port() const { return port_; }
  int fd() const { return epoll_.fd; }

 private:
  struct Dealer {
    Dealer(void* context, const std::string& monitor_name)
        : socket(context, ZMQ_DEALER), monitor(context, socket, monitor_name) {}
    Socket socket;
    Monitor monitor;
    std::string address;
    NodeId expected;  ///< who is, or should be, at the other end
    std::uint32_t connections = 0;
    bool welcomed = false;
    bool complained = false;  ///< about the present failure, once
    bool closed = false;
  };
  struct Peer {
    Dealer* dealer = nullptr;
    bool inbound = false;  ///< it is connected to us
    bool up() const { return inbound || (dealer != nullptr && dealer->welcomed); }
  };
  struct Context {
    Context() : context(zmq_ctx_new()) {}
    ~Context() { zmq_ctx_term(context); }
    operator void*() const { return context; }
    void* context;
  };
  struct Epoll {
    Epoll() : fd(epoll_create1(EPOLL_CLOEXEC)) {}
    ~Epoll() { ::close(fd); }
    int fd;
  };

  [[noreturn]] static void fail(const std::string& what) {
    throw std::runtime_error(what + ": " + zmq_strerror(errno) +
                             (errno == EADDRINUSE ? "; choose another port, or 0 for any" : ""));
  }

  void configure(Socket& socket) const {
    socket.set(ZMQ_IPV6, 1);
    socket.set(ZMQ_SNDHWM, options_.queue_frames);
    socket.set(ZMQ_RCVHWM, options_.queue_frames);
    socket.set(ZMQ_MAXMSGSIZE, static_cast<std::int64_t>(options_.frame_bytes + sizeof(Prefix)));
    socket.set(ZMQ_RECONNECT_IVL, 100);
    socket.set(ZMQ_RECONNECT_IVL_MAX, 500);
    socket.set(ZMQ_CONNECT_TIMEOUT, 3000);
    socket.set(ZMQ_HANDSHAKE_IVL, 5000);
    // A peer whose machine is gone does not close its connections.
    socket.set(ZMQ_HEARTBEAT_IVL, 1000);
    socket.set(ZMQ_HEARTBEAT_TIMEOUT, 4000);
    socket.set(ZMQ_TCP_KEEPALIVE, 1);
  }

  void watch(int fd) {
    epoll_event event{.events = EPOLLIN, .data = {}};
    epoll_ctl(epoll_.fd, EPOLL_CTL_ADD, fd, &event);
  }

  void close(Dealer* dealer) {
    if (dealer == nullptr) return;
    dealer->closed = true;
    epoll_ctl(epoll_.fd, EPOLL_CTL_DEL, dealer->socket.fd(), nullptr);
    epoll_ctl(epoll_.fd, EPOLL_CTL_DEL, dealer->monitor.fd(), nullptr);
  }

  void tell(Kind kind, NodeId node, const std::string& address, const std::string& reason) const {
    if (handlers_.on_event) handlers_.on_event({kind, node, address, reason});
  }

  // ZAP (rfc.zeromq.org/spec/27): may the holder of this public key connect?
  bool check_keys() {
    bool any = false;
    for (;;) {
      std::vector<std::unique_ptr<Message>> request;
      do {
        request.push_back(std::make_unique<Message>());
        if (!request.back()->receive(zap_)) return any;
      } while (request.back()->more());
      any = true;
      bool known = false;
      const std::string address = request.size() > 3 ? std::string(request[3]->text()) : "";
      if (request.size() == 7 && request[5]->text() == "CURVE" && request[6]->size() == 32) {
        char key[41] = {};
        zmq_z85_encode(key, reinterpret_cast<const std::uint8_t*>(request[6]->data()), 32);
        known = options_.keys.public_key == key;
      }
      const std::string id(request.size() > 1 ? request[1]->text() : "");
      const std::array<std::string, 6> reply{
          "1.0", id, known ? "200" : "400", known ? "OK" : "not a key of this cluster", "", ""};
      for (std::size_t i = 0; i < reply.size(); ++i) {
        zmq_send(zap_, reply[i].data(), reply[i].size(), i + 1 < reply.size() ? ZMQ_SNDMORE : 0);
      }
      if (!known) tell(Kind::refused, {}, address, "its key is not the key of this cluster (a wrong keys file?)");
    }
  }

  bool watch_inbound() {
    bool any = false;
    while (const auto event = monitor_->next()) {
      any = true;
      if (event->what == ZMQ_EVENT_ACCEPTED) {
        last_accepted_ = address_of_peer(static_cast<int>(event->value));
        inbound_.erase(static_cast<int>(event->value));
      } else if (event->what == ZMQ_EVENT_DISCONNECTED) {
        const auto gone = inbound_.find(static_cast<int>(event->value));
        if (gone == inbound_.end()) continue;
        const NodeId node = gone->second;
        inbound_.erase(gone);
        const auto peer = peers_.find(node);
        if (peer == peers_.end() || !peer->second.inbound) continue;
        peer->second.inbound = false;
        if (!peer->second.up()) tell(Kind::disconnected, node, "", "the connection was closed");
      } else if (is_handshake_failure(*event) && event->what != ZMQ_EVENT_HANDSHAKE_FAILED_AUTH) {
        // (A refused key was told when it was checked.)
        tell(Kind::refused, {}, last_accepted_, handshake_reason(*event, true));
      }
    }
    return any;
  }

  bool receive_inbound() {
    bool any = false;
    for (;;) {
      Message id, body, rest;
      if (!id.receive(router_)) return any;
      any = true;
      if (!id.more() || !body.receive(router_)) continue;
      for (bool more = body.more(); more && rest.receive(router_);) more = rest.more();
      Prefix prefix;
      if (id.size() != 9 || !read_prefix(body, prefix)) continue;
      NodeId from;
      std::memcpy(&from.value, id.data() + 1, 8);
      if (prefix.type == Prefix::hello) {
        welcome(from, prefix, body);
      } else if (prefix.node == options_.self.value) {
        deliver(from, body);
      } else {
        say_welcome(from);  // it takes us for another: tell who we are
      }
    }
  }

  void welcome(NodeId from, const Prefix& hello, Message& body) {
    const int fd = body.source_fd();
    const std::string address = join_address(body.property("Peer-Address"), std::to_string(hello.port));
    // The descriptor may have belonged to an earlier connection whose end is still to be heard of.
    watch_inbound();
    if (hello.version != options_.version) {
      say_welcome(from);  // so that it learns of the difference too
      tell(Kind::refused, from, address,
           "it speaks version " + std::to_string(hello.version) + " of the protocol, this node " +
               std::to_string(options_.version) + "; use one build everywhere");
      return;
    }
    say_welcome(from);
    std::erase_if(inbound_, [&](const auto& entry) { return entry.second == from; });
    inbound_[fd] = from;
    Peer& peer = peers_[from];
    const bool was_up = peer.up();
    peer.inbound = true;
    if (!was_up) tell(Kind::connected, from, address, "");
  }

  bool watch_dealer(Dealer& dealer) {
    bool any = false;
    while (const auto event = dealer.monitor.next()) {
      any = true;
      if (event->what == ZMQ_EVENT_HANDSHAKE_SUCCEEDED) {
        dealer.complained = false;
        if (dealer.connections++ > 0) say_hello(dealer);
      } else if (event->what == ZMQ_EVENT_DISCONNECTED) {
        if (!dealer.welcomed) continue;
        dealer.welcomed = false;
        const auto peer = peers_.find(dealer.expected);
        if (peer != peers_.end() && !peer->second.up()) {
          tell(Kind::disconnected, dealer.expected, dealer.address, "the connection was closed");
        }
      } else if (!dealer.complained && is_handshake_failure(*event)) {
        dealer.complained = true;
        tell(Kind::handshake_failed, dealer.expected, dealer.address, handshake_reason(*event, false));
      } else if (!dealer.complained && event->what == ZMQ_EVENT_CONNECT_RETRIED) {
        dealer.complained = true;
        tell(Kind::unreachable, dealer.expected, dealer.address, "nothing answers there yet; still trying");
      }
      if (dealer.closed) break;
    }
    return any;
  }

  bool receive(Dealer& dealer) {
    bool any = false;
    while (!dealer.closed) {
      Message body, rest;
      if (!body.receive(dealer.socket)) break;
      any = true;
      for (bool more = body.more(); more && rest.receive(dealer.socket);) more = rest.more();
      Prefix prefix;
      if (!read_prefix(body, prefix)) continue;
      if (prefix.type == Prefix::welcome) {
        welcomed(dealer, prefix);
      } else if (prefix.type == Prefix::frame && prefix.node == options_.self.value && dealer.welcomed) {
        deliver(dealer.expected, body);
      }
    }
    return any;
  }

  void welcomed(Dealer& dealer, const Prefix& prefix) {
    const NodeId node{prefix.node};
    std::string wrong;
    if (prefix.version != options_.version) {
      wrong = "it speaks version " + std::to_string(prefix.version) + " of the protocol, this node " +
              std::to_string(options_.version) + "; use one build everywhere";
    } else if (node == options_.self) {
      wrong = "this node itself listens there";
    } else if (dealer.expected && dealer.expected != node) {
      wrong = "found " + to_string(node) + " there, not " + to_string(dealer.expected) + ", which must have ended";
    }
    if (!wrong.empty()) {
      const NodeId expected = dealer.expected;
      const auto peer = peers_.find(expected);
      if (peer != peers_.end() && peer->second.dealer == &dealer) peer->second.dealer = nullptr;
      if (peer != peers_.end() && !peer->second.up()) peers_.erase(peer);
      close(&dealer);
      tell(Kind::handshake_failed, expected, dealer.address, wrong);
      return;
    }
    if (dealer.welcomed) return;
    Peer& peer = peers_[node];
    if (peer.dealer != nullptr && peer.dealer != &dealer)
      return close(&dealer);  // two ways to one node: the first stays
    const bool was_up = peer.up();
    peer.dealer = &dealer;
    dealer.expected = node;
    dealer.welcomed = true;
    if (!was_up) tell(Kind::connected, node, dealer.address, "");
  }

  void introduce(Message& message, Prefix::Type type) const {
    const Prefix prefix{.version = options_.version, .type = type, .port = port_, .node = options_.self.value};
    std::memcpy(message.data(), &prefix, sizeof(prefix));
  }

  void say_hello(Dealer& dealer) const {
    Message message(sizeof(Prefix));
    introduce(message, Prefix::hello);
    message.send(dealer.socket, 0);
  }

  void say_welcome(NodeId to) {
    Message message(sizeof(Prefix));
    introduce(message, Prefix::welcome);
    send_by_router(to, message);
  }

  SendStatus send_by_router(NodeId to, Message& message) {
    const auto id = routing_id(to);
    if (zmq_send(router_, id.data(), id.size(), ZMQ_SNDMORE | ZMQ_DONTWAIT) < 0) {
      return errno == EAGAIN ? SendStatus::full : SendStatus::unknown;
    }
    return message.send(router_, 0) ? SendStatus::ok : SendStatus::full;
  }

  static bool read_prefix(Message& body, Prefix& prefix) {
    if (body.size() < sizeof(Prefix)) return false;
    std::memcpy(&prefix, body.data(), sizeof(prefix));
    return prefix.magic[0] == 'M' && prefix.magic[1] == 'b';
  }

  void deliver(NodeId from, Message& body) {
    Bytes frame(body.data() + sizeof(Prefix), body.size() - sizeof(Prefix));
    if (reinterpret_cast<std::uintptr_t>(frame.data()) % 8 != 0) {  // small messages lie where the stream had them
      aligned_.resize((frame.size() + 7) / 8);
      if (!frame.empty()) std::memcpy(aligned_.data(), frame.data(), frame.size());
      frame = std::as_bytes(std::span(aligned_)).first(frame.size());
    }
    if (handlers_.on_frame) handlers_.on_frame(from, frame);
  }

  const RouterOptions options_;
  const Handlers handlers_;
  Context context_;
  Epoll epoll_;
  Socket zap_;
  Socket router_;
  std::optional<Monitor> monitor_;
  std::uint16_t port_ = 0;
  std::uint64_t monitors_ = 0;
  std::string last_accepted_;
  std::map<int, NodeId> inbound_;  ///< by descriptor of the connection
  std::map<NodeId, Peer> peers_;
  std::vector<std::unique_ptr<Dealer>> dealers_;
  std::vector<std::uint64_t> aligned_;
};

Router::Router(const RouterOptions& options, Handlers handlers)
    : impl_(std::make_unique<Impl>(options, std::move(handlers))) {}
Router::~Router() = default;
std::uint16_t Router::port() const {
  return impl_->port();
}
void Router::connect(const std::string& address, NodeId expected) {
  impl_->connect(address, expected);
}
Router::SendStatus Router::send(NodeId to, std::initializer_list<Bytes> parts) {
  return impl_->send(to, parts);
}
void Router::forget(NodeId node) {
  impl_->forget(node);
}
int Router::fd() const {
  return impl_->fd();
}
bool Router::process() {
  return impl_->process();
}

}  // namespace mobula::net
