#pragma once

#include <spdlog/fwd.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/daemon/event_loop.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

// An id that no node has or had.
NodeId random_node();

struct ClusterOptions {
  NodeId self;
  bool is_head = false;
  std::string host;        // to listen on
  std::uint16_t port = 0;  // 0: any
  std::string keys;        // file
  std::string head;        // HOST:PORT to join; empty on the head
};

class ClusterEvents {
 public:
  // A frame that `from` sent to this node: in order, once. Aligned to 8.
  virtual void frame_arrived(NodeId from, std::span<const std::byte> frame) = 0;
  virtual void node_connected(NodeId node) = 0;
  virtual void node_disconnected(NodeId node) = 0;
  // The head's node is known now: it can be joined.
  virtual void head_found(NodeId head) = 0;
  // The head has declared this node dead.
  virtual void given_up() = 0;
  // The head does not accept this node's keys, or does not speak our language.
  virtual void head_refused(const std::string& reason) = 0;
  // Nothing answers at the head's address; it is tried on.
  virtual void head_unreachable(const std::string&) {}

 protected:
  ~ClusterEvents() = default;
};

// The other nodes, as reliable channels: one ZeroMQ router and a wire::ReliableLink for each.
class Cluster {
 public:
  // Throws TaskError: keys that cannot be used, an address that cannot be listened on.
  Cluster(EventLoop& loop, const ClusterOptions& options, std::shared_ptr<spdlog::logger> log, ClusterEvents& events);
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // "host:port" where others reach this node.
  std::string address() const;
  // Sends to a node, now or as soon as it can be reached. False if nothing is known of it.
  bool send(NodeId to, std::initializer_list<std::span<const std::byte>> parts, Time now);
  // Frames sent to it and not acknowledged.
  std::size_t backlog(NodeId to) const;
  // Whether more than a link's bound waits for some node: time to take nothing more from this node's own processes.
  bool congested() const;
  // Who is there and where.
  void set_peers(const std::vector<wire::NodeView>& nodes);
  // The node hung up and nobody counts on it: what was kept for it is dropped. It may come back.
  void forget(NodeId node);
  // The node is dead: forget it, and take nothing more from it.
  void drop(NodeId node);

  // Receives what is there; returns whether there was anything. To be called before each sleep: not all that ZeroMQ has
  // to do shows as a readable descriptor.
  bool process(Time now);
  void on_timer(Time now);
  Time next_timer() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace mobula::daemon
