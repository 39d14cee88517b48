#include "runtime/daemon/visitor.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "runtime/daemon/cluster.h"
#include "runtime/daemon/event_loop.h"
#include "runtime/daemon/frame.h"
#include "runtime/daemon/log.h"
#include "runtime/wire/codec.h"

namespace mobula::daemon {

class Visitor::Impl final : public ClusterEvents {
 public:
  Impl(const std::string& address, const std::string& keys)
      : address_(address),
        self_(random_node()),
        // It listens because all do; nobody is to call.
        cluster_(loop_,
                 {.self = self_, .is_head = false, .host = "127.0.0.1", .port = 0, .keys = keys, .head = address},
                 make_log("off"), *this) {}

  Result<wire::StatusReply> status(Duration patience) {
    status_.reset();
    if (head_) request_status();
    run(steady_now() + patience, [this] { return status_ || refusal_; });
    if (status_) {
      std::vector<wire::NodeView> views;
      for (const auto& member : status_->members) views.push_back(member.view);
      cluster_.set_peers(views);
      return *status_;
    }
    const std::string why =
        refusal_ ? "not let in: " + *refusal_
                 : fmt::format("no answer for {:g} s{}; is `mobula head` running there, and is the port open?",
                               std::chrono::duration<double>(patience).count(),
                               unreachable_.empty() ? "" : " (" + unreachable_ + ")");
    return Error{.code = ErrorCode::unavailable, .message = fmt::format("the head at {}: {}", address_, why)};
  }

  std::map<NodeId, Answer> ask(const std::vector<NodeId>& members, Question question, Duration patience) {
    question.id = ++last_id_;
    answers_.clear();
    waited_ = {members.begin(), members.end()};
    const Bytes bytes = encode(question);
    for (const NodeId member : members) {
      if (!send(member, FrameKind::ask, bytes)) {
        answers_[member].error = "there is no way to it";
        waited_.erase(member);
      }
    }
    run(steady_now() + patience, [this] { return waited_.empty(); });
    for (const NodeId member : std::exchange(waited_, {})) {
      answers_[member].error = fmt::format("no answer for {:g} s", std::chrono::duration<double>(patience).count());
    }
    return std::exchange(answers_, {});
  }

  NodeId head() const { return head_; }
  void serve(Duration how_long, const std::function<bool()>& done) {
    run(
        steady_now() + how_long, done ? done : [] { return false; });
  }
  ProgramStore programs_{std::filesystem::path()};

 private:
  template <class Done>
  void run(Time until, Done done) {
    while (!done() && steady_now() < until) {
      if (cluster_.process(steady_now())) continue;
      loop_.run_once(std::min(until, cluster_.next_timer()));
      cluster_.on_timer(steady_now());
    }
  }
  bool send(NodeId to, FrameKind kind, const Bytes& payload) {
    const LaneHeader header{.kind = kind, .relayed = 1};
    const Relay relay{node_process(self_), node_process(to)};
    return cluster_.send(to, {as_part(header), as_part(relay), payload}, steady_now());
  }
  void request_status() { send(head_, FrameKind::message, wire::encode(wire::StatusRequest{})); }

  void head_found(NodeId head) override {
    head_ = head;
    request_status();
  }
  void frame_arrived(NodeId from, std::span<const std::byte> bytes) override {
    const auto frame = parse_lane_frame(bytes);
    if (!frame) return;
    if (frame->header.kind == FrameKind::ask) {
      const auto question = decode_question(frame->payload);
      if (question && question->topic == Topic::program) {
        send(from, FrameKind::answer, encode(programs_.chunk(*question)));
      }
    } else if (frame->header.kind == FrameKind::answer) {
      auto answer = decode_answer(frame->payload);
      if (!answer || answer->id != last_id_ || waited_.erase(from) == 0) return;
      answers_[from] = *std::move(answer);
    } else if (frame->header.kind == FrameKind::message) {
      const auto message = wire::decode(frame->payload);
      if (!message) return;
      if (const auto* status = std::get_if<wire::StatusReply>(&*message)) status_ = *status;
    }
  }
  void head_refused(const std::string& reason) override { refusal_ = reason; }
  void head_unreachable(const std::string& reason) override { unreachable_ = reason; }
  void node_connected(NodeId) override {}
  void node_disconnected(NodeId) override {}
  void given_up() override {}

  const std::string address_;
  const NodeId self_;
  EventLoop loop_;
  Cluster cluster_;
  NodeId head_;
  std::optional<wire::StatusReply> status_;
  std::optional<std::string> refusal_;
  std::string unreachable_;
  std::uint64_t last_id_ = 0;
  std::set<NodeId> waited_;
  std::map<NodeId, Answer> answers_;
};

Visitor::Visitor(const std::string& address, const std::string& keys) : impl_(std::make_unique<Impl>(address, keys)) {}
Visitor::~Visitor() = default;

Result<wire::StatusReply> Visitor::status(Duration patience) {
  return impl_->status(patience);
}
std::map<NodeId, Answer> Visitor::ask(const std::vector<NodeId>& members, Question question, Duration patience) {
  return impl_->ask(members, std::move(question), patience);
}
Answer Visitor::ask_head(Question question, Duration patience) {
  return impl_->ask({impl_->head()}, std::move(question), patience).begin()->second;
}
void Visitor::serve(Duration how_long, const std::function<bool()>& done) {
  impl_->serve(how_long, done);
}
ProgramStore& Visitor::programs() {
  return impl_->programs_;
}

}  // namespace mobula::daemon
