// What NodeLoop is made of. Private to runtime/daemon; the functions are spread over node_loop.cc (start, the loop, the
// end), node_frames.cc (what is sent and what arrives) and node_store.cc (the arena and the disk).
#pragma once

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <mutex>
#include <optional>
#include <set>
#include <variant>

#include "runtime/base/memory.h"
#include "runtime/control/control.h"
#include "runtime/daemon/cluster.h"
#include "runtime/daemon/embedded.h"
#include "runtime/daemon/event_loop.h"
#include "runtime/daemon/frame.h"
#include "runtime/daemon/inquiries.h"
#include "runtime/daemon/lane_sender.h"
#include "runtime/daemon/log.h"
#include "runtime/daemon/node_loop.h"
#include "runtime/daemon/output_writer.h"
#include "runtime/daemon/spill_disk.h"
#include "runtime/daemon/transfers.h"
#include "runtime/daemon/worker_pool.h"
#include "runtime/net/endpoint.h"
#include "runtime/node/node.h"
#include "runtime/owner/keeper.h"

namespace mobula::daemon {

inline constexpr std::uint32_t driver_slot = 1;

inline object::Location in_arena(const wire::ObjectLocation& location) {
  return {.offset = location.offset, .bytes = location.bytes, .generation = location.generation};
}

class NodeLoop::Impl final : public NodeSink,
                             public ControlSink,
                             public WorkerPoolEvents,
                             public TransferEvents,
                             public ClusterEvents,
                             public KeeperSink,
                             public InquirySink {
 public:
  explicit Impl(const NodeLoopOptions& options);
  ~Impl();

  End run();
  void stop() {
    stopping_ = true;
    loop_.wake();
  }
  bool wait_until_joined();
  void stop_when_readable(int fd) {
    signals_ = loop_.watch(fd, [this] { stopping_ = true; });
  }
  void set_background(Background* background);
  std::string address() const { return cluster_ ? cluster_->address() : std::string(); }

  const NodeLoopOptions options_;
  const std::string name_;
  const NodeId id_ = random_node();
  const std::shared_ptr<spdlog::logger> log_;
  wire::Program program_;
  std::string reason_;

  EventLoop loop_;
  net::Segment segment_;
  const net::Peer self_;    // slot 0
  const net::Peer driver_;  // slot 1
  object::Arena arena_;

 private:
  // ---- what the participants ask for
  void send(const ProcessId& to, wire::Message&& message) override;
  void send(NodeId to, wire::Message&& message) override { send(node_process(to), std::move(message)); }
  ActorId keep(const wire::CreateDetached& wanted) override { return keeper_->keep(wanted, now_); }
  void send_call(const ProcessId& worker, std::span<const std::byte> frame) override;
  Result<std::uint32_t> open_program(const wire::Program& program) override;
  ProcessId start_worker(std::uint32_t program) override;
  void kill(const ProcessId& process) override { pool_->kill({process.slot, process.generation}); }
  void free_object(const wire::ObjectLocation& location) override { arena_.free(in_arena(location)); }
  bool keep_object(const wire::ObjectLocation& location) override { return arena_.adopt(in_arena(location)); }
  void push_object(NodeId to, const wire::ObjectLocation& location, const wire::ObjectLocation& at) override {
    transfers_.push(to, location, at);
  }
  std::uint64_t memory_of(const ProcessId& process) override {
    return private_memory(segment_.pid({process.slot, process.generation}));
  }
  Result<bool> expect_object(const wire::ObjectLocation& location) override { return transfers_.expect(location); }
  wire::StoreUse store_use() override;
  wire::StoreUse own_store() override { return node_ ? node_->spills().store_use() : wire::StoreUse{}; }
  bool has_room(std::uint64_t bytes) override { return arena_.has_room(bytes); }
  Store store() override;
  void write_spill(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects) override;
  Eviction evict(const wire::ObjectLocation& location, std::uint32_t& holder) override;
  Result<bool> read_spill(const wire::ObjectLocation& name, const SpillPlace& place) override;
  void remove_spill(std::uint64_t file) override { disk_->remove(file); }
  void expelled(const std::string& reason) override;
  void warn(const std::string& what) override { log_->warn("{}", what); }
  void peers(const std::vector<wire::NodeView>& nodes) override;
  void record(std::string&& line) override {
    // The system's clock, so that the logs of several machines can be read together.
    const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
    decisions_ << fmt::format("{:.6f} {}\n", now.count(), line) << std::flush;
  }
  void node_died(NodeId node, const std::string& reason) override;
  void visitor_left(NodeId visitor) override {
    if (cluster_) cluster_->forget(visitor);
  }

  // ---- what happens
  void worker_started(const net::Peer& worker, std::int32_t pid) override {
    node_->on_process_started(process(worker), pid, now_);
  }
  void worker_exited(const net::Peer& worker, const wire::ProcessDeath& death) override;
  void worker_printed(const net::Peer& worker, int stream, std::string_view lines) override;
  bool output_congested() const override { return output_.congested() || errors_.congested(); }
  void send_chunk(NodeId to, wire::ObjectChunk&& chunk) override { send(node_process(to), std::move(chunk)); }
  void send_offer(NodeId to, const BulkOffer& offer) override {
    const LaneHeader header{.kind = FrameKind::offer, .relayed = 1};
    const Relay relay{node_process(id_), node_process(to)};
    if (cluster_) cluster_->send(to, {as_part(header), as_part(relay), as_part(offer)}, now_);
  }
  std::size_t backlog(NodeId to) const override { return cluster_ ? cluster_->backlog(to) : 0; }
  void object_arrived(const wire::ObjectLocation& asked, const wire::ObjectLocation& local) override {
    later_.push_back(Arrived{asked, local, {}});
  }
  void object_failed(const wire::ObjectLocation& asked, const Error& error) override {
    later_.push_back(Arrived{asked, {}, error});
  }
  void frame_arrived(NodeId from, std::span<const std::byte> frame) override;
  void node_connected(NodeId node) override {
    if (control_) control_->on_connected(node, now_);
    if (node_ && node == head_) node_->on_head_found(now_);
  }
  void node_disconnected(NodeId node) override {
    if (control_) control_->on_disconnected(node, now_);
    if (node_ && node == head_) node_->on_head_lost(now_);
    if (inquiries_.on_disconnected(node)) cluster_->forget(node);
  }
  void head_found(NodeId head) override;
  void given_up() override { expelled("it was not heard of for too long"); }
  void head_refused(const std::string& reason) override { end(End::refused, reason); }

  // ---- frames and messages
  ProcessId process(const net::Peer& peer) const { return {id_, peer.slot, peer.generation}; }
  void on_lane_frame(net::Peer from, std::span<const std::byte> bytes);
  void route(const Relay& relay, const LaneFrame& frame, std::span<const std::byte> bytes);
  bool keep_object(const ProcessId& owner, std::span<const std::byte> reply);
  void deliver(const Relay& relay, const LaneFrame& frame, std::span<const std::byte> bytes);
  void check_memory();
  void on_disk_done(SpillDisk::Done&& done);
  void on_message(const ProcessId& from, wire::Message&& message);
  void on_output(const ProcessId& owner, std::span<const std::byte> payload);
  bool send_inquiry(NodeId to, FrameKind kind, const Bytes& payload) override;

  void print(int stream, std::string_view lines) { (stream == 1 ? output_ : errors_).write(lines); }
  void tell_died(const ProcessId& whom, const ProcessId& dead, const char* why);

  // ---- the loop
  void make_node(NodeId head);
  bool step();
  void run_background();
  void check_joined();
  Time next_timer() const;
  void end(End how, const std::string& why);
  void log_death(NodeId node, const std::string& reason);
  std::string node_label(NodeId node) const;
  void leave();

  std::ofstream decisions_;
  OutputWriter output_{STDOUT_FILENO};
  OutputWriter errors_{STDERR_FILENO};
  net::Endpoint endpoint_;
  LaneSender sender_;
  std::unique_ptr<Bulk> bulk_;
  Transfers transfers_;
  std::unique_ptr<SpillDisk> disk_;  // null: objects stay in memory
  NodeId asking_;                    // whose frame is being handled
  Inquiries inquiries_;
  std::unique_ptr<WorkerPool> pool_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Control> control_;
  std::unique_ptr<Keeper> keeper_;
  std::unique_ptr<Node> node_;
  NodeId head_;
  std::vector<wire::NodeView> peers_;
  std::set<wire::Program> refused_;  // those that the log has named

  // What participants say to themselves or to each other in this process, and what must not be said from within them.
  struct Arrived {
    wire::ObjectLocation asked, local;
    Error error;
  };
  std::deque<std::variant<wire::Message, Arrived>> later_;
  Time now_ = steady_now();

  std::unique_ptr<EventLoop::Watch> doorbell_;
  std::unique_ptr<EventLoop::Watch> driver_doorbell_;
  std::unique_ptr<EventLoop::Watch> signals_;
  std::atomic<bool> stopping_ = false;
  std::optional<End> ended_;

  std::mutex background_mutex_;
  Background* background_ = nullptr;  // guarded by background_mutex_, held while it runs
  bool background_due_ = false;       // guarded by it too: its descriptor is readable, or it is new
  Time background_next_ = never;

  std::mutex joined_mutex_;
  std::condition_variable joined_changed_;
  Time join_deadline_ = never;
  Time memory_due_ = never;
  bool joined_ = false;      // written under joined_mutex_
  bool loop_ended_ = false;  // guarded by joined_mutex_
};

}  // namespace mobula::daemon
