#include "runtime/wire/message.h"

#include <fmt/format.h>

#include <array>

namespace mobula::wire {

std::string space_of_job(std::uint64_t job) {
  return fmt::format("job {:x}", job);
}

const char* name_of(const Message& message) {
  static constexpr std::array names{
      "LeaseRequest",   "LeaseCancel",  "LeaseGrant",   "LeaseRedirect", "LeaseRefused", "LeaseReturn",
      "LeaseKill",      "ReclaimIdle",  "Blocked",      "WorkerBlocked", "LeaseRevoke",  "LeaseReleased",
      "Retire",         "StayAlive",    "CancelCall",   "ReleaseHeld",   "EndActor",     "AddBorrow",
      "BorrowAck",      "DropBorrow",   "Resolve",      "Resolved",      "CancelRef",    "ActorLocate",
      "ActorAt",        "ActorGone",    "ActorKill",    "PullObject",    "ObjectHere",   "AddCopy",
      "FreeObject",     "FetchObject",  "ObjectChunk",  "ProcessDied",   "NodeDied",     "JoinCluster",
      "JoinReply",      "LeaveCluster", "Heartbeat",    "ClusterView",   "Recycle",      "ActorExited",
      "StreamConsumed", "WaitProbe",    "ClaimName",    "ReleaseName",   "FindName",     "CreateDetached",
      "NameReply",      "CreateGroup",  "RemoveGroup",  "WatchGroup",    "GroupPlaced",  "ReserveBundle",
      "BundleReply",    "CommitBundle", "ReturnBundle", "Why",           "WhyAnswer",    "StatusRequest",
      "StatusReply",    "NeedRoom",     "RoomMade",     "CallsSaved",    "LogCall",      "CallLogged",
      "ObjectLost",     "WantCopies",   "WatchCopies",  "CopiesHeld",    "KeepValue",    "ValueKept",
      "RejoinCluster",  "HeadChanged"};
  static_assert(names.size() == std::variant_size_v<Message>);
  return names[message.index()];
}

}  // namespace mobula::wire
