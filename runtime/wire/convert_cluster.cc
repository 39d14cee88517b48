// Names, placement groups and questions: the part of the union of messages that tasks never need.
#include <type_traits>

#include "runtime/wire/convert.h"

namespace mobula::wire::convert {

namespace {

void write(schema::ActorName::Builder to, const ActorName& from) {
  to.setSpace(text(from.space));
  to.setName(text(from.name));
}
ActorName read(schema::ActorName::Reader from) {
  return {text(from.getSpace()), text(from.getName())};
}

/// The steps of one bundle share a struct on the wire.
template <class Step>
void write_step(schema::BundleStep::Builder to, const Step& from) {
  convert::write(to.initId(), from.id);
  to.setBundle(from.bundle);
  to.setAttempt(from.attempt);
}
template <class Step>
Step read_step(schema::BundleStep::Reader from) {
  Step step;
  step.id = convert::read(from.getId());
  step.bundle = from.getBundle();
  step.attempt = from.getAttempt();
  return step;
}

GroupStrategy strategy(std::uint8_t number) {
  if (number > static_cast<std::uint8_t>(GroupStrategy::strict_spread)) {
    throw Malformed{"the strategy of a placement group is unknown to this build"};
  }
  return static_cast<GroupStrategy>(number);
}

CreateDetached create_detached(schema::CreateDetached::Reader r) {
  CreateDetached m;
  m.tag = r.getTag();
  m.asker = convert::read(r.getAsker());
  m.name = read(r.getName());
  m.constructor = {r.getConstructor().getModule(), r.getConstructor().getOffset()};
  m.title = text(r.getTitle());
  m.args = data(r.getArgs());
  m.program = convert::read(r.getProgram());
  m.max_restarts = r.getMaxRestarts();
  m.max_call_retries = r.getMaxCallRetries();
  m.resources = convert::read(r.getResources());
  m.placement = convert::read(r.getPlacement());
  m.priority = r.getPriority();
  m.type = text(r.getType());
  m.flags = r.getFlags();
  m.checkpoint_every = r.getCheckpointEvery();
  m.checkpoint_period_ns = r.getCheckpointPeriodNs();
  return m;
}

LogCall log_call(schema::LogCall::Reader r) {
  LogCall m;
  m.actor = read_actor(r.getActor());
  m.incarnation = r.getIncarnation();
  m.order = r.getOrder();
  m.call = convert::read(r.getCall());
  m.attempt = r.getAttempt();
  m.function = {r.getFunction().getModule(), r.getFunction().getOffset()};
  m.flags = r.getFlags();
  m.group = r.getGroup();
  m.args = data(r.getArgs());
  m.deps = read_list<RefId>(r.getDeps());
  m.values = read_list<Value>(r.getValues());
  m.contained = read_list<RefId>(r.getContained());
  if (m.values.size() != m.deps.size()) throw Malformed{"a logged call has not one value for each argument"};
  return m;
}

CreateGroup create_group(schema::CreateGroup::Reader r) {
  CreateGroup m;
  m.id = convert::read(r.getId());
  m.name = text(r.getName());
  m.strategy = strategy(r.getStrategy());
  for (const auto bundle : r.getBundles()) {
    m.bundles.push_back({convert::read(bundle.getResources()), convert::read(bundle.getLabels())});
  }
  m.job = r.getJob();
  return m;
}

ClaimName claim_name(schema::ClaimName::Reader r) {
  return {r.getTag(), read(r.getName()), read_actor(r.getActor()), text(r.getType()), convert::read(r.getProgram())};
}

RejoinCluster rejoin_cluster(schema::RejoinCluster::Reader r) {
  RejoinCluster m;
  m.self = convert::read(r.getSelf());
  m.head = {r.getHead()};
  m.members = read_list<NodeView>(r.getMembers());
  m.gone = convert::read(r.getGone());
  for (const auto name : r.getNames()) m.names.push_back(claim_name(name));
  for (const auto group : r.getGroups()) m.groups.push_back(create_group(group));
  for (const auto bundle : r.getBundles()) {
    m.bundles.push_back(
        {convert::read(bundle.getGroup()), bundle.getBundle(), bundle.getAttempt(), bundle.getCommitted()});
  }
  return m;
}

void write_claim(schema::ClaimName::Builder to, const ClaimName& from) {
  to.setTag(from.tag);
  write(to.initName(), from.name);
  convert::write(to.initActor(), from.actor.ref());
  convert::write(to.initProgram(), from.program);
  to.setType(text(from.type));
}

void write_group(schema::CreateGroup::Builder to, const CreateGroup& from) {
  convert::write(to.initId(), from.id);
  to.setName(text(from.name));
  to.setStrategy(static_cast<std::uint8_t>(from.strategy));
  auto bundles = to.initBundles(static_cast<unsigned>(from.bundles.size()));
  for (unsigned i = 0; i < bundles.size(); ++i) {
    const Bundle& bundle = from.bundles[i];
    convert::write(bundles[i].initResources(static_cast<unsigned>(bundle.resources.amounts.size())), bundle.resources);
    convert::write(bundles[i].initLabels(static_cast<unsigned>(bundle.labels.size())), bundle.labels);
  }
  to.setJob(from.job);
}

struct ClusterWriter {
  schema::Message::Builder to;

  void operator()(const ClaimName& m) { write_claim(to.initClaimName(), m); }
  void operator()(const ReleaseName& m) {
    auto b = to.initReleaseName();
    write(b.initName(), m.name);
    convert::write(b.initActor(), m.actor.ref());
  }
  void operator()(const FindName& m) {
    auto b = to.initFindName();
    b.setTag(m.tag);
    convert::write(b.initAsker(), m.asker);
    write(b.initName(), m.name);
  }
  void operator()(const CreateDetached& m) {
    auto b = to.initCreateDetached();
    b.setTag(m.tag);
    convert::write(b.initAsker(), m.asker);
    write(b.initName(), m.name);
    auto constructor = b.initConstructor();
    constructor.setModule(m.constructor.module);
    constructor.setOffset(m.constructor.offset);
    b.setTitle(text(m.title));
    b.setArgs(data(m.args));
    convert::write(b.initProgram(), m.program);
    b.setMaxRestarts(m.max_restarts);
    b.setMaxCallRetries(m.max_call_retries);
    convert::write(b.initResources(static_cast<unsigned>(m.resources.amounts.size())), m.resources);
    convert::write(b.initPlacement(), m.placement);
    b.setPriority(m.priority);
    b.setType(text(m.type));
    b.setFlags(m.flags);
    b.setCheckpointEvery(m.checkpoint_every);
    b.setCheckpointPeriodNs(m.checkpoint_period_ns);
  }
  void operator()(const NameReply& m) {
    auto b = to.initNameReply();
    b.setTag(m.tag);
    convert::write(b.initActor(), m.actor.ref());
    convert::write(b.initProgram(), m.program);
    convert::write(b.initError(), m.error);
    write(b.initName(), m.name);
    b.setType(text(m.type));
  }
  void operator()(const CreateGroup& m) { write_group(to.initCreateGroup(), m); }
  void operator()(const RemoveGroup& m) { convert::write(to.initRemoveGroup(), m.id); }
  void operator()(const WatchGroup& m) {
    auto b = to.initWatchGroup();
    convert::write(b.initId(), m.id);
    convert::write(b.initWatcher(), m.watcher);
  }
  void operator()(const GroupPlaced& m) {
    auto b = to.initGroupPlaced();
    convert::write(b.initId(), m.id);
    convert::write(b.initNodes(static_cast<unsigned>(m.nodes.size())), m.nodes);
    convert::write(b.initError(), m.error);
  }
  void operator()(const ReserveBundle& m) {
    auto b = to.initReserveBundle();
    write_step(b, m);
    b.setPatienceMs(m.patience_ms);
    convert::write(b.initResources(static_cast<unsigned>(m.resources.amounts.size())), m.resources);
  }
  void operator()(const BundleReply& m) {
    auto b = to.initBundleReply();
    write_step(b, m);
    b.setReserved(m.reserved);
    b.setReason(text(m.reason));
  }
  void operator()(const CommitBundle& m) { write_step(to.initCommitBundle(), m); }
  void operator()(const ReturnBundle& m) {
    auto b = to.initReturnBundle();
    write_step(b, m);
    b.setReason(text(m.reason));
  }
  void operator()(const Why& m) {
    auto b = to.initWhy();
    b.setId(m.id);
    convert::write(b.initAsker(), m.asker);
    b.setSubject(text(m.subject));
    b.setTag(m.tag);
    convert::write(b.initOwner(), m.owner);
    b.setAll(m.all);
  }
  void operator()(const CallsSaved& m) {
    auto b = to.initCallsSaved();
    convert::write(b.initActor(), m.actor.ref());
    b.setIncarnation(m.incarnation);
    write_list([&](unsigned n) { return b.initCalls(n); }, m.calls);
  }
  void operator()(const LogCall& m) {
    auto b = to.initLogCall();
    convert::write(b.initActor(), m.actor.ref());
    b.setIncarnation(m.incarnation);
    b.setOrder(m.order);
    convert::write(b.initCall(), m.call);
    b.setAttempt(m.attempt);
    auto function = b.initFunction();
    function.setModule(m.function.module);
    function.setOffset(m.function.offset);
    b.setFlags(m.flags);
    b.setGroup(m.group);
    b.setArgs(data(m.args));
    write_list([&](unsigned n) { return b.initDeps(n); }, m.deps);
    write_list([&](unsigned n) { return b.initValues(n); }, m.values);
    write_list([&](unsigned n) { return b.initContained(n); }, m.contained);
  }
  void operator()(const CallLogged& m) {
    auto b = to.initCallLogged();
    convert::write(b.initCall(), m.call);
    b.setAttempt(m.attempt);
    b.setAccepted(m.accepted);
  }
  void operator()(const RejoinCluster& m) {
    auto b = to.initRejoinCluster();
    convert::write(b.initSelf(), m.self);
    b.setHead(m.head.value);
    write_list([&](unsigned n) { return b.initMembers(n); }, m.members);
    convert::write(b.initGone(static_cast<unsigned>(m.gone.size())), m.gone);
    auto names = b.initNames(static_cast<unsigned>(m.names.size()));
    for (unsigned i = 0; i < names.size(); ++i) write_claim(names[i], m.names[i]);
    auto groups = b.initGroups(static_cast<unsigned>(m.groups.size()));
    for (unsigned i = 0; i < groups.size(); ++i) write_group(groups[i], m.groups[i]);
    auto bundles = b.initBundles(static_cast<unsigned>(m.bundles.size()));
    for (unsigned i = 0; i < bundles.size(); ++i) {
      convert::write(bundles[i].initGroup(), m.bundles[i].group);
      bundles[i].setBundle(m.bundles[i].bundle);
      bundles[i].setAttempt(m.bundles[i].attempt);
      bundles[i].setCommitted(m.bundles[i].committed);
    }
  }
  void operator()(const HeadChanged& m) { to.setHeadChanged(m.head.value); }
  void operator()(const WhyAnswer& m) {
    auto b = to.initWhyAnswer();
    b.setId(m.id);
    auto lines = b.initLines(static_cast<unsigned>(m.lines.size()));
    for (unsigned i = 0; i < lines.size(); ++i) lines.set(i, text(m.lines[i]));
    b.setMore(m.more);
  }
  template <class Other>
  void operator()(const Other&) {}  // convert_message.cc writes it
};

}  // namespace

void write(schema::GroupId::Builder to, const GroupId& from) {
  write(to.initCreator(), from.creator);
  to.setNumber(from.number);
}
GroupId read(schema::GroupId::Reader from) {
  return {read(from.getCreator()), from.getNumber()};
}

void write(schema::Placement::Builder to, const Placement& from) {
  to.setSpread(from.spread);
  to.setNode(text(from.node));
  to.setSoft(from.soft);
  write(to.initLabels(static_cast<unsigned>(from.labels.size())), from.labels);
  write(to.initGroup(), from.group);
  to.setBundle(from.bundle);
  to.setDurable(from.durable);
}
Placement read(schema::Placement::Reader from) {
  return {from.getSpread(),      text(from.getNode()), from.getSoft(),   read(from.getLabels()),
          read(from.getGroup()), from.getBundle(),     from.getDurable()};
}

void write(schema::JobUse::Builder to, const JobUse& from) {
  to.setJob(from.job);
  write(to.initHeld(static_cast<unsigned>(from.held.amounts.size())), from.held);
}
JobUse read(schema::JobUse::Reader from) {
  return {from.getJob(), read(from.getHeld())};
}

void write(schema::GroupView::Builder to, const GroupView& from) {
  write(to.initId(), from.id);
  write(to.initNodes(static_cast<unsigned>(from.nodes.size())), from.nodes);
  to.setEnded(text(from.ended));
}
GroupView read(schema::GroupView::Reader from) {
  return {read(from.getId()), read(from.getNodes()), text(from.getEnded())};
}

void write_cluster(schema::Message::Builder to, const Message& from) {
  std::visit(ClusterWriter{to}, from);
}

bool read_cluster(schema::Message::Reader from, Message& message) {
  using M = schema::Message;
  switch (from.which()) {
    case M::CLAIM_NAME:
      message = claim_name(from.getClaimName());
      return true;
    case M::RELEASE_NAME: {
      const auto r = from.getReleaseName();
      message = ReleaseName{read(r.getName()), read_actor(r.getActor())};
      return true;
    }
    case M::FIND_NAME: {
      const auto r = from.getFindName();
      message = FindName{r.getTag(), read(r.getAsker()), read(r.getName())};
      return true;
    }
    case M::CREATE_DETACHED:
      message = create_detached(from.getCreateDetached());
      return true;
    case M::NAME_REPLY: {
      const auto r = from.getNameReply();
      message = NameReply{r.getTag(),        read(r.getName()),    read_actor(r.getActor()),
                          text(r.getType()), read(r.getProgram()), read(r.getError())};
      return true;
    }
    case M::CREATE_GROUP:
      message = create_group(from.getCreateGroup());
      return true;
    case M::REMOVE_GROUP:
      message = RemoveGroup{read(from.getRemoveGroup())};
      return true;
    case M::WATCH_GROUP: {
      const auto r = from.getWatchGroup();
      message = WatchGroup{read(r.getId()), read(r.getWatcher())};
      return true;
    }
    case M::GROUP_PLACED: {
      const auto r = from.getGroupPlaced();
      message = GroupPlaced{read(r.getId()), read(r.getNodes()), read(r.getError())};
      return true;
    }
    case M::RESERVE_BUNDLE: {
      auto m = read_step<ReserveBundle>(from.getReserveBundle());
      m.patience_ms = from.getReserveBundle().getPatienceMs();
      m.resources = read(from.getReserveBundle().getResources());
      message = std::move(m);
      return true;
    }
    case M::BUNDLE_REPLY: {
      auto m = read_step<BundleReply>(from.getBundleReply());
      m.reserved = from.getBundleReply().getReserved();
      m.reason = text(from.getBundleReply().getReason());
      message = std::move(m);
      return true;
    }
    case M::COMMIT_BUNDLE:
      message = read_step<CommitBundle>(from.getCommitBundle());
      return true;
    case M::RETURN_BUNDLE: {
      auto m = read_step<ReturnBundle>(from.getReturnBundle());
      m.reason = text(from.getReturnBundle().getReason());
      message = std::move(m);
      return true;
    }
    case M::WHY: {
      const auto r = from.getWhy();
      message = Why{r.getId(), read(r.getAsker()), text(r.getSubject()), r.getTag(), read(r.getOwner()), r.getAll()};
      return true;
    }
    case M::CALLS_SAVED: {
      const auto r = from.getCallsSaved();
      message = CallsSaved{read_actor(r.getActor()), r.getIncarnation(), read_list<RefId>(r.getCalls())};
      return true;
    }
    case M::LOG_CALL:
      message = log_call(from.getLogCall());
      return true;
    case M::CALL_LOGGED: {
      const auto r = from.getCallLogged();
      message = CallLogged{read(r.getCall()), r.getAttempt(), r.getAccepted()};
      return true;
    }
    case M::REJOIN_CLUSTER:
      message = rejoin_cluster(from.getRejoinCluster());
      return true;
    case M::HEAD_CHANGED:
      message = HeadChanged{{from.getHeadChanged()}};
      return true;
    case M::WHY_ANSWER: {
      const auto r = from.getWhyAnswer();
      WhyAnswer m{r.getId(), {}, r.getMore()};
      for (const auto line : r.getLines()) m.lines.push_back(text(line));
      message = std::move(m);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace mobula::wire::convert
