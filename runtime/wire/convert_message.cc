// The union of all messages, both ways: a table, one line a message.
#include "runtime/wire/convert.h"

namespace mobula::wire::convert {

namespace {

schema::CallKey::Builder write(schema::CallKey::Builder to, std::uint32_t index, std::uint32_t generation,
                               std::uint32_t attempt) {
  to.setIndex(index);
  to.setGeneration(generation);
  to.setAttempt(attempt);
  return to;
}

void write_store(schema::StoreUse::Builder to, const StoreUse& from) {
  to.setBytes(from.bytes);
  to.setCap(from.cap);
  to.setSpilledBytes(from.spilled_bytes);
  to.setSpilledObjects(from.spilled_objects);
}

struct Writer {
  schema::Message::Builder to;

  void operator()(const LeaseRequest& m) {
    auto b = to.initLeaseRequest();
    b.setTag(m.tag);
    b.setCount(m.count);
    b.setDepth(m.depth);
    b.setBacklog(m.backlog);
    b.setDedicated(m.dedicated);
    b.setSpilled(m.spilled);
    convert::write(b.initResources(static_cast<unsigned>(m.resources.amounts.size())), m.resources);
    convert::write(b.initProgram(), m.program);
    if (!m.placement.any()) convert::write(b.initPlacement(), m.placement);
    b.setPriority(m.priority);
    b.setPreemptible(m.preemptible);
    b.setRetriable(m.retriable);
    b.setJob(m.job);
    b.setNear(m.near.value);
    b.setNearBytes(m.near_bytes);
    convert::write(b.initAvoid(static_cast<unsigned>(m.avoid.size())), m.avoid);
  }
  void operator()(const LeaseCancel& m) {
    auto b = to.initLeaseCancel();
    b.setTag(m.tag);
    b.setCount(m.count);
  }
  void operator()(const LeaseGrant& m) {
    auto b = to.initLeaseGrant();
    b.setTag(m.tag);
    convert::write(b.initLease(), m.lease);
    convert::write(b.initWorker(), m.worker);
  }
  void operator()(const LeaseRedirect& m) {
    auto b = to.initLeaseRedirect();
    b.setTag(m.tag);
    b.setNode(m.node.value);
    b.setReason(text(m.reason));
    b.setJob(m.job);
  }
  void operator()(const LeaseRefused& m) {
    auto b = to.initLeaseRefused();
    b.setTag(m.tag);
    b.setCount(m.count);
    convert::write(b.initError(), m.error);
  }
  void operator()(const LeaseReturn& m) { convert::write(to.initLeaseReturn(), m.lease); }
  void operator()(const LeaseKill& m) {
    auto b = to.initLeaseKill();
    convert::write(b.initLease(), m.lease);
    b.setReason(text(m.reason));
  }
  void operator()(const ReclaimIdle&) { to.setReclaimIdle(); }
  void operator()(const Blocked& m) {
    auto b = to.initBlocked();
    convert::write(b.initLease(), m.lease);
    b.setBlocked(m.blocked);
  }
  void operator()(const WorkerBlocked& m) {
    auto b = to.initWorkerBlocked();
    convert::write(b.initLease(), m.lease);
    b.setBlocked(m.blocked);
  }
  void operator()(const LeaseRevoke& m) {
    auto b = to.initLeaseRevoke();
    convert::write(b.initLease(), m.lease);
    convert::write(b.initOwner(), m.owner);
  }
  void operator()(const LeaseReleased& m) { convert::write(to.initLeaseReleased(), m.lease); }
  void operator()(const Retire&) { to.setRetire(); }
  void operator()(const StayAlive&) { to.setStayAlive(); }
  void operator()(const CancelCall& m) {
    write(to.initCancelCall(), m.index, m.generation, m.attempt).setRecursive(m.recursive);
  }
  void operator()(const ReleaseHeld& m) {
    write(to.initReleaseHeld(), m.index, m.generation, m.attempt).setItem(m.item);
  }
  void operator()(const EndActor& m) {
    auto b = to.initEndActor();
    convert::write(b.initActor(), m.actor.ref());
    b.setIncarnation(m.incarnation);
    convert::write(b.initLease(), m.lease);
  }
  void operator()(const AddBorrow& m) { convert::write(to.initAddBorrow(), m.ref); }
  void operator()(const BorrowAck& m) {
    auto b = to.initBorrowAck();
    convert::write(b.initRef(), m.ref);
    b.setKnown(m.known);
  }
  void operator()(const DropBorrow& m) { convert::write(to.initDropBorrow(), m.ref); }
  void operator()(const Resolve& m) { convert::write(to.initResolve(), m.ref); }
  void operator()(const Resolved& m) {
    auto b = to.initResolved();
    convert::write(b.initRef(), m.ref);
    convert::write(b.initValue(), m.value);
  }
  void operator()(const CancelRef& m) {
    auto b = to.initCancelRef();
    convert::write(b.initRef(), m.ref);
    b.setForce(m.force);
    b.setRecursive(m.recursive);
    b.setGraceNs(m.grace_ns);
  }
  void operator()(const ActorLocate& m) {
    auto b = to.initActorLocate();
    convert::write(b.initActor(), m.actor.ref());
    b.setKnownIncarnation(m.known_incarnation);
  }
  void operator()(const ActorAt& m) {
    auto b = to.initActorAt();
    convert::write(b.initActor(), m.actor.ref());
    b.setIncarnation(m.incarnation);
    convert::write(b.initWorker(), m.worker);
    convert::write(b.initLease(), m.lease);
    b.setMaxCallRetries(m.max_call_retries);
    b.setMaxPendingCalls(m.max_pending_calls);
    b.setUnordered(m.unordered);
    b.setLogged(m.logged);
    write_list([&](unsigned n) { return b.initAnswered(n); }, m.answered);
  }
  void operator()(const ActorGone& m) {
    auto b = to.initActorGone();
    convert::write(b.initActor(), m.actor.ref());
    convert::write(b.initError(), m.error);
  }
  void operator()(const ActorKill& m) { convert::write(to.initActorKill(), m.actor.ref()); }
  void operator()(const PullObject& m) {
    auto b = to.initPullObject();
    convert::write(b.initRef(), m.ref);
    convert::write(b.initLocation(), m.location);
  }
  void operator()(const ObjectHere& m) {
    auto b = to.initObjectHere();
    convert::write(b.initRef(), m.ref);
    convert::write(b.initLocation(), m.location);
    convert::write(b.initLocal(), m.local);
    convert::write(b.initError(), m.error);
  }
  void operator()(const AddCopy& m) {
    auto b = to.initAddCopy();
    convert::write(b.initRef(), m.ref);
    convert::write(b.initLocation(), m.location);
    b.setPassing(m.passing);
  }
  void operator()(const ObjectLost& m) {
    auto b = to.initObjectLost();
    convert::write(b.initRef(), m.ref);
    convert::write(b.initLocation(), m.location);
  }
  void operator()(const FreeObject& m) { convert::write(to.initFreeObject(), m.location); }
  void operator()(const NeedRoom& m) {
    auto b = to.initNeedRoom();
    b.setTag(m.tag);
    b.setBytes(m.bytes);
  }
  void operator()(const RoomMade& m) {
    auto b = to.initRoomMade();
    b.setTag(m.tag);
    convert::write(b.initError(), m.error);
  }
  void operator()(const FetchObject& m) { convert::write(to.initFetchObject(), m.location); }
  void operator()(const ObjectChunk& m) {
    auto b = to.initObjectChunk();
    convert::write(b.initLocation(), m.location);
    b.setOffset(m.offset);
    b.setBytes(data(m.bytes));
    convert::write(b.initError(), m.error);
  }
  void operator()(const ProcessDied& m) {
    auto b = to.initProcessDied();
    convert::write(b.initProcess(), m.process);
    b.setPid(m.death.pid);
    b.setSignal(m.death.signal);
    b.setExitStatus(m.death.exit_status);
    b.setDescription(text(m.death.description));
    b.setBacktrace(text(m.death.backtrace));
    b.setPreempted(m.death.preempted);
    b.setOutOfMemory(text(m.death.out_of_memory));
    b.setNodeName(text(m.death.node_name));
    b.setOverLimit(m.death.over_limit);
  }
  void operator()(const NodeDied& m) {
    auto b = to.initNodeDied();
    b.setNode(m.node.value);
    b.setReason(text(m.reason));
    b.setName(text(m.name));
  }
  void operator()(const JoinCluster& m) { convert::write(to.initJoinCluster(), m.self); }
  void operator()(const JoinReply& m) {
    auto b = to.initJoinReply();
    b.setAccepted(m.accepted);
    b.setReason(text(m.reason));
  }
  void operator()(const LeaveCluster& m) { to.setLeaveCluster(m.node.value); }
  void operator()(const Heartbeat& m) {
    auto b = to.initHeartbeat();
    b.setNode(m.node.value);
    convert::write(b.initAvailable(static_cast<unsigned>(m.available.amounts.size())), m.available);
    b.setQueued(m.queued);
    write_list([&](unsigned n) { return b.initJobs(n); }, m.jobs);
    write_store(b.initStore(), m.store);
  }
  void operator()(const ClusterView& m) {
    auto b = to.initClusterView();
    b.setVersion(m.version);
    auto nodes = b.initNodes(static_cast<unsigned>(m.nodes.size()));
    for (unsigned i = 0; i < nodes.size(); ++i) convert::write(nodes[i], m.nodes[i]);
    write_list([&](unsigned n) { return b.initGroups(n); }, m.groups);
    write_list([&](unsigned n) { return b.initJobs(n); }, m.jobs);
  }
  template <class Other>
  void operator()(const Other& m) {
    write_cluster(to, m);
    write_values(to, m);
  }
  void operator()(const Recycle& m) { convert::write(to.initRecycle(), m.lease); }
  void operator()(const ActorExited& m) {
    auto b = to.initActorExited();
    convert::write(b.initActor(), m.actor.ref());
    b.setIncarnation(m.incarnation);
    convert::write(b.initError(), m.error);
  }
  void operator()(const StreamConsumed& m) {
    write(to.initStreamConsumed(), m.index, m.generation, m.attempt).setItem(m.consumed);
  }
  void operator()(const WaitProbe& m) {
    auto b = to.initWaitProbe();
    b.setStage(static_cast<std::uint8_t>(m.stage));
    convert::write(b.initOrigin(), m.origin);
    convert::write(b.initOriginProcess(), m.origin_process);
    b.setWait(m.wait);
    convert::write(b.initRef(), m.ref);
    b.setTag(m.tag);
    b.setBranch(m.branch);
    b.setItems(m.items);
    auto hops = b.initHops(static_cast<unsigned>(m.hops.size()));
    for (unsigned i = 0; i < hops.size(); ++i) {
      convert::write(hops[i].initCall(), m.hops[i].call);
      convert::write(hops[i].initProcess(), m.hops[i].process);
      hops[i].setWhat(text(m.hops[i].what));
    }
  }
  void operator()(const StatusRequest&) { to.initStatusRequest(); }
  void operator()(const StatusReply& m) {
    auto b = to.initStatusReply();
    b.setViewVersion(m.view_version);
    auto members = b.initMembers(static_cast<unsigned>(m.members.size()));
    for (unsigned i = 0; i < members.size(); ++i) {
      convert::write(members[i].initView(), m.members[i].view);
      members[i].setHead(m.members[i].head);
      members[i].setConnected(m.members[i].connected);
      members[i].setSilentForMs(m.members[i].silent_for_ms);
      write_store(members[i].initStore(), m.members[i].store);
    }
    auto gone = b.initGone(static_cast<unsigned>(m.gone.size()));
    for (unsigned i = 0; i < gone.size(); ++i) {
      gone[i].setNode(m.gone[i].node.value);
      gone[i].setName(text(m.gone[i].name));
      gone[i].setReason(text(m.gone[i].reason));
      gone[i].setGoneForMs(m.gone[i].gone_for_ms);
    }
  }
};

LeaseRequest lease_request(schema::LeaseRequest::Reader r) {
  LeaseRequest m{r.getTag(),       r.getCount(),   r.getDepth(),           r.getBacklog(),
                 r.getDedicated(), r.getSpilled(), read(r.getResources()), read(r.getProgram())};
  if (r.hasPlacement()) m.placement = read(r.getPlacement());
  m.priority = r.getPriority();
  m.preemptible = r.getPreemptible();
  m.retriable = r.getRetriable();
  m.job = r.getJob();
  m.near = {r.getNear()};
  m.near_bytes = r.getNearBytes();
  m.avoid = read(r.getAvoid());
  return m;
}

ProcessDied process_died(schema::ProcessDied::Reader r) {
  return {read(r.getProcess()),
          {r.getPid(), r.getSignal(), r.getExitStatus(), text(r.getDescription()), text(r.getBacktrace()),
           r.getPreempted(), text(r.getOutOfMemory()), text(r.getNodeName()), r.getOverLimit()}};
}

WaitProbe wait_probe(schema::WaitProbe::Reader r) {
  if (r.getStage() > static_cast<std::uint8_t>(WaitStage::confirmed)) {
    throw Malformed{"the probe of a wait is at a stage that is unknown to this build"};
  }
  WaitProbe probe{static_cast<WaitStage>(r.getStage()),
                  read(r.getOrigin()),
                  read(r.getOriginProcess()),
                  r.getWait(),
                  read(r.getRef()),
                  r.getTag(),
                  {},
                  r.getBranch(),
                  r.getItems()};
  const auto hops = r.getHops();
  probe.hops.reserve(hops.size());
  for (const auto hop : hops) probe.hops.push_back({read(hop.getCall()), read(hop.getProcess()), text(hop.getWhat())});
  return probe;
}

ClusterView cluster_view(schema::ClusterView::Reader r) {
  ClusterView view;
  view.version = r.getVersion();
  const auto nodes = r.getNodes();
  view.nodes.reserve(nodes.size());
  for (const auto node : nodes) view.nodes.push_back(read(node));
  view.groups = read_list<GroupView>(r.getGroups());
  view.jobs = read_list<JobUse>(r.getJobs());
  return view;
}

StoreUse store_use(schema::StoreUse::Reader r) {
  return {r.getBytes(), r.getCap(), r.getSpilledBytes(), r.getSpilledObjects()};
}

StatusReply status_reply(schema::StatusReply::Reader r) {
  StatusReply status;
  status.view_version = r.getViewVersion();
  for (const auto member : r.getMembers()) {
    status.members.push_back({read(member.getView()), member.getHead(), member.getConnected(), member.getSilentForMs(),
                              store_use(member.getStore())});
  }
  for (const auto gone : r.getGone()) {
    status.gone.push_back({{gone.getNode()}, text(gone.getName()), text(gone.getReason()), gone.getGoneForMs()});
  }
  return status;
}

}  // namespace

void write(schema::Message::Builder to, const Message& from) {
  std::visit(Writer{to}, from);
}

Message read(schema::Message::Reader from) {
  using M = schema::Message;
  switch (from.which()) {
    case M::LEASE_REQUEST:
      return lease_request(from.getLeaseRequest());
    case M::LEASE_CANCEL: {
      const auto r = from.getLeaseCancel();
      return LeaseCancel{r.getTag(), r.getCount()};
    }
    case M::LEASE_GRANT: {
      const auto r = from.getLeaseGrant();
      return LeaseGrant{r.getTag(), read(r.getLease()), read(r.getWorker())};
    }
    case M::LEASE_REDIRECT: {
      const auto r = from.getLeaseRedirect();
      return LeaseRedirect{r.getTag(), {r.getNode()}, text(r.getReason()), r.getJob()};
    }
    case M::LEASE_REFUSED: {
      const auto r = from.getLeaseRefused();
      return LeaseRefused{r.getTag(), r.getCount(), read(r.getError())};
    }
    case M::LEASE_RETURN:
      return LeaseReturn{read(from.getLeaseReturn())};
    case M::LEASE_KILL: {
      const auto r = from.getLeaseKill();
      return LeaseKill{read(r.getLease()), text(r.getReason())};
    }
    case M::RECLAIM_IDLE:
      return ReclaimIdle{};
    case M::BLOCKED: {
      const auto r = from.getBlocked();
      return Blocked{read(r.getLease()), r.getBlocked()};
    }
    case M::WORKER_BLOCKED: {
      const auto r = from.getWorkerBlocked();
      return WorkerBlocked{read(r.getLease()), r.getBlocked()};
    }
    case M::LEASE_REVOKE: {
      const auto r = from.getLeaseRevoke();
      return LeaseRevoke{read(r.getLease()), read(r.getOwner())};
    }
    case M::LEASE_RELEASED:
      return LeaseReleased{read(from.getLeaseReleased())};
    case M::RETIRE:
      return Retire{};
    case M::STAY_ALIVE:
      return StayAlive{};
    case M::CANCEL_CALL: {
      const auto r = from.getCancelCall();
      return CancelCall{r.getIndex(), r.getGeneration(), r.getAttempt(), r.getRecursive()};
    }
    case M::RELEASE_HELD: {
      const auto r = from.getReleaseHeld();
      return ReleaseHeld{r.getIndex(), r.getGeneration(), r.getAttempt(), r.getItem()};
    }
    case M::END_ACTOR: {
      const auto r = from.getEndActor();
      return EndActor{read_actor(r.getActor()), r.getIncarnation(), read(r.getLease())};
    }
    case M::ADD_BORROW:
      return AddBorrow{read(from.getAddBorrow())};
    case M::BORROW_ACK: {
      const auto r = from.getBorrowAck();
      return BorrowAck{read(r.getRef()), r.getKnown()};
    }
    case M::DROP_BORROW:
      return DropBorrow{read(from.getDropBorrow())};
    case M::RESOLVE:
      return Resolve{read(from.getResolve())};
    case M::RESOLVED: {
      const auto r = from.getResolved();
      return Resolved{read(r.getRef()), read(r.getValue())};
    }
    case M::CANCEL_REF: {
      const auto r = from.getCancelRef();
      return CancelRef{read(r.getRef()), r.getForce(), r.getRecursive(), r.getGraceNs()};
    }
    case M::ACTOR_LOCATE: {
      const auto r = from.getActorLocate();
      return ActorLocate{read_actor(r.getActor()), r.getKnownIncarnation()};
    }
    case M::ACTOR_AT: {
      const auto r = from.getActorAt();
      return ActorAt{read_actor(r.getActor()), r.getIncarnation(),    read(r.getWorker()),
                     read(r.getLease()),       r.getMaxCallRetries(), r.getMaxPendingCalls(),
                     r.getUnordered(),         r.getLogged(),         read_list<RefId>(r.getAnswered())};
    }
    case M::ACTOR_GONE: {
      const auto r = from.getActorGone();
      return ActorGone{read_actor(r.getActor()), read(r.getError())};
    }
    case M::ACTOR_KILL:
      return ActorKill{read_actor(from.getActorKill())};
    case M::PULL_OBJECT: {
      const auto r = from.getPullObject();
      return PullObject{read(r.getRef()), read(r.getLocation())};
    }
    case M::OBJECT_HERE: {
      const auto r = from.getObjectHere();
      return ObjectHere{read(r.getRef()), read(r.getLocation()), read(r.getLocal()), read(r.getError())};
    }
    case M::ADD_COPY: {
      const auto r = from.getAddCopy();
      return AddCopy{read(r.getRef()), read(r.getLocation()), r.getPassing()};
    }
    case M::OBJECT_LOST: {
      const auto r = from.getObjectLost();
      return ObjectLost{read(r.getRef()), read(r.getLocation())};
    }
    case M::FREE_OBJECT:
      return FreeObject{read(from.getFreeObject())};
    case M::NEED_ROOM:
      return NeedRoom{from.getNeedRoom().getTag(), from.getNeedRoom().getBytes()};
    case M::ROOM_MADE:
      return RoomMade{from.getRoomMade().getTag(), read(from.getRoomMade().getError())};
    case M::FETCH_OBJECT:
      return FetchObject{read(from.getFetchObject())};
    case M::OBJECT_CHUNK: {
      const auto r = from.getObjectChunk();
      return ObjectChunk{read(r.getLocation()), r.getOffset(), data(r.getBytes()), read(r.getError())};
    }
    case M::PROCESS_DIED:
      return process_died(from.getProcessDied());
    case M::NODE_DIED: {
      const auto r = from.getNodeDied();
      return NodeDied{{r.getNode()}, text(r.getReason()), text(r.getName())};
    }
    case M::JOIN_CLUSTER:
      return JoinCluster{read(from.getJoinCluster())};
    case M::JOIN_REPLY: {
      const auto r = from.getJoinReply();
      return JoinReply{r.getAccepted(), text(r.getReason())};
    }
    case M::LEAVE_CLUSTER:
      return LeaveCluster{{from.getLeaveCluster()}};
    case M::HEARTBEAT: {
      const auto r = from.getHeartbeat();
      return Heartbeat{{r.getNode()},
                       read(r.getAvailable()),
                       r.getQueued(),
                       read_list<JobUse>(r.getJobs()),
                       store_use(r.getStore())};
    }
    case M::CLUSTER_VIEW:
      return cluster_view(from.getClusterView());
    case M::RECYCLE:
      return Recycle{read(from.getRecycle())};
    case M::ACTOR_EXITED: {
      const auto r = from.getActorExited();
      return ActorExited{read_actor(r.getActor()), r.getIncarnation(), read(r.getError())};
    }
    case M::STREAM_CONSUMED: {
      const auto r = from.getStreamConsumed();
      return StreamConsumed{r.getIndex(), r.getGeneration(), r.getAttempt(), r.getItem()};
    }
    case M::WAIT_PROBE:
      return wait_probe(from.getWaitProbe());
    case M::STATUS_REQUEST:
      return StatusRequest{};
    case M::STATUS_REPLY:
      return status_reply(from.getStatusReply());
    default:
      if (Message message; read_cluster(from, message) || read_values(from, message)) return message;
  }
  throw Malformed{"the message is of a kind that is unknown to this build"};
}

}  // namespace mobula::wire::convert
