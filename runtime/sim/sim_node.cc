#include "runtime/sim/sim_node.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "runtime/wire/codec.h"

namespace mobula::sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

struct RelayHeader {
  std::uint64_t kind = 0;
  ProcessId from;
  ProcessId to;
};

NodeOptions node_options(const World& world, NodeId id, NodeId head, std::uint32_t number) {
  NodeOptions options;
  options.name = to_string(id);
  options.address = "simulated:" + std::to_string(number);
  options.resources = Resources::cpus(world.options().cpus);
  options.head = head;
  options.program = {"/simulated", "51"};
  options.prestart = static_cast<std::uint32_t>(world.options().cpus);
  options.surplus_keep = milliseconds(800);
  options.spill.directory = "/simulated/disk";
  options.spill.file_bytes = 2 * SimStore::object_bytes;
  options.spill.patience = milliseconds(400);
  return options;
}

ControlOptions control_options(const World& world, NodeId self) {
  ControlOptions options;
  options.self = self;
  options.may_grow = true;
  if (world.options().head != 1) options.settle = std::chrono::seconds(1);  // it may take the place of another
  return options;
}

}  // namespace

SimNode::SimNode(World& world, NodeId id, NodeId head, std::uint32_t number)
    : world_(world),
      id_(id),
      number_(number),
      head_(head),
      node_(std::make_unique<Node>(id, node_options(world, id, head, number), *this)),
      store_(world, id) {
  if (id != head) return;
  control_ = std::make_unique<Control>(control_options(world, id), *this);
  keeper_ = std::make_unique<Keeper>(id, "head", *this);
}

SimNode::~SimNode() = default;

void SimNode::start() {
  node_->start(now());
  if (world_.options().memory_mb != 0) watch_memory();
  arm();
}

void SimNode::head_found(NodeId head) {
  if (!alive_ || head == head_) return;
  wire::NodeDied died{std::exchange(head_, head), "it ended, and the head was started again"};
  send(node_process(id_), std::move(died));
  node_->on_new_head(head, now());
  arm();
}

Duration SimNode::slowed(Duration duration) const {
  if (number_ != world_.options().slow_node) return duration;
  return std::chrono::duration_cast<Duration>(duration * world_.options().slowness);
}

void SimNode::when_it_goes_on(std::function<void()> what) {
  if (world_.events().now() >= stands_until_) return what();
  world_.events().at(stands_until_, [this, what = std::move(what)] { when_it_goes_on(what); });
}

void SimNode::at(Time when, std::function<void()> what) {
  world_.events().at(when - clock_ahead_, [this, what = std::move(what)] { when_it_goes_on(what); });
}

void SimNode::pause(Duration duration) {
  if (!alive_) return;
  world_.probe("node.paused");
  world_.trace("SIGSTOP " + to_string(id_));
  may_be_given_up_ = true;
  stands_until_ = std::max(stands_until_, world_.events().now() + duration);
}

void SimNode::clock_jumps(Duration duration) {
  if (!alive_) return;
  world_.probe("node.clock_jumped");
  world_.trace("clock of " + to_string(id_) + " jumps");
  may_be_given_up_ = true;
  clock_ahead_ += duration;
  armed_ = never;
  arm();
  for (const auto& [slot, process] : processes_) process->clock_jumped();
}

SimProcess& SimNode::add_driver() {
  const ProcessId id{id_, ++last_slot_, 1};
  auto& process = processes_[id.slot] = std::make_unique<SimProcess>(world_, *this, id, false);
  process->started = true;
  node_->on_driver_attached(id, now());
  return *process;
}

SimProcess* SimNode::find(const ProcessId& process) {
  const auto found = processes_.find(process.slot);
  return found != processes_.end() && found->second->id() == process ? found->second.get() : nullptr;
}

bool SimNode::is_alive(const ProcessId& process) {
  if (process.slot == 0) return alive_;
  const SimProcess* found = find(process);
  return found != nullptr && found->alive;
}

std::vector<SimProcess*> SimNode::processes() {
  std::vector<SimProcess*> all;
  for (const auto& [slot, process] : processes_) all.push_back(process.get());
  return all;
}

// ---- channels inside the node

void SimNode::put(const ProcessId& lane_of, const ProcessId& to, Frame frame) {
  const ChannelKey key{lane_of, to, frame.kind == FrameKind::call && to.slot != 0};
  Channel& channel = channels_[key];
  const Time arrival = now() + slowed(world_.uniform(microseconds(1), microseconds(30)));
  channel.last = std::max(arrival, channel.last + Duration(1));
  channel.frames.push_back(std::move(frame));
  at(channel.last, [this, key] { deliver_next(key); });
}

void SimNode::deliver_next(const ChannelKey& key) {
  Channel& channel = channels_[key];
  if (channel.frames.empty() || !alive_) return;  // drained before
  Frame frame = std::move(channel.frames.front());
  channel.frames.pop_front();
  arrive(std::get<1>(key), std::move(frame));
}

void SimNode::drain(const ProcessId& from, const ProcessId& to) {
  Channel& channel = channels_[{from, to, false}];
  while (!channel.frames.empty()) {
    Frame frame = std::move(channel.frames.front());
    channel.frames.pop_front();
    arrive(to, std::move(frame));
  }
}

std::size_t SimNode::queued_calls(const ProcessId& from, const ProcessId& to) {
  std::size_t queued = channels_[{from, to, true}].frames.size();
  for (const Frame& frame : find(to)->lane) queued += frame.from == from;
  return queued;
}

void SimNode::arrive(const ProcessId& to, Frame frame) {
  if (to.slot == 0) {
    if (frame.to == to) {
      handle(frame);
    } else {
      forward(std::move(frame));
    }
  } else if (SimProcess* process = find(to); process != nullptr && process->alive) {
    process->on_frame(std::move(frame));
  }
}

void SimNode::bounce(const Frame& frame) {
  if (frame.from.slot == 0) return;
  world_.probe("frame.bounced");
  Bytes answer;
  if (frame.to.node != id_) {
    answer = wire::encode(wire::NodeDied{frame.to.node, "it is not a member of this cluster"});
  } else {
    wire::ProcessDied died{frame.to, {}};
    died.death.description = "is gone";
    answer = wire::encode(died);
  }
  // After what the node tells of its death, which says how it died.
  const auto told = std::make_shared<Bytes>(std::move(answer));
  after(milliseconds(5), [this, to = frame.from, told] {
    if (alive_) forward({FrameKind::message, node_process(id_), to, 0, std::move(*told)});
  });
}

void SimNode::forward(Frame frame) {
  if (frame.to.node == id_) {
    if (frame.to.slot == 0) {
      handle(frame);
    } else if (!is_alive(frame.to)) {
      bounce(frame);
    } else {
      if (frame.kind == FrameKind::call) frame.call = world_.new_call();
      const ProcessId to = frame.to;
      put(node_process(id_), to, std::move(frame));
    }
    return;
  }
  if (dead_peers_.contains(frame.to.node)) {
    bounce(frame);
    return;
  }
  if (frame.kind == FrameKind::reply && frame.from.node == id_) {
    const auto reply = wire::parse_reply(frame.bytes.span());
    if (reply.ok() && reply->header.kind == wire::ReplyKind::value_object) {
      const wire::ObjectLocation location = *wire::decode_location(reply->payload);
      if (!store_.adopt(location, node_process(id_))) return;  // its maker has died: that will be told
      node_->on_object_left(frame.to, location, now());
    }
  }
  const RelayHeader header{static_cast<std::uint64_t>(frame.kind), frame.from, frame.to};
  Bytes bytes;
  std::byte* out = bytes.resize_for_overwrite(sizeof header + frame.bytes.size());
  std::memcpy(out, &header, sizeof header);
  if (!frame.bytes.empty()) std::memcpy(out + sizeof header, frame.bytes.data(), frame.bytes.size());
  link(frame.to.node).send(std::move(bytes), now());
  arm();
}

void SimNode::handle(const Frame& frame) {
  if (frame.kind == FrameKind::reply) {
    if (keeper_) keeper_->on_reply(frame.from, frame.bytes.span(), now());
    arm();
    return;
  }
  const auto message = wire::decode(frame.bytes.span());
  if (!message.ok()) {
    world_.violated("a message to a node cannot be read: " + message.error().message);
    return;
  }
  const Time now = this->now();
  if (const auto* free = std::get_if<wire::FreeObject>(&*message)) {
    last_freer_ = std::exchange(freers_[free->location.generation], frame.from);
  }
  if (world_.tracing && !std::holds_alternative<wire::Heartbeat>(*message)) {
    world_.trace(to_string(id_) + " <- " + to_string(frame.from) + " " + wire::name_of(*message));
  }
  if (const auto* chunk = std::get_if<wire::ObjectChunk>(&*message)) {
    // (The chunk of an object whose node was declared dead meanwhile is of no use any more.)
    if (const auto arriving = arriving_.extract(chunk->location)) {
      const wire::ObjectLocation local = arriving.mapped();
      if (chunk->error.code != ErrorCode::none) {
        store_.free(local);
        node_->on_object_failed(chunk->location, chunk->error, now);
      } else {
        world_.set_value(local, first_word(chunk->bytes.span()));
        store_.adopt(local, node_process(id_));
        node_->on_object_arrived(chunk->location, local, now);
      }
    }
  } else if (const auto* status = std::get_if<wire::StatusReply>(&*message)) {
    if (++answered_ > asked_) world_.violated(to_string(id_) + " got a status that it did not ask for");
    status_ = *status;
    world_.probe("status.answered");
  } else {
    if (const auto* died = std::get_if<wire::NodeDied>(&*message); died != nullptr && died->node != id_) {
      dead_peers_.insert(died->node);
      std::erase_if(arriving_,
                    [&](const auto& one) { return one.first.node == died->node && store_.free(one.second); });
      if (const auto found = links_.find(died->node); found != links_.end()) {
        dropped_links_.push_back(std::move(found->second));
        links_.erase(found);
      }
    }
    if (control_) {
      if (const auto* died = std::get_if<wire::ProcessDied>(&*message)) {
        control_->on_process_died(died->process, now);
        keeper_->on_process_died(died->process, died->death, now);
      } else if (const auto* gone = std::get_if<wire::NodeDied>(&*message)) {
        keeper_->on_node_died(gone->node, gone->reason, now);
      }
    }
    if (const auto* back = std::get_if<wire::ReturnBundle>(&*message);
        back != nullptr && back->reason.starts_with("its group is no more")) {
      world_.probe("bundle.without_a_group");
    }
    if (std::holds_alternative<wire::BundleReply>(*message)) {
      world_.probe(std::get<wire::BundleReply>(*message).reserved ? "bundle.reserved" : "bundle.refused");
    }
    if (!node_->on_message(frame.from, *message, now) &&
        (!control_ || !control_->on_message(frame.from.node, *message, now)) &&
        (!keeper_ || !keeper_->on_message(frame.from, *message, now))) {
      world_.violated(to_string(id_) + " does not know what to do with " + wire::name_of(*message));
    }
  }
  arm();
}

// ---- the network

wire::ReliableLink& SimNode::link(NodeId peer) {
  auto& link = links_[peer];
  if (!link) link = std::make_unique<wire::ReliableLink>(id_, peer, wire::LinkOptions{}, *this);
  return *link;
}

void SimNode::transmit(NodeId peer, std::span<const std::byte> datagram) {
  world_.datagram(id_, peer, Bytes(datagram));
}

void SimNode::on_datagram(const Bytes& datagram) {
  if (world_.events().now() < stands_until_) return when_it_goes_on([this, datagram] { on_datagram(datagram); });
  const NodeId from = wire::ReliableLink::sender_of(datagram.span());
  if (!alive_ || !from) return;
  if (dead_peers_.contains(from)) {
    // The head tells one that it gave up.
    if (control_) world_.given_up(id_, from);
    return;
  }
  wire::ReliableLink& way = link(from);
  const auto before = way.counts();
  way.on_datagram(datagram.span(), now());
  if (way.counts().duplicates > before.duplicates) world_.probe("link.duplicate_dropped");
  if (way.counts().reordered > before.reordered) world_.probe("link.reordered");
  arm();
}

void SimNode::deliver(NodeId, std::span<const std::byte> payload) {
  RelayHeader header;
  std::memcpy(&header, payload.data(), sizeof header);
  Frame frame{static_cast<FrameKind>(header.kind), header.from, header.to, 0, {}};
  frame.bytes.assign(payload.subspan(sizeof header));
  forward(std::move(frame));
}

// ---- processes

ProcessId SimNode::start_worker(std::uint32_t) {
  const ProcessId id{id_, ++last_slot_, 1};
  processes_[id.slot] = std::make_unique<SimProcess>(world_, *this, id, true);
  world_.probe("worker.forked");
  after(slowed(world_.uniform(microseconds(200), microseconds(3000))), [this, id] {
    SimProcess& process = *find(id);
    if (!process.alive || !alive_) return;
    if (world_.chance(world_.options().start_failure)) {
      world_.probe("worker.start_failed");
      process.died();
      wire::ProcessDeath death;
      death.exit_status = 1;
      death.description = "exited with status 1";
      process_ended(id, death);
      return;
    }
    process.started = true;
    node_->on_process_started(id, static_cast<int>(id.slot), now());
    process.settle();
    arm();
  });
  return id;
}

void SimNode::kill(const ProcessId& process) {
  world_.probe("node.kills");
  after(world_.uniform(microseconds(1), microseconds(500)), [this, process] { world_.kill(process); });
}

void SimNode::process_ended(const ProcessId& process, wire::ProcessDeath death) {
  if (!alive_) return;
  drain(process, node_process(id_));
  for (const std::uint64_t object : store_.reclaim(process)) reclaimed_.insert(object);
  node_->on_process_exited(process, death, now());
  if (control_) {
    control_->on_process_died(process, now());
    keeper_->on_process_died(process, death, now());
  }
  arm();
}

void SimNode::power_off() {
  alive_ = false;
  for (const auto& [slot, process] : processes_) process->died();
}

// ---- the rest of the sinks

void SimNode::send(const ProcessId& to, wire::Message&& message) {
  if (std::holds_alternative<wire::LeaseRedirect>(message)) {
    world_.probe(to.node == id_ ? "lease.redirected" : "lease.moved");
  }
  Frame frame{FrameKind::message, node_process(id_), to, 0, wire::encode(message)};
  if (to == node_process(id_)) {
    put(to, to, std::move(frame));
  } else {
    forward(std::move(frame));
  }
}

void SimNode::send(NodeId to, wire::Message&& message) {
  send(node_process(to), std::move(message));
}

Result<std::uint32_t> SimNode::open_program(const wire::Program&) {
  return std::uint32_t{0};
}

void SimNode::free_object(const wire::ObjectLocation& location) {
  const std::uint64_t object = location.generation;
  if (const auto holder = store_.holder(location)) {
    if (holder->slot != 0 && !is_alive(*holder)) reclaimed_.insert(object);
    freed_by_[object] = *holder;
    store_.free(location);
  } else if (!reclaimed_.contains(object) && is_alive(freed_by_[object]) &&
             (last_freer_.node != id_ || is_alive(last_freer_))) {
    // (What belonged to the dead may be freed twice: by them, also before they took it over, and by those who clear up
    // after them.)
    world_.violated("an object was freed that does not exist, number " + std::to_string(object));
  }
}

void SimNode::push_object(NodeId to, const wire::ObjectLocation& location, const wire::ObjectLocation& at) {
  wire::ObjectChunk chunk;
  chunk.location = location;
  if (!store_.has(at)) {
    chunk.error.code = ErrorCode::object_lost;
    chunk.error.message = "it was freed";
  } else {
    const std::uint64_t value = world_.value_of(at);
    chunk.bytes.assign(std::as_bytes(std::span(&value, 1)));
  }
  send(node_process(to), std::move(chunk));
}

Result<bool> SimNode::expect_object(const wire::ObjectLocation& location) {
  const auto local = store_.create(node_process(id_));
  if (!local) return false;
  arriving_[location] = *local;
  return true;
}

// ---- the memory

std::uint64_t SimNode::memory_of(const ProcessId& process) {
  const SimProcess* found = find(process);
  return found == nullptr ? 0 : found->memory_bytes();
}

void SimNode::watch_memory() {
  if (!alive_) return;
  const Time now = world_.events().now();
  const std::uint64_t limit = world_.options().memory_mb << 20;
  std::uint64_t used = 0;
  for (const auto& [slot, process] : processes_) {
    if (process->alive) used += process->memory_bytes();
  }
  if (used > limit) {
    world_.probe("memory.short");
    if (short_since_ == never) short_since_ = now;
    if (now > short_since_ + milliseconds(100)) {
      world_.violated(to_string(id_) + " was out of memory for so long that the kernel would have ended any process");
    }
  } else {
    short_since_ = never;
  }
  node_->on_memory({used, limit, "this machine"}, now);
  arm();
  world_.events().after(milliseconds(5), [this] { watch_memory(); });
}

// ---- the disk

void SimNode::write_spill(std::uint64_t file, const std::vector<wire::ObjectLocation>& objects) {
  world_.probe("spill.begun");
  const ProcessId self = node_process(id_);
  std::vector<bool> there;
  for (const auto& object : objects) there.push_back(store_.pin(object, self));
  const Duration longest(static_cast<std::int64_t>(world_.options().disk_ms * 1e6));
  after(slowed(world_.uniform(microseconds(50), longest)), [this, file, objects, there, self] {
    if (!alive_) return;
    for (const auto& object : objects) store_.unpin(object, self);
    Error error;
    if (!store_.disk_has_room(objects.size())) {
      world_.probe("disk.full");
      error.code = ErrorCode::disk_full;
      error.message = "the disk is full";
    } else if (world_.chance(world_.options().disk_failure)) {
      world_.probe("disk.failed");
      error.code = ErrorCode::unavailable;
      error.message = "the disk failed";
    }
    const Time now = this->now();
    if (error.code != ErrorCode::none) {
      node_->on_spill_written(file, error, now);
    } else {
      auto places = store_.write(file, objects);
      for (std::size_t i = 0; i < places.size(); ++i) {
        if (!there[i]) places[i].file = 0;
      }
      world_.probe("spill.written");
      node_->on_spill_written(file, places, now);
    }
    arm();
  });
}

Result<bool> SimNode::read_spill(const wire::ObjectLocation& name, const SpillPlace& place) {
  const auto local = store_.create(node_process(id_));
  if (!local) {
    world_.probe("spill.back_waits_for_room");
    return false;
  }
  const Duration longest(static_cast<std::int64_t>(world_.options().disk_ms * 1e6));
  after(slowed(world_.uniform(microseconds(50), longest)), [this, name, place, local] {
    if (!alive_) return;
    const Time now = this->now();
    if (world_.chance(world_.options().disk_damage)) {
      world_.probe("disk.damaged");
      store_.free(*local);
      Error error;
      error.code = ErrorCode::object_lost;
      error.message = "the checksum is wrong";
      node_->on_spill_read(name, error, now);
    } else {
      world_.probe("spill.read_back");
      world_.set_value(*local, store_.read(place));
      store_.adopt(*local, node_process(id_));
      node_->on_spill_read(name, *local, now);
    }
    arm();
  });
  return true;
}

void SimNode::expelled(const std::string& reason) {
  if (!alive_) return;
  if (!may_be_given_up_) return world_.violated(to_string(id_) + " was declared dead while it lived: " + reason);
  // It would come back as a new node, with none of what ran here. (Not from inside the Node.)
  world_.probe("node.gave_in");
  after(Duration(1), [this] { power_off(); });
}

void SimNode::ask_status() {
  if (!alive_) return;
  ++asked_;
  send(world_.head(), wire::StatusRequest{});
}

void SimNode::node_died(NodeId, const std::string&) {
  world_.probe("head.buried_a_node");
  if (number_ > world_.options().nodes) world_.probe("head.missed_a_node");  // it took the place of another head
}

void SimNode::check_capacity() {
  Resources left = Resources::cpus(world_.options().cpus);
  left -= node_->reserved();
  const bool reserved_too_much =
      std::any_of(left.amounts.begin(), left.amounts.end(), [](const auto& amount) { return amount.second < 0; });
  if (reserved_too_much || !left.covers(node_->available())) {
    world_.violated(to_string(id_) + " promises more than it has: " + to_string(node_->reserved()) + " in bundles, " +
                    to_string(node_->available()) + " free");
  }
}

void SimNode::arm() {
  check_capacity();
  Time next = node_->next_timer();
  if (control_) next = std::min({next, control_->next_timer(), keeper_->next_timer()});
  for (const auto& [peer, way] : links_) next = std::min(next, way->next_timer());
  if (next >= armed_ || !alive_) return;
  armed_ = next;
  at(std::max(next, now() + microseconds(1)), [this, next] {
    if (armed_ == next) armed_ = never;
    if (!alive_) return;
    const Time now = this->now();
    if (now >= node_->next_timer()) node_->on_timer(now);
    if (control_ && now >= control_->next_timer()) control_->on_timer(now);
    if (keeper_ && now >= keeper_->next_timer()) keeper_->on_timer(now);
    for (const auto& [peer, way] : links_) {
      const auto before = way->counts().retransmitted;
      if (now >= way->next_timer()) way->on_timer(now);
      if (way->counts().retransmitted > before) world_.probe("link.retransmitted");
    }
    arm();
  });
}

}  // namespace mobula::sim
