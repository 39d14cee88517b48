#include "runtime/net/router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

namespace mobula::net {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using Kind = RouterEvent::Kind;

/// A router with what it has seen.
struct Node {
  explicit Node(std::uint64_t number, const Keys& keys, std::uint16_t port = 0, RouterOptions options = {})
      : id{number} {
    options.self = this->id;
    options.keys = keys;
    options.host = "127.0.0.1";
    options.port = port;
    router = std::make_unique<Router>(
        options, Router::Handlers{[this](NodeId from, Router::Bytes frame) {
                                    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(frame.data()) % 8, 0u);
                                    frames.emplace_back(
                                        from.value,
                                        std::string(reinterpret_cast<const char*>(frame.data()), frame.size()));
                                  },
                                  [this](const RouterEvent& event) { events.push_back(event); }});
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(router->port()); }
  const RouterEvent* find(Kind kind, NodeId node = {}) const {
    for (const RouterEvent& event : events) {
      if (event.kind == kind && (!node || event.node == node)) return &event;
    }
    return nullptr;
  }
  Router::SendStatus send(const Node& to, std::string_view text) const {
    return router->send(to.id, {std::as_bytes(std::span(text.data(), text.size()))});
  }

  NodeId id;
  std::vector<std::pair<std::uint64_t, std::string>> frames;
  std::vector<RouterEvent> events;
  std::unique_ptr<Router> router;
};

/// Runs the routers, sleeping on their descriptors, until `done`; false after ten seconds.
bool run(const std::vector<Node*>& nodes, const std::function<bool()>& done) {
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (std::chrono::steady_clock::now() < deadline) {
    bool any = false;
    for (Node* node : nodes) any |= node->router->process();
    if (done()) return true;
    if (any) continue;
    std::vector<pollfd> fds;
    for (Node* node : nodes) fds.push_back({node->router->fd(), POLLIN, 0});
    ::poll(fds.data(), fds.size(), 20);
  }
  return false;
}

class RouterTest : public testing::Test {
 protected:
#ifdef __SANITIZE_THREAD__
  void SetUp() override {
    GTEST_SKIP() << "libzmq is not built for ThreadSanitizer, which takes all that crosses its queues for races; a "
                    "router itself has one thread";
  }
#endif
  const Keys keys_ = Keys::generate();
};

TEST_F(RouterTest, ANodeThatKnowsOnlyAnAddressLearnsWhoIsThereAndBothCanTalk) {
  Node head(1, keys_), node(2, keys_);
  node.router->connect(head.address());
  ASSERT_TRUE(run({&head, &node}, [&] { return head.find(Kind::connected) && node.find(Kind::connected); }));
  EXPECT_EQ(node.find(Kind::connected)->node, head.id);
  EXPECT_EQ(head.find(Kind::connected)->node, node.id);
  EXPECT_EQ(head.find(Kind::connected)->address, node.address()) << "where others can reach it";
  EXPECT_EQ(node.send(head, "join me"), Router::SendStatus::ok);
  EXPECT_EQ(head.send(node, "welcome"), Router::SendStatus::ok);
  ASSERT_TRUE(run({&head, &node}, [&] { return !head.frames.empty() && !node.frames.empty(); }));
  EXPECT_EQ(head.frames[0], (std::pair<std::uint64_t, std::string>(2, "join me")));
  EXPECT_EQ(node.frames[0], (std::pair<std::uint64_t, std::string>(1, "welcome")));
}

TEST_F(RouterTest, FramesArriveInOrderAndWhole) {
  Node a(1, keys_), b(2, keys_);
  b.router->connect(a.address(), a.id);
  std::vector<std::string> sent;
  for (int i = 0; i < 300; ++i) {
    sent.push_back(std::string(static_cast<std::size_t>(i * i / 2), static_cast<char>('a' + i % 26)));
    ASSERT_EQ(b.send(a, sent.back()), Router::SendStatus::ok) << "before the connection is there";
  }
  ASSERT_TRUE(run({&a, &b}, [&] { return a.frames.size() == sent.size(); }));
  for (std::size_t i = 0; i < sent.size(); ++i) ASSERT_EQ(a.frames[i].second, sent[i]);
}

TEST_F(RouterTest, NodesThatConnectToEachOtherAreConnectedOnce) {
  Node a(1, keys_), b(2, keys_);
  a.router->connect(b.address(), b.id);
  b.router->connect(a.address(), a.id);
  a.send(b, "ping");
  b.send(a, "pong");
  ASSERT_TRUE(run({&a, &b}, [&] { return !a.frames.empty() && !b.frames.empty(); }));
  EXPECT_EQ(a.events.size(), 1u);
  EXPECT_EQ(b.events.size(), 1u);
}

TEST_F(RouterTest, AWrongKeysFileIsRefusedAndBothSidesSaySo) {
  Node head(1, keys_), stranger(2, Keys::generate());
  stranger.router->connect(head.address());
  // It tries again and again; where a connection is over before we look, its address is not known.
  const auto known = [](const RouterEvent& event) {
    return event.kind == Kind::refused && event.address.starts_with("127.0.0.1:");
  };
  ASSERT_TRUE(run({&head, &stranger}, [&] {
    return std::any_of(head.events.begin(), head.events.end(), known) && stranger.find(Kind::handshake_failed);
  }));
  EXPECT_THAT(head.find(Kind::refused)->reason, HasSubstr("keys"));
  EXPECT_THAT(stranger.find(Kind::handshake_failed)->reason, HasSubstr("keys file"));
  EXPECT_EQ(stranger.find(Kind::handshake_failed)->address, head.address());
  EXPECT_EQ(stranger.send(head, "let me in"), Router::SendStatus::unknown);
  EXPECT_EQ(head.find(Kind::connected), nullptr);
}

// One who knows the head's public key (it is no secret) but holds another pair gets through the first step only.
TEST_F(RouterTest, AnotherVersionIsRefusedAndBothSidesNameTheDifference) {
  Node head(1, keys_), node(2, keys_, 0, {.version = 9});
  node.router->connect(head.address());
  ASSERT_TRUE(run({&head, &node}, [&] { return head.find(Kind::refused) && node.find(Kind::handshake_failed); }));
  EXPECT_THAT(head.find(Kind::refused)->reason, HasSubstr("speaks version 9 of the protocol, this node 1"));
  EXPECT_THAT(node.find(Kind::handshake_failed)->reason, HasSubstr("speaks version 1 of the protocol, this node 9"));
  EXPECT_FALSE(head.find(Kind::connected));
}

TEST_F(RouterTest, TheRightAddressAndPublicKeyAreNotEnough) {
  Node head(1, keys_);
  Keys forged = Keys::generate();
  forged.public_key = keys_.public_key;
  Node stranger(2, forged);
  stranger.router->connect(head.address(), head.id);
  stranger.send(head, "let me in");
  ASSERT_TRUE(
      run({&head, &stranger}, [&] { return head.find(Kind::refused) && stranger.find(Kind::handshake_failed); }));
  EXPECT_TRUE(head.frames.empty());
}

TEST_F(RouterTest, ADeadNodeIsDisconnectedAtItsPeers) {
  Node head(1, keys_);
  {
    Node node(2, keys_);
    node.router->connect(head.address());
    ASSERT_TRUE(run({&head, &node}, [&] { return head.find(Kind::connected) && node.find(Kind::connected); }));
  }
  ASSERT_TRUE(run({&head}, [&] { return head.find(Kind::disconnected) != nullptr; }));
  EXPECT_EQ(head.find(Kind::disconnected)->node, NodeId{2});
  // The news may be a moment ahead of the socket's own end of the connection, which until then takes frames and drops
  // them.
  EXPECT_TRUE(run({&head}, [&] { return head.router->send(NodeId{2}, {}) == Router::SendStatus::unknown; }));
}

TEST_F(RouterTest, AConnectionThatBreaksIsMadeAgain) {
  auto head = std::make_unique<Node>(1, keys_);
  const std::uint16_t port = head->router->port();
  Node node(2, keys_);
  node.router->connect(head->address());
  ASSERT_TRUE(run({head.get(), &node}, [&] { return node.find(Kind::connected) != nullptr; }));
  head.reset();
  ASSERT_TRUE(run({&node}, [&] { return node.find(Kind::disconnected) != nullptr; }));
  node.events.clear();
  head = std::make_unique<Node>(1, keys_, port);
  ASSERT_TRUE(run({head.get(), &node}, [&] { return node.find(Kind::connected) && head->find(Kind::connected); }));
  node.send(*head, "again");
  ASSERT_TRUE(run({head.get(), &node}, [&] { return !head->frames.empty(); }));
}

TEST_F(RouterTest, FramesForARestartedNodeDoNotReachItsSuccessor) {
  Node successor(3, keys_), node(2, keys_);
  node.router->connect(successor.address(), NodeId{1});
  EXPECT_EQ(node.router->send(NodeId{1}, {}), Router::SendStatus::ok);
  ASSERT_TRUE(run({&successor, &node}, [&] { return node.find(Kind::handshake_failed) != nullptr; }));
  EXPECT_THAT(node.find(Kind::handshake_failed)->reason,
              HasSubstr("found " + to_string(successor.id) + " there, not " + to_string(NodeId{1})));
  EXPECT_TRUE(successor.frames.empty());
  EXPECT_EQ(node.router->send(NodeId{1}, {}), Router::SendStatus::unknown);
}

TEST_F(RouterTest, AnAddressWhereNobodyListensIsReported) {
  Node node(2, keys_);
  std::string address;
  {
    const Node gone(1, keys_);
    address = gone.address();
  }
  node.router->connect(address);
  ASSERT_TRUE(run({&node}, [&] { return node.find(Kind::unreachable) != nullptr; }));
  EXPECT_EQ(node.find(Kind::unreachable)->address, address);
}

TEST_F(RouterTest, AnAddressThatIsNoneIsAnError) {
  Node node(2, keys_);
  EXPECT_THROW(node.router->connect("nonsense"), std::invalid_argument);
}

TEST_F(RouterTest, APortInUseIsAnErrorThatNamesIt) {
  Node first(1, keys_);
  try {
    Node second(2, keys_, first.router->port());
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr(first.address()), HasSubstr("choose another port")));
  }
}

TEST_F(RouterTest, AFullQueueIsReportedNotWaitedFor) {
  RouterOptions small_queues;
  small_queues.queue_frames = 10;
  small_queues.frame_bytes = 1000;
  Node a(1, keys_), b(2, keys_, 0, small_queues);
  b.router->connect("127.0.0.1:9", a.id);  // nobody is there to take anything
  int accepted = 0;
  while (b.send(a, "one more") == Router::SendStatus::ok) ++accepted;
  EXPECT_EQ(b.send(a, "one more"), Router::SendStatus::full);
  EXPECT_LE(accepted, 20);
  EXPECT_EQ(b.send(a, std::string(1001, 'x')), Router::SendStatus::too_large);
}

TEST_F(RouterTest, AForgottenNodeIsUnknown) {
  Node a(1, keys_), b(2, keys_);
  b.router->connect(a.address(), a.id);
  ASSERT_TRUE(run({&a, &b}, [&] { return b.find(Kind::connected) != nullptr; }));
  b.router->forget(a.id);
  EXPECT_EQ(b.send(a, "hello"), Router::SendStatus::unknown);
  ASSERT_TRUE(run({&a, &b}, [&] { return a.find(Kind::disconnected) != nullptr; })) << "and its connection closed";
}

TEST_F(RouterTest, NoiseFromTheNetworkIsShutOut) {
  Node head(1, keys_), node(2, keys_);
  const int noise = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(head.router->port());
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(connect(noise, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
  const std::string request = "GET / HTTP/1.1\r\nHost: head\r\n\r\n" + std::string(100, 'x');
  ASSERT_EQ(write(noise, request.data(), request.size()), static_cast<ssize_t>(request.size()));
  node.router->connect(head.address());
  ASSERT_TRUE(run({&head, &node}, [&] { return head.find(Kind::connected) != nullptr; }));
  ASSERT_TRUE(run({&head, &node}, [&] {
    char byte = 0;
    const auto got = recv(noise, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
  })) << "its connection was not closed";
  EXPECT_TRUE(head.frames.empty());
  close(noise);
}

}  // namespace
}  // namespace mobula::net
