# Messages between participants, as they travel. The C++ side is runtime/wire/message.h; each struct here has its twin
# there. New fields and new members of Message's union are appended, never renumbered.
@0xdf008c58990fbb66;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("mobula::wire::schema");

struct ProcessId { node @0 :UInt64; slot @1 :UInt32; generation @2 :UInt32; }
struct RefId { owner @0 :ProcessId; index @1 :UInt32; generation @2 :UInt32; }
struct LeaseId { node @0 :UInt64; number @1 :UInt64; }
struct Location { node @0 :UInt64; offset @1 :UInt64; bytes @2 :UInt64; generation @3 :UInt64; }
struct Amount { name @0 :Text; units @1 :Int64; }
struct Program { path @0 :Text; buildId @1 :Text; }

struct Label { key @0 :Text; value @1 :Text; }
struct GroupId { creator @0 :ProcessId; number @1 :UInt32; }
struct Placement {
  spread @0 :Bool;
  node @1 :Text;
  soft @2 :Bool;
  labels @3 :List(Label);
  group @4 :GroupId;
  bundle @5 :Int32;
  durable @6 :Bool;
}
struct JobUse { job @0 :UInt64; held @1 :List(Amount); }
struct GroupView { id @0 :GroupId; nodes @1 :List(UInt64); ended @2 :Text; }
struct ActorName { space @0 :Text; name @1 :Text; }

struct Error {
  code @0 :UInt8;
  message @1 :Text;
  task @2 :Text;
  node @3 :Text;
  pid @4 :Int32;
  attempt @5 :Int32;
  signal @6 :Int32;
  backtrace @7 :Text;
  causes @8 :List(Error);
}

struct Value {
  union {
    bytes @0 :Data;
    location @1 :Location;
    error @2 :Error;
  }
}

struct LeaseRequest {
  tag @0 :UInt64;
  count @1 :UInt32;
  depth @2 :UInt32;
  backlog @3 :UInt32;
  dedicated @4 :Bool;
  spilled @5 :Bool;
  resources @6 :List(Amount);
  program @7 :Program;
  placement @8 :Placement;
  priority @9 :Int32;
  preemptible @10 :Bool;
  job @11 :UInt64;
  near @12 :UInt64;
  nearBytes @13 :UInt64;
  avoid @14 :List(UInt64);
  retriable @15 :Bool;
}
struct LeaseCancel { tag @0 :UInt64; count @1 :UInt32; }
struct LeaseGrant { tag @0 :UInt64; lease @1 :LeaseId; worker @2 :ProcessId; }
struct LeaseRedirect { tag @0 :UInt64; node @1 :UInt64; reason @2 :Text; job @3 :UInt64; }
struct LeaseRefused { tag @0 :UInt64; count @1 :UInt32; error @2 :Error; }
struct LeaseKill { lease @0 :LeaseId; reason @1 :Text; }
struct BlockedState { lease @0 :LeaseId; blocked @1 :Bool; }
struct LeaseRevoke { lease @0 :LeaseId; owner @1 :ProcessId; }
struct CallKey { index @0 :UInt32; generation @1 :UInt32; attempt @2 :UInt32; item @3 :UInt32; recursive @4 :Bool; }
struct ActorExited { actor @0 :RefId; incarnation @1 :UInt32; error @2 :Error; }
struct WaitHop { call @0 :RefId; process @1 :ProcessId; what @2 :Text; }
struct WaitProbe {
  stage @0 :UInt8;
  origin @1 :RefId;
  originProcess @2 :ProcessId;
  wait @3 :UInt64;
  ref @4 :RefId;
  tag @5 :UInt64;
  hops @6 :List(WaitHop);
  branch @7 :UInt32;
  items @8 :UInt32;
}
struct EndActor { actor @0 :RefId; incarnation @1 :UInt32; lease @2 :LeaseId; }

struct BorrowAck { ref @0 :RefId; known @1 :Bool; }
struct Resolved { ref @0 :RefId; value @1 :Value; }
struct CancelRef { ref @0 :RefId; force @1 :Bool; recursive @2 :Bool; graceNs @3 :Int64; }
struct ActorLocate { actor @0 :RefId; knownIncarnation @1 :UInt32; }
struct ActorAt {
  actor @0 :RefId;
  incarnation @1 :UInt32;
  worker @2 :ProcessId;
  lease @3 :LeaseId;
  maxCallRetries @4 :Int32;
  maxPendingCalls @5 :UInt32;
  unordered @6 :Bool;
  logged @7 :Bool;
  answered @8 :List(RefId);
}
struct ActorGone { actor @0 :RefId; error @1 :Error; }

struct RefAtLocation { ref @0 :RefId; location @1 :Location; passing @2 :Bool; }
struct ObjectHere { ref @0 :RefId; location @1 :Location; local @2 :Location; error @3 :Error; }
struct NeedRoom { tag @0 :UInt64; bytes @1 :UInt64; }
struct RoomMade { tag @0 :UInt64; error @1 :Error; }
struct ObjectChunk { location @0 :Location; offset @1 :UInt64; bytes @2 :Data; error @3 :Error; }

struct ProcessDied {
  process @0 :ProcessId;
  pid @1 :Int32;
  signal @2 :Int32;
  exitStatus @3 :Int32;
  description @4 :Text;
  backtrace @5 :Text;
  preempted @6 :Bool;
  outOfMemory @7 :Text;
  nodeName @8 :Text;
  overLimit @9 :Bool;
}
struct NodeDied { node @0 :UInt64; reason @1 :Text; name @2 :Text; }
struct NodeView {
  node @0 :UInt64;
  name @1 :Text;
  address @2 :Text;
  total @3 :List(Amount);
  available @4 :List(Amount);
  queued @5 :UInt32;
  labels @6 :List(Label);
  passing @7 :Bool;
}
struct JoinReply { accepted @0 :Bool; reason @1 :Text; }
struct StoreUse { bytes @0 :UInt64; cap @1 :UInt64; spilledBytes @2 :UInt64; spilledObjects @3 :UInt64; }
struct Heartbeat {
  node @0 :UInt64;
  available @1 :List(Amount);
  queued @2 :UInt32;
  jobs @3 :List(JobUse);
  store @4 :StoreUse;
}
struct ClusterView { version @0 :UInt64; nodes @1 :List(NodeView); groups @2 :List(GroupView); jobs @3 :List(JobUse); }

struct ClaimName { tag @0 :UInt64; name @1 :ActorName; actor @2 :RefId; program @3 :Program; type @4 :Text; }
struct ReleaseName { name @0 :ActorName; actor @1 :RefId; }
struct FindName { tag @0 :UInt64; asker @1 :ProcessId; name @2 :ActorName; }
struct FunctionId { module @0 :UInt64; offset @1 :UInt64; }
struct CreateDetached {
  tag @0 :UInt64;
  asker @1 :ProcessId;
  name @2 :ActorName;
  constructor @3 :FunctionId;
  title @4 :Text;
  args @5 :Data;
  program @6 :Program;
  maxRestarts @7 :Int32;
  maxCallRetries @8 :Int32;
  resources @9 :List(Amount);
  placement @10 :Placement;
  priority @11 :Int32;
  type @12 :Text;
  flags @13 :UInt8;
  checkpointEvery @14 :UInt32;
  checkpointPeriodNs @15 :Int64;
}
struct NameReply {
  tag @0 :UInt64;
  actor @1 :RefId;
  program @2 :Program;
  error @3 :Error;
  name @4 :ActorName;
  type @5 :Text;
}
struct Bundle { resources @0 :List(Amount); labels @1 :List(Label); }
struct CreateGroup {
  id @0 :GroupId;
  name @1 :Text;
  strategy @2 :UInt8;
  bundles @3 :List(Bundle);
  job @4 :UInt64;
}
struct WatchGroup { id @0 :GroupId; watcher @1 :ProcessId; }
struct GroupPlaced { id @0 :GroupId; nodes @1 :List(UInt64); error @2 :Error; }
struct BundleStep {
  id @0 :GroupId;
  bundle @1 :UInt32;
  attempt @2 :UInt32;
  patienceMs @3 :UInt32;
  resources @4 :List(Amount);
  reserved @5 :Bool;
  reason @6 :Text;
}
struct Why { id @0 :UInt64; asker @1 :ProcessId; subject @2 :Text; tag @3 :UInt64; owner @4 :ProcessId; all @5 :Bool; }
struct WhyAnswer { id @0 :UInt64; lines @1 :List(Text); more @2 :UInt32; }
struct StatusRequest {}
struct MemberStatus {
  view @0 :NodeView;
  head @1 :Bool;
  connected @2 :Bool;
  silentForMs @3 :Int64;
  store @4 :StoreUse;
}
struct GoneStatus { node @0 :UInt64; name @1 :Text; reason @2 :Text; goneForMs @3 :Int64; }
struct StatusReply { viewVersion @0 :UInt64; members @1 :List(MemberStatus); gone @2 :List(GoneStatus); }

struct CallsSaved { actor @0 :RefId; incarnation @1 :UInt32; calls @2 :List(RefId); }
struct LogCall {
  actor @0 :RefId;
  incarnation @1 :UInt32;
  order @2 :UInt64;
  call @3 :RefId;
  attempt @4 :UInt32;
  function @5 :FunctionId;
  flags @6 :UInt8;
  group @7 :UInt32;
  args @8 :Data;
  deps @9 :List(RefId);
  values @10 :List(Value);
  contained @11 :List(RefId);
}
struct CallLogged { call @0 :RefId; attempt @1 :UInt32; accepted @2 :Bool; }

struct WantCopies {
  ref @0 :RefId;
  location @1 :Location;
  copies @2 :UInt32;
  durable @3 :Bool;
  holders @4 :List(UInt64);
}
struct CopiesHeld { ref @0 :RefId; copies @1 :UInt32; error @2 :Error; }
struct KeepValue {
  tag @0 :UInt64;
  asker @1 :ProcessId;
  value @2 :Value;
  copies @3 :UInt32;
  passing @4 :Bool;
  contained @5 :List(RefId);
}
struct ValueKept { tag @0 :UInt64; ref @1 :RefId; value @2 :Value; }

struct HeldBundle { group @0 :GroupId; bundle @1 :UInt32; attempt @2 :UInt32; committed @3 :Bool; }
struct RejoinCluster {
  self @0 :NodeView;
  head @1 :UInt64;
  members @2 :List(NodeView);
  gone @3 :List(UInt64);
  names @4 :List(ClaimName);
  groups @5 :List(CreateGroup);
  bundles @6 :List(HeldBundle);
}

struct Message {
  union {
    leaseRequest @0 :LeaseRequest;
    leaseCancel @1 :LeaseCancel;
    leaseGrant @2 :LeaseGrant;
    leaseRedirect @3 :LeaseRedirect;
    leaseRefused @4 :LeaseRefused;
    leaseReturn @5 :LeaseId;
    leaseKill @6 :LeaseKill;
    reclaimIdle @7 :Void;
    blocked @8 :BlockedState;
    workerBlocked @9 :BlockedState;
    leaseRevoke @10 :LeaseRevoke;
    leaseReleased @11 :LeaseId;
    retire @12 :Void;
    stayAlive @13 :Void;
    cancelCall @14 :CallKey;
    releaseHeld @15 :CallKey;
    endActor @16 :EndActor;
    addBorrow @17 :RefId;
    borrowAck @18 :BorrowAck;
    dropBorrow @19 :RefId;
    resolve @20 :RefId;
    resolved @21 :Resolved;
    cancelRef @22 :CancelRef;
    actorLocate @23 :ActorLocate;
    actorAt @24 :ActorAt;
    actorGone @25 :ActorGone;
    actorKill @26 :RefId;
    pullObject @27 :RefAtLocation;
    objectHere @28 :ObjectHere;
    addCopy @29 :RefAtLocation;
    freeObject @30 :Location;
    fetchObject @31 :Location;
    objectChunk @32 :ObjectChunk;
    processDied @33 :ProcessDied;
    nodeDied @34 :NodeDied;
    joinCluster @35 :NodeView;
    joinReply @36 :JoinReply;
    leaveCluster @37 :UInt64;
    heartbeat @38 :Heartbeat;
    clusterView @39 :ClusterView;
    recycle @40 :LeaseId;
    actorExited @41 :ActorExited;
    streamConsumed @42 :CallKey;
    waitProbe @43 :WaitProbe;
    claimName @44 :ClaimName;
    releaseName @45 :ReleaseName;
    findName @46 :FindName;
    createDetached @47 :CreateDetached;
    nameReply @48 :NameReply;
    createGroup @49 :CreateGroup;
    removeGroup @50 :GroupId;
    watchGroup @51 :WatchGroup;
    groupPlaced @52 :GroupPlaced;
    reserveBundle @53 :BundleStep;
    bundleReply @54 :BundleStep;
    commitBundle @55 :BundleStep;
    returnBundle @56 :BundleStep;
    why @57 :Why;
    whyAnswer @58 :WhyAnswer;
    statusRequest @59 :StatusRequest;
    statusReply @60 :StatusReply;
    needRoom @61 :NeedRoom;
    roomMade @62 :RoomMade;
    callsSaved @63 :CallsSaved;
    logCall @64 :LogCall;
    callLogged @65 :CallLogged;
    objectLost @66 :RefAtLocation;
    wantCopies @67 :WantCopies;
    watchCopies @68 :RefId;
    copiesHeld @69 :CopiesHeld;
    keepValue @70 :KeepValue;
    valueKept @71 :ValueKept;
    rejoinCluster @72 :RejoinCluster;
    headChanged @73 :UInt64;
  }
}
