#include "runtime/daemon/ask_head.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "runtime/daemon/cluster.h"
#include "runtime/daemon/event_loop.h"
#include "runtime/daemon/frame.h"
#include "runtime/daemon/log.h"
#include "runtime/wire/codec.h"

namespace mobula::daemon {
namespace {

class Question final : public ClusterEvents {
 public:
  Question(const std::string& address, const std::string& keys)
      : self_(random_node()),
        // It listens because all do; nobody is to call.
        cluster_(loop_, {.self = self_, .host = "127.0.0.1", .keys = keys, .head = address}, make_log("off"), *this) {}

  std::optional<wire::StatusReply> answer;
  std::optional<std::string> refusal;
  std::string unreachable;

  void wait(Time until) {
    while (!answer && !refusal && steady_now() < until) {
      if (cluster_.process(steady_now())) continue;
      loop_.run_once(std::min(until, cluster_.next_timer()));
      cluster_.on_timer(steady_now());
    }
  }

  void head_found(NodeId head) override {
    const LaneHeader header{.kind = FrameKind::message, .relayed = 1};
    const Relay relay{node_process(self_), node_process(head)};
    const Bytes request = wire::encode(wire::StatusRequest{});
    cluster_.send(head, {as_part(header), as_part(relay), request}, steady_now());
  }
  void frame_arrived(NodeId, std::span<const std::byte> bytes) override {
    const auto frame = parse_lane_frame(bytes);
    if (!frame || frame->header.kind != FrameKind::message) return;
    const auto message = wire::decode(frame->payload);
    if (!message) return;
    if (const auto* status = std::get_if<wire::StatusReply>(&*message)) answer = *status;
  }
  void head_refused(const std::string& reason) override { refusal = reason; }
  void head_unreachable(const std::string& reason) override { unreachable = reason; }
  void node_connected(NodeId) override {}
  void node_disconnected(NodeId) override {}
  void given_up() override {}

 private:
  const NodeId self_;
  EventLoop loop_;
  Cluster cluster_;
};

}  // namespace

Result<wire::StatusReply> ask_status(const std::string& address, const std::string& keys, Duration patience) {
  try {
    Question question(address, keys);
    question.wait(steady_now() + patience);
    if (question.answer) return std::move(*question.answer);
    const std::string why =
        question.refusal ? "not let in: " + *question.refusal
                         : fmt::format("no answer for {:g} s{}; is `mobula head` running there, and is the port open?",
                                       std::chrono::duration<double>(patience).count(),
                                       question.unreachable.empty() ? "" : " (" + question.unreachable + ")");
    return Error{.code = ErrorCode::unavailable, .message = fmt::format("the head at {}: {}", address, why)};
  } catch (const TaskError& error) {
    return error.error();
  }
}

}  // namespace mobula::daemon
