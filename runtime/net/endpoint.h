#pragma once

#include <chrono>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include "runtime/net/segment.h"
#include "runtime/net/spin_policy.h"

namespace mobula::net {

enum class SendStatus {
  ok,
  full,       ///< the reader is behind; wait() returns once there is room
  dead,       ///< that process is gone, or was never this generation
  too_large,  ///< over max_frame_bytes()
};

/// Names one posted call, for withdraw().
struct CallTicket {
  std::uint32_t lane = 0;
  std::uint32_t generation = 0;
  std::uint64_t position = 0;
};

struct Posted {
  SendStatus status = SendStatus::ok;
  CallTicket ticket;
};

/// A call taken off a lane. Its bytes lie in the ring until finish_call().
struct Call {
  Peer from;
  std::span<const std::byte> frame;
  std::uint32_t lane = 0;
  std::uint64_t position = 0;
};

/// One process's part in its node's segment: what it sends, what it receives, and how it sleeps.
///
/// To each other process lead two kinds of lanes, opened by the first send. `messages` are read by whoever pumps. A
/// `calls` lane is itself the queue of the process at its end: it takes a call when it is free to start one, and until
/// then the caller can withdraw it, also from a process that is busy or dead. Frames of one lane arrive in order;
/// between lanes there is no order.
///
/// Threads: the sending half (send, post_call, reserve, commit, withdraw, forget, cork, flush) belongs to one thread at
/// a time, the receiving half (poll, drain, take_call, finish_call, wait, arm) to one thread at a time; the two may
/// differ, and a handler may send. wake() is free for all.
class Endpoint {
 public:
  using Clock = std::chrono::steady_clock;
  using Bytes = std::span<const std::byte>;

  /// Takes part as `self`, a slot that the node has allocated. The segment must outlive the endpoint. The destructor
  /// leaves: to the others it is as if the process had died. (Not in a forked child: there it does nothing.)
  Endpoint(Segment& segment, Peer self);
  ~Endpoint();
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  Peer self() const { return self_; }
  std::size_t max_frame_bytes() const;

  // Sending. The parts are copied once, into the ring.

  SendStatus send(Peer to, std::initializer_list<Bytes> parts);
  Posted post_call(Peer to, std::initializer_list<Bytes> parts);

  /// To encode in place: room for up to `bytes`, then commit() with what was used. Nothing else is sent in between.
  struct Reservation {
    SendStatus status = SendStatus::ok;
    std::byte* data = nullptr;  ///< aligned to 16
  };
  Reservation reserve(Peer to, LaneKind kind, std::size_t bytes);
  CallTicket commit(std::size_t bytes);

  /// Takes a posted call back. True: the process never began it and never will. False: it has begun (or ended) it. For
  /// a dead process the answer is final too, until forget().
  bool withdraw(const CallTicket& ticket);

  /// Between cork() and flush() frames are published in batches and their readers are woken once.
  void cork() { corked_ = true; }
  void flush();

  /// Closes the lanes to a process that is dead, once nothing is left to withdraw.
  void forget(Peer dead);

  // Receiving.

  /// Hands up to `max` messages to `handler(Peer from, std::span<const std::byte> frame)`, a frame being valid during
  /// its call; returns how many. Lanes take turns. Not to be called from within the handler.
  template <class Handler>
  std::size_t poll(Handler&& handler, std::size_t max = static_cast<std::size_t>(-1)) {
    return poll_with(invoke<Handler>, erase(handler), max);
  }

  /// The same for one process only, to its last message: when told of a death, before acting on it. May be called from
  /// within a handler, for another process than the one whose message is being handled.
  template <class Handler>
  std::size_t drain(Peer from, Handler&& handler) {
    return drain_with(from, invoke<Handler>, erase(handler));
  }

  /// Claims the next call and hands it to `handler(const Call&)`, whose frame is valid during that time. Lanes take
  /// turns; calls of dead processes are dropped. False if none was there.
  template <class Handler>
  bool next_call(Handler&& handler) {
    const std::optional<Call> call = take_call();
    if (!call) return false;
    handler(*call);
    finish_call(*call);
    return true;
  }

  /// The two halves of next_call(): a call may be finished once its arguments are decoded, before it runs, and further
  /// calls may be taken in between (a task that waits for its children).
  std::optional<Call> take_call();
  void finish_call(const Call& call);

  enum class Interest { messages, messages_and_calls };

  /// Returns true as soon as something may be there to read or to send (now and then without cause: after a death, a
  /// signal, a wake()), false at the deadline.
  /// Spins up to 20 us first where that has proved useful lately and there is more than one cpu.
  bool wait(Clock::time_point deadline, Interest interest = Interest::messages_and_calls);

  /// For a loop that sleeps in epoll (slots 0 and 1): from now on the eventfd is signalled. Returns false, and does not
  /// arm, if something is there already. After waking call disarm(), then poll().
  bool arm(Interest interest = Interest::messages_and_calls);
  void disarm();
  int event_fd() const { return segment_.doorbell_fd(self_.slot); }

  /// Makes a wait() in another thread return, or the next one.
  void wake();

  /// True if wait() would return at once. Looks at the lanes only, changes nothing.
  bool ready(Interest interest = Interest::messages_and_calls) const;

 private:
  struct OutLane {
    Segment::OpenLane lane;
    RingWriter ring;
    std::uint32_t unpublished = 0;  ///< frames since the last publish
  };
  struct InLane {
    Segment::OpenLane lane;
    RingReader ring;
    std::uint32_t in_use = 0;  ///< calls taken and not finished
    bool sender_gone = false;
    bool being_read = false;
  };
  using InLanes = std::vector<std::unique_ptr<InLane>>;  // a handler may cause lanes to be added
  using RawHandler = void (*)(void* handler, Peer from, Bytes frame);
  template <class Handler>
  static void invoke(void* handler, Peer from, Bytes frame) {
    (*static_cast<std::remove_reference_t<Handler>*>(handler))(from, frame);
  }

  template <class Handler>
  static void* erase(Handler& handler) {
    return const_cast<void*>(static_cast<const void*>(std::addressof(handler)));
  }
  std::size_t poll_with(RawHandler call, void* handler, std::size_t max);
  std::size_t drain_with(Peer from, RawHandler call, void* handler);
  std::size_t read(InLane& in, RawHandler call, void* handler, std::size_t max);
  OutLane* out_lane(Peer to, LaneKind kind, SendStatus& status);
  void close_out(std::unique_ptr<OutLane>& out);
  void publish(OutLane& out);
  void attach_announced();
  void notice_deaths();
  bool sleep_until(Clock::time_point deadline, Interest interest);

  Segment& segment_;
  const Peer self_;
  const pid_t process_;

  // Sending half.
  std::vector<std::unique_ptr<OutLane>> out_;  ///< [2 * slot + kind], null where nothing was sent
  std::vector<OutLane*> unpublished_;          ///< lanes with frames that flush() shows
  OutLane* reserved_ = nullptr;
  bool corked_ = false;

  // Receiving half.
  SpinPolicy spin_;
  InLanes messages_;
  InLanes calls_;
  std::size_t next_message_lane_ = 0;
  std::size_t next_call_lane_ = 0;
  std::uint32_t announced_seen_ = 0;
  std::uint32_t deaths_seen_ = 0;
  bool polling_ = false;
};

}  // namespace mobula::net
