#include "runtime/daemon/node_loop.h"

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <filesystem>
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
#include "runtime/daemon/output_writer.h"
#include "runtime/daemon/private_folder.h"
#include "runtime/daemon/spill_disk.h"
#include "runtime/daemon/transfers.h"
#include "runtime/daemon/worker_pool.h"
#include "runtime/net/endpoint.h"
#include "runtime/node/node.h"
#include "runtime/owner/keeper.h"
#include "runtime/process/modules.h"
#include "runtime/wire/codec.h"

namespace mobula::daemon {
namespace {

constexpr std::uint32_t driver_slot = 1;
// How long the end of a cluster's member may take to tell the others.
constexpr Duration farewell = std::chrono::milliseconds(200);
// How long a node may take to notice that a head runs again; net::Router tries twice a second.
constexpr Duration settle = std::chrono::seconds(1);

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

object::Location in_arena(const wire::ObjectLocation& location) {
  return {.offset = location.offset, .bytes = location.bytes, .generation = location.generation};
}

template <class Make>
auto or_task_error(const char* tried, Make make) {
  try {
    return make();
  } catch (const TaskError&) {
    throw;
  } catch (const std::exception& error) {
    throw TaskError({.code = ErrorCode::unavailable, .message = fmt::format("{}: {}", tried, error.what())});
  }
}

}  // namespace

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

NodeLoop::Impl::Impl(const NodeLoopOptions& options)
    : options_(options),
      name_(options.name.empty() ? host_name() : options.name),
      log_(make_log(options.log_level)),
      program_{process::program_path(), fmt::format("{:016x}", process::build_id_of_program())},
      self_(segment_.allocate_slot().value()),
      driver_(segment_.allocate_slot().value()),
      arena_({.cap_bytes = options.object_memory, .slots = segment_.slots()}, self_.slot),
      endpoint_(segment_, self_),
      sender_(endpoint_),
      transfers_(id_, arena_, *this),
      inquiries_(id_, options.has_driver ? std::string() : options.log_folder.value_or(log_folder().string()),
                 fmt::format("{}-{}", name_, to_string(id_)), log_, *this) {
  if (!options.decision_log.empty()) {
    decisions_.open(options.decision_log, std::ios::app);
    if (!decisions_) {
      throw TaskError({.code = ErrorCode::invalid,
                       .message = fmt::format("decision_log: {} cannot be opened for writing: {}; give a file in a "
                                              "folder that exists",
                                              options.decision_log, std::strerror(errno))});
    }
  }
  if (options.spill_directory != std::string()) {
    disk_ = std::make_unique<SpillDisk>(options.spill_directory.value_or(""), [this] { loop_.wake(); });
    if (options.spill_directory) disk_->open().value();  // what was asked for has to be usable
  }
  segment_.set_pid(self_, getpid());
  segment_.set_pid(driver_, getpid());
  if (!options.keys.empty()) {
    inquiries_.use_programs(options.program_cache.value_or(program_cache_folder().string()), program_.build_id);
  }
  pool_ = std::make_unique<WorkerPool>(loop_, segment_,
                                       WorkerSetup{.node = id_,
                                                   .node_pid = getpid(),
                                                   .node_name = name_,
                                                   .log_level = options.log_level,
                                                   .segment = segment_.descriptors(),
                                                   .arena = arena_.descriptor()},
                                       log_, *this,
                                       options.program_cache != std::string() ? inquiries_.programs() : nullptr);
  inquiries_.use_workers(*pool_, segment_);
  // The zygote takes milliseconds to be executed: meanwhile the rest is made.
  if (options.has_driver && options.cpus > 0) pool_->warm_up(pool_->open_program(program_).value());
  doorbell_ = loop_.watch(endpoint_.event_fd(), [] {});
  if (options.has_driver) {
    driver_doorbell_ = loop_.watch(segment_.doorbell_fd(driver_slot), [this] {
      const std::lock_guard lock(background_mutex_);
      background_due_ = true;
      if (background_ == nullptr) driver_doorbell_->pause();
    });
  }
  if (options.is_head) {
    ControlOptions control;
    control.self = id_;
    control.heartbeat_timeout = options.node_timeout;
    control.may_grow = !options.keys.empty();
    // (Nobody looks for a head at a port that the system has chosen for this one.)
    if (options.port != 0 && control.may_grow) control.settle = settle;
    control_ = std::make_unique<Control>(control, *this);
    keeper_ = std::make_unique<Keeper>(id_, name_, *this);
  }
  if (!options.keys.empty()) {
    cluster_ = std::make_unique<Cluster>(loop_,
                                         ClusterOptions{.self = id_,
                                                        .is_head = options.is_head,
                                                        .host = options.host,
                                                        .port = options.port,
                                                        .keys = options.keys,
                                                        .head = options.head},
                                         log_, *this);
    const std::string address = cluster_->address();
    if (options.is_head && !options.has_driver) {
      const auto base = options.log_folder ? std::filesystem::path(*options.log_folder) : log_folder();
      inquiries_.run_jobs(loop_,
                          {.folder = (base.empty() ? log_folder() : base) / fmt::format("jobs-{}", to_string(id_)),
                           .address = address,
                           .keys = std::filesystem::absolute(options.keys).string(),
                           .most_output = options.job_output});
    }
    std::string host = address.substr(0, address.rfind(':'));
    if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
    bulk_ = std::make_unique<Bulk>(BulkOptions{.self = id_, .host = host, .trusted = options.trusted_network}, arena_,
                                   [this] { loop_.wake(); });
    transfers_.use(*bulk_);
    if (options.trusted_network) {
      log_->warn("trusted network: large objects travel without encryption to and from nodes that say so too");
    }
  }
  if (options.is_head) {
    make_node(id_);
  } else {
    join_deadline_ = steady_now() + options.join_patience;
  }
}

NodeLoop::Impl::~Impl() {
  inquiries_.end_jobs();
  pool_.reset();
  output_.drain(farewell);
  errors_.drain(farewell);
}

void NodeLoop::Impl::make_node(NodeId head) {
  head_ = head;
  NodeOptions node;
  node.name = name_;
  node.address = cluster_ ? cluster_->address() : std::string();
  node.resources = options_.resources.empty() ? Resources::cpus(options_.cpus) : options_.resources;
  node.may_grow = cluster_ != nullptr;
  node.labels = options_.labels;
  node.passing = options_.has_driver && !options_.is_head;
  node.record = decisions_.is_open();
  if (disk_) node.spill.directory = disk_->directory();
  node.memory_threshold = options_.memory_threshold;
  node.head_patience = options_.node_timeout;
  node.head = head;
  if (options_.has_driver) {
    node.program = program_;
    node.prestart = options_.cpus;
  }
  node_ = std::make_unique<Node>(id_, std::move(node), *this);
  now_ = steady_now();
  node_->start(now_);
  if (options_.memory_check.count() > 0 && options_.cpus > 0) memory_due_ = now_ + options_.memory_check;
  if (options_.has_driver) node_->on_driver_attached(process(driver_), now_);
}

void NodeLoop::Impl::head_found(NodeId head) {
  if (!node_) {
    make_node(head);
  } else if (head != head_) {
    log_->warn("the head at {} was started again: it is told what runs here", options_.head);
    later_.emplace_back(wire::NodeDied{std::exchange(head_, head), "it ended, and the head was started again"});
    node_->on_new_head(head, now_);
  }
}

// ---- sending
// ----------------------------------------------------------------------------------------------------------

void NodeLoop::Impl::send(const ProcessId& to, wire::Message&& message) {
  if (to == node_process(id_)) {
    later_.emplace_back(std::move(message));
    return;
  }
  const Bytes bytes = wire::encode(message);
  if (to.node == id_) {
    const LaneHeader header{.kind = FrameKind::message};
    if (sender_.send({to.slot, to.generation}, net::LaneKind::messages, {as_part(header), bytes}) ==
        net::SendStatus::too_large) {
      log_->error("a {} of {} bytes for {} is larger than a lane takes", wire::name_of(message), bytes.size(),
                  to_string(to));
    }
    return;
  }
  const LaneHeader header{.kind = FrameKind::message, .relayed = 1};
  const Relay relay{node_process(id_), to};
  if (!cluster_ || !cluster_->send(to.node, {as_part(header), as_part(relay), bytes}, now_)) {
    log_->debug("no way to {} for a {}", to_string(to), wire::name_of(message));
  }
}

void NodeLoop::Impl::send_call(const ProcessId& worker, std::span<const std::byte> frame) {
  if (worker.node == id_) {
    // (A worker that is dead, or a frame that is too large: its death, or nothing, is told. The head's own calls are
    // constructors, whose arguments were limited when they were asked for.)
    sender_.send({worker.slot, worker.generation}, net::LaneKind::calls, {frame});
    return;
  }
  const LaneHeader header{.kind = FrameKind::call, .relayed = 1};
  const Relay relay{node_process(id_), worker};
  if (cluster_) cluster_->send(worker.node, {as_part(header), as_part(relay), frame}, now_);
}

// A refusal is told to who asks, but one who gets workers elsewhere has no error to show it in: it is also logged,
// once.
Result<std::uint32_t> NodeLoop::Impl::open_program(const wire::Program& program) {
  if (asking_) inquiries_.on_workers_asked(asking_, program.build_id);
  auto opened = pool_->open_program(program);
  if (!opened.ok() && refused_.insert(program).second) log_->warn("{}", opened.error().message);
  return opened;
}

ProcessId NodeLoop::Impl::start_worker(std::uint32_t program) {
  const auto slot = segment_.allocate_slot();
  if (!slot) return {};
  pool_->start_worker(program, *slot);
  return process(*slot);
}

void NodeLoop::Impl::tell_died(const ProcessId& whom, const ProcessId& dead, const char* why) {
  // Those who run nodes hear of deaths from the nodes themselves.
  if (whom.slot == 0) return;
  wire::ProcessDied died{.process = dead, .death = {}};
  died.death.description = why;
  send(whom, std::move(died));
}

// ---- the arena and the disk
// -------------------------------------------------------------------------------------------

wire::StoreUse NodeLoop::Impl::store_use() {
  const object::ArenaUsage usage = arena_.usage();
  wire::StoreUse use;
  use.bytes = usage.used_bytes;
  use.cap = usage.cap_bytes;
  return use;
}

SpillSink::Store NodeLoop::Impl::store() {
  Store store;
  store.cap = arena_.usage().cap_bytes;
  for (const object::Resident& object : arena_.residents()) {
    const auto& [offset, bytes, generation] = object.location;
    store.objects.push_back({{id_, offset, bytes, generation}, object.room, object.used, object.movable});
  }
  return store;
}

void NodeLoop::Impl::write_spill(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects) {
  std::vector<object::Pin> pins;
  for (const wire::ObjectLocation& location : objects) {
    auto pin = arena_.pin(in_arena(location));
    pins.push_back(pin.ok() ? std::move(*pin) : object::Pin());
  }
  disk_->write(file, std::move(pins));
}

SpillSink::Eviction NodeLoop::Impl::evict(const wire::ObjectLocation& location, std::uint32_t& holder) {
  switch (arena_.evict(in_arena(location), &holder)) {
    case object::Arena::Eviction::gone:
      return Eviction::gone;
    case object::Arena::Eviction::in_use:
      return Eviction::in_use;
    case object::Arena::Eviction::done:
      break;
  }
  return Eviction::done;
}

Result<bool> NodeLoop::Impl::read_spill(const wire::ObjectLocation& name, const SpillPlace& place) {
  bool full = false;
  const auto draft = arena_.create(place.bytes, &full);
  if (!draft && full) return false;
  if (!draft) return draft.error();
  disk_->read(name, place, *draft);
  return true;
}

void NodeLoop::Impl::on_disk_done(SpillDisk::Done&& done) {
  if (auto* written = std::get_if<SpillDisk::Written>(&done)) {
    if (!written->places.ok()) log_->warn("{}", written->places.error().message);
    return node_->on_spill_written(written->file, written->places, now_);
  }
  const auto& [name, draft, result] = std::get<SpillDisk::Read>(done);
  const object::Location& at = draft.location;
  if (!result.ok()) {
    log_->error("{}", result.error().message);
    arena_.discard(at);
    return node_->on_spill_read(name, result.error(), now_);
  }
  arena_.seal(at);
  arena_.adopt(at);
  node_->on_spill_read(name, wire::ObjectLocation{id_, at.offset, at.bytes, at.generation}, now_);
}

// ---- receiving
// --------------------------------------------------------------------------------------------------------

void NodeLoop::Impl::on_lane_frame(net::Peer from, std::span<const std::byte> bytes) {
  const auto frame = parse_lane_frame(bytes);
  if (!frame) {
    log_->error("a frame of {} bytes from {} is too short", bytes.size(), to_string(process(from)));
    return;
  }
  const Relay relay = frame->relay.value_or(Relay{process(from), node_process(id_)});
  route({process(from), relay.to}, *frame, bytes);
}

void NodeLoop::Impl::route(const Relay& relay, const LaneFrame& frame, std::span<const std::byte> bytes) {
  if (relay.to.node == id_) return deliver(relay, frame, bytes);
  if (frame.header.kind == FrameKind::reply && !keep_object(relay.to, frame.payload)) return;
  if (cluster_ && cluster_->send(relay.to.node, {bytes}, now_)) return;
  wire::NodeDied died{relay.to.node, "it is not a member of this cluster"};
  if (relay.from.slot != 0) send(relay.from, std::move(died));
}

// A result that lies in this arena and belongs to a process elsewhere: its maker may end or retire, so from now on the
// node answers for it. False if the maker has died and took it along, which its owner learns as a death.
bool NodeLoop::Impl::keep_object(const ProcessId& owner, std::span<const std::byte> reply) {
  const auto parsed = wire::parse_reply(reply);
  if (!parsed || parsed->header.kind != wire::ReplyKind::value_object) return true;
  const auto location = wire::decode_location(parsed->payload);
  if (!location || location->node != id_) return true;
  if (!arena_.adopt(in_arena(*location))) return false;
  node_->on_object_left(owner, *location, now_);
  return true;
}

void NodeLoop::Impl::frame_arrived(NodeId from, std::span<const std::byte> bytes) {
  const auto frame = parse_lane_frame(bytes);
  if (!frame || !frame->relay || frame->relay->from.node != from || frame->relay->to.node != id_) {
    log_->error("node {} sent a frame of {} bytes that is not for this node", to_string(from), bytes.size());
    return;
  }
  asking_ = from;
  deliver(*frame->relay, *frame, bytes);
  asking_ = {};
}

void NodeLoop::Impl::deliver(const Relay& relay, const LaneFrame& frame, std::span<const std::byte> bytes) {
  if (frame.header.kind == FrameKind::output) return on_output(relay.to, frame.payload);
  if (frame.header.kind == FrameKind::offer) {
    if (relay.from.node != id_) transfers_.on_offer(relay.from.node, frame.payload);
    return;
  }
  if (frame.header.kind == FrameKind::ask) {
    return inquiries_.on_question(relay.from.node, frame.payload, {node_.get(), control_.get(), peers_, now_});
  }
  if (frame.header.kind == FrameKind::answer) return inquiries_.on_answer(relay.from.node, frame.payload);
  if (relay.to.slot == 0) {
    if (frame.header.kind == FrameKind::reply) {
      // What lies in this arena was the worker's until now; if that died first, its death is told next.
      if (keeper_ && keep_object(relay.to, frame.payload)) keeper_->on_reply(relay.from, frame.payload, now_);
      return;
    }
    auto message = wire::decode(frame.payload);
    if (!message) {
      log_->error("a message of {} bytes from {}: {}", frame.payload.size(), to_string(relay.from),
                  message.error().message);
      return;
    }
    return on_message(relay.from, std::move(message).value());
  }
  const net::Peer to{relay.to.slot, relay.to.generation};
  const bool call = frame.header.kind == FrameKind::call;
  switch (sender_.send(to, call ? net::LaneKind::calls : net::LaneKind::messages, {call ? frame.payload : bytes})) {
    case net::SendStatus::dead:
      return tell_died(relay.from, relay.to, "it had ended before");
    case net::SendStatus::too_large:
      log_->error("a frame of {} bytes from {} is larger than a lane takes", bytes.size(), to_string(relay.from));
      return;
    case net::SendStatus::ok:
    case net::SendStatus::full:
      return;
  }
}

void NodeLoop::Impl::on_message(const ProcessId& from, wire::Message&& message) {
  if (auto* chunk = std::get_if<wire::ObjectChunk>(&message)) return transfers_.on_chunk(std::move(*chunk));
  if (!node_) return;  // nobody has business with a node that has not joined
  if (const auto* died = std::get_if<wire::NodeDied>(&message); died != nullptr && died->node != id_) {
    if (!control_) log_death(died->node, died->reason);
    transfers_.node_died(died->node);
    inquiries_.on_node_died(died->node, died->reason);
    node_->on_message(from, message, now_);
    if (keeper_) keeper_->on_node_died(died->node, died->reason, now_);
    if (cluster_) cluster_->drop(died->node);
    return;
  }
  if (const auto* process = std::get_if<wire::ProcessDied>(&message); process != nullptr && control_) {
    control_->on_process_died(process->process, now_);
    keeper_->on_process_died(process->process, process->death, now_);
  }
  if (node_->on_message(from, message, now_)) return;
  if (control_ && from.slot == 0 && control_->on_message(from.node, message, now_)) return;
  if (keeper_ && keeper_->on_message(from, message, now_)) return;
  log_->error("{} sent a {}, which is not for a node", to_string(from), wire::name_of(message));
}

// ---- processes and nodes that end
// ---------------------------------------------------------------------------------------

void NodeLoop::Impl::worker_exited(const net::Peer& worker, const wire::ProcessDeath& death) {
  if (death.signal != 0 || death.exit_status != 0) {
    log_->info("worker {} (pid {}) {}", to_string(process(worker)), death.pid, death.description);
  }
  inquiries_.logs().ended(death.pid);
  // First all that it has said, then that it is dead.
  segment_.mark_dead(worker);
  endpoint_.drain(worker, [&](net::Peer from, std::span<const std::byte> bytes) { on_lane_frame(from, bytes); });
  node_->on_process_exited(process(worker), death, now_);
  if (control_) {
    control_->on_process_died(process(worker), now_);
    keeper_->on_process_died(process(worker), death, now_);
  }
  sender_.forget(worker);
  endpoint_.forget(worker);
  arena_.reclaim(worker.slot);
  segment_.release_slot(worker);
}

void NodeLoop::Impl::node_died(NodeId node, const std::string& reason) {
  log_death(node, reason);
}

void NodeLoop::Impl::log_death(NodeId node, const std::string& reason) {
  log_->warn("node {} is gone: {}", node_label(node), reason);
}

std::string NodeLoop::Impl::node_label(NodeId node) const {
  for (const wire::NodeView& known : peers_) {
    if (known.node == node) return fmt::format("{} ({})", known.name, to_string(node));
  }
  return to_string(node);
}

void NodeLoop::Impl::peers(const std::vector<wire::NodeView>& nodes) {
  if (cluster_) cluster_->set_peers(nodes);
  for (const wire::NodeView& node : nodes) {
    const bool known = std::ranges::any_of(peers_, [&](const auto& other) { return other.node == node.node; });
    if (!known && node.node != id_)
      log_->info("node {} ({}) at {} is a member, with {}", node.name, to_string(node.node), node.address,
                 node.total.empty() ? "no cpus (a driver)" : to_string(node.total));
  }
  inquiries_.on_members(nodes);
  peers_ = nodes;
}

void NodeLoop::Impl::expelled(const std::string& reason) {
  if (stopping_) return;  // the answer to our leaving
  if (!options_.has_driver) return end(End::expelled, reason);
  // A driver's ids are bound to its node: it cannot come back as another. It loses the cluster, not its life.
  log_->error("this driver was cut off from the cluster ({}); what ran on other nodes is lost", reason);
  for (const wire::NodeView& node : peers_) {
    if (node.node != id_) later_.emplace_back(wire::NodeDied{node.node, "this driver was cut off: " + reason});
  }
}

void NodeLoop::Impl::end(End how, const std::string& why) {
  if (ended_) return;
  ended_ = how;
  reason_ = why;
}

// ---- output
// -------------------------------------------------------------------------------------------------------------

// A line belongs on the terminal of the driver for which the worker works: that of the owner of its lease, or, when the
// owner is itself a worker, that of the owner's owner, and so on.
void NodeLoop::Impl::worker_printed(const net::Peer& worker, int stream, std::string_view lines) {
  inquiries_.logs().write(segment_.pid(worker), lines);
  ProcessId owner;
  if (!options_.has_driver && node_) {
    for (const Node::Worker& known : node_->workers()) {
      if (known.process == process(worker)) owner = known.owner;
    }
  }
  std::vector<std::byte> payload(1 + lines.size());
  payload[0] = static_cast<std::byte>(stream);
  std::memcpy(payload.data() + 1, lines.data(), lines.size());
  on_output(owner, payload);
}

void NodeLoop::Impl::on_output(const ProcessId& owner, std::span<const std::byte> payload) {
  if (payload.empty()) return;
  ProcessId next = owner;
  while (next.node == id_ && next.slot > driver_slot && node_) {
    ProcessId above;
    for (const Node::Worker& known : node_->workers()) {
      if (known.process == next) above = known.owner;
    }
    if (above == next) break;
    next = above;
  }
  if (next && next.node != id_ && cluster_) {
    const LaneHeader header{.kind = FrameKind::output, .relayed = 1};
    const Relay relay{node_process(id_), next};
    if (cluster_->send(next.node, {as_part(header), as_part(relay), payload}, now_)) return;
  }
  print(payload[0] == std::byte{2} ? 2 : 1, {reinterpret_cast<const char*>(payload.data()) + 1, payload.size() - 1});
}

bool NodeLoop::Impl::send_inquiry(NodeId to, FrameKind kind, const Bytes& payload) {
  const LaneHeader header{.kind = kind, .relayed = 1};
  const Relay relay{node_process(id_), node_process(to)};
  return cluster_ && cluster_->send(to, {as_part(header), as_part(relay), payload}, now_);
}

// ---- the loop
// -----------------------------------------------------------------------------------------------------------

void NodeLoop::Impl::set_background(Background* background) {
  {
    const std::lock_guard lock(background_mutex_);
    background_ = background;
    background_due_ = background != nullptr;
  }
  loop_.wake();
}

void NodeLoop::Impl::run_background() {
  const std::lock_guard lock(background_mutex_);
  if (background_ == nullptr) return;
  if (!background_due_ && now_ < background_next_) return;
  background_due_ = false;
  background_next_ = background_->run(now_);
  driver_doorbell_->resume();
}

// Does what there is to do, but for at most some rounds: then descriptors get their turn. True: nothing is left, the
// doorbell is armed.
bool NodeLoop::Impl::step() {
  for (int round = 0; round < 64 && !ended_ && !stopping_; ++round) {
    endpoint_.disarm();
    now_ = steady_now();
    // While a link is full, what local processes send stays in their lanes, and they notice.
    const bool congested = cluster_ && cluster_->congested();
    if (!congested) {
      endpoint_.poll([&](net::Peer from, std::span<const std::byte> bytes) { on_lane_frame(from, bytes); }, 1024);
    }
    if (disk_) {
      for (SpillDisk::Done& done : disk_->take()) on_disk_done(std::move(done));
    }
    while (!later_.empty()) {
      auto item = std::move(later_.front());
      later_.pop_front();
      if (auto* message = std::get_if<wire::Message>(&item)) {
        on_message(node_process(id_), std::move(*message));
      } else {
        const auto& [asked, local, error] = std::get<Arrived>(item);
        if (error.code == ErrorCode::none) {
          node_->on_object_arrived(asked, local, now_);
        } else {
          node_->on_object_failed(asked, error, now_);
        }
      }
    }
    if (node_ && node_->next_timer() <= now_) node_->on_timer(now_);
    if (control_ && control_->next_timer() <= now_) control_->on_timer(now_);
    if (keeper_ && keeper_->next_timer() <= now_) keeper_->on_timer(now_);
    if (pool_->next_timer() <= now_) pool_->on_timer(now_);
    if (inquiries_.next_timer() <= now_) inquiries_.on_timer(now_);
    if (cluster_ && cluster_->next_timer() <= now_) cluster_->on_timer(now_);
    const bool received = cluster_ && cluster_->process(now_);
    transfers_.pump();
    inquiries_.fetch_programs(*pool_, peers_);
    sender_.flush();
    run_background();
    output_.flush();
    errors_.flush();
    check_memory();
    check_joined();
    if (received || !later_.empty()) continue;
    if (congested || endpoint_.arm(net::Endpoint::Interest::messages)) return true;
  }
  return false;
}

void NodeLoop::Impl::check_memory() {
  if (now_ < memory_due_) return;
  memory_due_ = now_ + options_.memory_check;
  const MemoryUse use = fullest_memory();
  node_->on_memory({use.used, use.limit, use.where}, now_);
}

void NodeLoop::Impl::check_joined() {
  if (joined_) return;
  if (node_ && node_->joined()) {
    join_deadline_ = never;
    if (options_.on_joined) options_.on_joined();
    const std::lock_guard lock(joined_mutex_);
    joined_ = true;
    joined_changed_.notify_all();
  } else if (now_ >= join_deadline_) {
    end(End::refused,
        fmt::format("no answer from {} for {} s; is `mobula head` running there, and is the port open?", options_.head,
                    std::chrono::duration_cast<std::chrono::seconds>(options_.join_patience).count()));
  }
}

Time NodeLoop::Impl::next_timer() const {
  Time next = std::min({pool_->next_timer(), inquiries_.next_timer(), background_next_, join_deadline_, memory_due_});
  if (node_) next = std::min(next, node_->next_timer());
  if (control_) next = std::min({next, control_->next_timer(), keeper_->next_timer()});
  if (cluster_) next = std::min(next, cluster_->next_timer());
  if (!output_.empty() || !errors_.empty()) next = std::min(next, now_ + OutputWriter::retry);
  return next;
}

NodeLoop::End NodeLoop::Impl::run() {
  while (!ended_ && !stopping_) {
    loop_.run_once(step() ? next_timer() : now_);
    now_ = steady_now();
  }
  const End how = ended_.value_or(End::stopped);
  if (how == End::stopped) leave();
  endpoint_.disarm();
  const std::lock_guard lock(joined_mutex_);
  loop_ended_ = true;
  joined_changed_.notify_all();
  return how;
}

// Tells the head, so that it need not find out. (A head that ends is missed by its nodes; work under way goes on.)
void NodeLoop::Impl::leave() {
  if (!cluster_ || !node_ || options_.is_head) return;
  send(node_process(head_), wire::LeaveCluster{id_});
  const Time last = steady_now() + farewell;
  while (cluster_->backlog(head_) > 0 && steady_now() < last) {
    if (cluster_->process(steady_now())) continue;
    loop_.run_once(std::min(last, cluster_->next_timer()));
    now_ = steady_now();
    cluster_->on_timer(now_);
  }
}

bool NodeLoop::Impl::wait_until_joined() {
  std::unique_lock lock(joined_mutex_);
  joined_changed_.wait(lock, [&] { return joined_ || loop_ended_; });
  return joined_;
}

// ---- the shell
// ----------------------------------------------------------------------------------------------------------

NodeLoop::NodeLoop(const NodeLoopOptions& options)
    : impl_(or_task_error("cannot start a node", [&] { return std::make_unique<Impl>(options); })) {}
NodeLoop::~NodeLoop() = default;
NodeLoop::End NodeLoop::run() {
  return impl_->run();
}
void NodeLoop::stop() {
  impl_->stop();
}
const std::string& NodeLoop::reason() const {
  return impl_->reason_;
}
bool NodeLoop::wait_until_joined() {
  return impl_->wait_until_joined();
}
void NodeLoop::stop_when_readable(int fd) {
  impl_->stop_when_readable(fd);
}
NodeId NodeLoop::id() const {
  return impl_->id_;
}
const std::string& NodeLoop::name() const {
  return impl_->name_;
}
std::string NodeLoop::address() const {
  return impl_->address();
}
net::Segment& NodeLoop::segment() {
  return impl_->segment_;
}
object::Arena& NodeLoop::arena() {
  return impl_->arena_;
}
net::Peer NodeLoop::driver() const {
  return impl_->driver_;
}
const wire::Program& NodeLoop::program() const {
  return impl_->program_;
}
void NodeLoop::set_background(Background* background) {
  impl_->set_background(background);
}

}  // namespace mobula::daemon
