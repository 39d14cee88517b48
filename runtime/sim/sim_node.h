// A simulated machine: the Node machine (and on one of them the head's Control), links to the other nodes, processes,
// and an arena that only knows which objects exist.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "runtime/control/control.h"
#include "runtime/node/node.h"
#include "runtime/owner/keeper.h"
#include "runtime/sim/sim_process.h"
#include "runtime/sim/sim_store.h"
#include "runtime/sim/world.h"
#include "runtime/wire/reliable_link.h"

namespace mobula::sim {

class SimNode final : public NodeSink, public ControlSink, public KeeperSink, public wire::LinkSink {
 public:
  SimNode(World& world, NodeId id, NodeId head, std::uint32_t number);
  ~SimNode();

  void start();
  NodeId id() const { return id_; }
  bool alive() const { return alive_; }
  std::uint32_t number() const { return number_; }
  Node& machine() { return *node_; }
  Duration slowed(Duration duration) const;

  /// What its clock shows.
  Time now() const { return world_.events().now() + clock_ahead_; }
  /// Something that happens on this machine when its clock shows that time, or once it goes on.
  void at(Time when, std::function<void()> what);
  void after(Duration delay, std::function<void()> what) { at(now() + delay, std::move(what)); }
  /// All of it stands still for so long, as after SIGSTOP; its clock does not.
  void pause(Duration duration);
  void when_it_goes_on(std::function<void()> what);
  /// Its clock is so much further on, from one moment to the next.
  void clock_jumps(Duration duration);

  /// Another head answers where the one that it knew did.
  void head_found(NodeId head);
  /// As `mobula status` does. Each question has one answer, while the head lives.
  void ask_status();
  std::size_t unanswered() const { return asked_ - answered_; }
  const wire::StatusReply& last_status() const { return status_; }

  SimProcess& add_driver();
  SimProcess* find(const ProcessId& process);
  bool is_alive(const ProcessId& process);
  std::vector<SimProcess*> processes();

  /// From one local process (or the node: slot 0) to another, in order. `lane_of` is who puts it into the lane.
  void put(const ProcessId& lane_of, const ProcessId& to, Frame frame);
  /// Towards any process, from this node.
  void forward(Frame frame);
  void process_ended(const ProcessId& process, wire::ProcessDeath death);
  void power_off();
  /// A cable to it was cut: others may take it for dead.
  void not_to_be_heard() { may_be_given_up_ = true; }
  void on_datagram(const Bytes& datagram);
  /// All messages of one process to another that are on their way arrive now: a death is about to be told.
  void drain(const ProcessId& from, const ProcessId& to);
  std::size_t queued_calls(const ProcessId& from, const ProcessId& to);

  SimStore& memory() { return store_; }
  const Keeper* keeper() const { return keeper_.get(); }  // the head's

  // NodeSink
  void send(const ProcessId& to, wire::Message&& message) override;
  Result<std::uint32_t> open_program(const wire::Program& program) override;
  ProcessId start_worker(std::uint32_t program) override;
  void kill(const ProcessId& process) override;
  void free_object(const wire::ObjectLocation& location) override;
  bool keep_object(const wire::ObjectLocation& location) override { return store_.adopt(location, node_process(id_)); }
  void push_object(NodeId to, const wire::ObjectLocation& location, const wire::ObjectLocation& at) override;
  Result<bool> expect_object(const wire::ObjectLocation& location) override;
  std::uint64_t memory_of(const ProcessId& process) override;
  bool has_room(std::uint64_t) override { return store_.has_room(); }
  Store store() override { return store_.store(); }
  void write_spill(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects) override;
  Eviction evict(const wire::ObjectLocation& location, std::uint32_t& holder) override {
    return store_.evict(location, holder);
  }
  Result<bool> read_spill(const wire::ObjectLocation& name, const SpillPlace& place) override;
  void remove_spill(std::uint64_t file) override { store_.remove(file); }
  void expelled(const std::string& reason) override;
  void peers(const std::vector<wire::NodeView>&) override {}
  // ControlSink
  void send(NodeId to, wire::Message&& message) override;
  void node_died(NodeId node, const std::string& reason) override;
  ActorId keep(const wire::CreateDetached& wanted) override { return keeper_->keep(wanted, world_.events().now()); }
  // KeeperSink
  void send_call(const ProcessId& worker, std::span<const std::byte> frame) override {
    forward({FrameKind::call, node_process(id_), worker, 0, Bytes(frame)});
  }
  void visitor_left(NodeId) override {}
  // LinkSink
  void transmit(NodeId peer, std::span<const std::byte> datagram) override;
  void deliver(NodeId peer, std::span<const std::byte> payload) override;

 private:
  struct Channel {
    std::deque<Frame> frames;
    Time last{};
  };
  using ChannelKey = std::tuple<ProcessId, ProcessId, bool>;  // from, to, whether it is the lane of calls

  void deliver_next(const ChannelKey& key);
  void bounce(const Frame& frame);
  void arrive(const ProcessId& to, Frame frame);
  void handle(const Frame& frame);  // addressed to slot 0
  wire::ReliableLink& link(NodeId peer);
  void arm();
  void check_capacity();
  void watch_memory();

  World& world_;
  const NodeId id_;
  const std::uint32_t number_;
  NodeId head_;
  bool alive_ = true;
  bool may_be_given_up_ = false;  // it was not to be heard for a while
  Time stands_until_{};           // in the world's time
  Duration clock_ahead_{};
  std::unique_ptr<Node> node_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<Keeper> keeper_;
  std::map<NodeId, std::unique_ptr<wire::ReliableLink>> links_;
  std::vector<std::unique_ptr<wire::ReliableLink>> dropped_links_;  // perhaps still in one of their methods
  std::set<NodeId> dead_peers_;
  std::map<std::uint32_t, std::unique_ptr<SimProcess>> processes_;  // by slot; the dead stay for their lanes
  std::uint32_t last_slot_ = 0;
  std::map<ChannelKey, Channel> channels_;
  SimStore store_;
  std::set<std::uint64_t> reclaimed_;                              // objects (their generations), with their holders
  std::map<std::uint64_t, ProcessId> freed_by_;                    // the last holder of each object that was freed
  std::map<std::uint64_t, ProcessId> freers_;                      // who sent the last FreeObject of each
  ProcessId last_freer_;                                           // ... and the one before the one that is handled
  std::map<wire::ObjectLocation, wire::ObjectLocation> arriving_;  // from other nodes; where they will lie
  wire::StatusReply status_;
  std::size_t asked_ = 0, answered_ = 0;
  Time armed_ = never;
  Time short_since_ = never;  // of memory
};

}  // namespace mobula::sim
