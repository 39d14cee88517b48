#include "runtime/daemon/node_loop.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "runtime/daemon/node_loop_impl.h"
#include "runtime/daemon/private_folder.h"
#include "runtime/process/modules.h"

namespace mobula::daemon {
namespace {

// How long the end of a cluster's member may take to tell the others.
constexpr Duration farewell = std::chrono::milliseconds(200);
// How long a node may take to notice that a head runs again; net::Router tries twice a second.
constexpr Duration settle = std::chrono::seconds(1);

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
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
