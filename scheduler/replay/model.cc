#include "scheduler/replay/model.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <queue>
#include <unordered_map>

namespace mobula::scheduler {

namespace {

class Model {
 public:
  Model(const std::vector<NodeView>& nodes, std::vector<Job> jobs, const ModelOptions& options)
      : options_(options), jobs_(std::move(jobs)), left_(jobs_.size()), asked_(jobs_.size()) {
    for (const NodeView& node : nodes) {
      index_[node.node] = nodes_.size();
      nodes_.push_back({node, {}});
      nodes_.back().exact.available = node.total;
      nodes_.back().exact.queued = 0;
      published_.nodes.push_back(nodes_.back().exact);
    }
    for (Node& node : nodes_) node.view.self = node.exact.node;
    for (std::size_t job = 0; job < jobs_.size(); ++job) {
      at(jobs_[job].at, Kind::submit, job);
    }
    at(0, Kind::publish, 0);
  }

  ModelReport run() {
    double first = jobs_.empty() ? 0 : jobs_.front().at;
    for (const Job& job : jobs_) {
      first = std::min(first, job.at);
      open_ += job.tasks;
    }
    while (!events_.empty() && open_ != 0) {
      const Event event = events_.top();
      events_.pop();
      now_ = event.at;
      handle(event);
      if (stuck_ > 1000) break;  // what is left fits nowhere
    }
    report_.makespan = last_end_ - first;
    double cpus = 0;
    for (const Node& node : nodes_) cpus += double(node.exact.total.amount("cpu")) / double(Resources::unit);
    if (report_.makespan > 0 && cpus > 0) report_.utilisation = busy_ / (cpus * report_.makespan);
    return report_;
  }

 private:
  enum class Kind : std::uint8_t { submit, publish, arrive, restless, end };
  struct Event {
    double at;
    std::uint64_t order;
    Kind kind;
    std::uint64_t subject;  // a job or a node
    std::uint64_t job;
    bool sent;
    bool operator<(const Event& other) const { return at != other.at ? at > other.at : order > other.order; }
  };
  struct Waiting {
    std::size_t job;
    double movable;
    std::uint64_t order;
  };
  struct Node {
    NodeView exact;
    View view;
    std::deque<Waiting> queue{};
    std::uint64_t seen = 0;  // version of the view
  };

  void at(double when, Kind kind, std::uint64_t subject, std::uint64_t job = 0, bool sent = false) {
    events_.push({when, ++order_, kind, subject, job, sent});
  }

  void handle(const Event& event) {
    switch (event.kind) {
      case Kind::submit:
        left_[event.subject] = jobs_[event.subject].tasks;
        ask(event.subject);
        break;
      case Kind::publish:
        publish();
        break;
      case Kind::arrive: {
        Node& node = nodes_[event.subject];
        const double movable = event.sent ? now_ + options_.restless : now_;
        node.queue.push_back({event.job, movable, ++arrivals_});
        if (event.sent) at(movable, Kind::restless, event.subject);
        schedule(node);
        break;
      }
      case Kind::restless:
        schedule(nodes_[event.subject]);
        break;
      case Kind::end:
        task_ended(nodes_[event.subject], event.job);
        break;
    }
  }

  // As many leases as there are tasks without one, up to the limit on what is unanswered.
  void ask(std::size_t job) {
    const std::size_t home = index_[jobs_[job].home];
    const std::uint64_t waiting = left_[job];
    while (asked_[job] < std::min<std::uint64_t>(waiting, options_.requests)) {
      ++asked_[job];
      at(now_, Kind::arrive, home, job);
    }
  }

  void start(Node& node, std::size_t job) {
    // The grant, and the first call, travel to the owner and back.
    begin(node, job, node.exact.node == jobs_[job].home ? 0 : 2 * options_.hop);
  }
  void begin(Node& node, std::size_t job, double delay) {
    --left_[job];
    const double end = now_ + delay + jobs_[job].seconds;
    busy_ += jobs_[job].seconds * double(jobs_[job].request.resources.amount("cpu")) / double(Resources::unit);
    at(end, Kind::end, index_[node.exact.node], job);
  }

  void task_ended(Node& node, std::size_t job) {
    --open_;
    ++report_.tasks;
    last_end_ = std::max(last_end_, now_);
    stuck_ = 0;
    if (left_[job] != 0) {  // the lease goes on with the next task
      begin(node, job, node.exact.node == jobs_[job].home ? 0 : 2 * options_.hop);
      return;
    }
    node.exact.available += jobs_[job].request.resources;
    schedule(node);
  }

  void publish() {
    ++stuck_;
    ++version_;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      published_.nodes[i].available = nodes_[i].exact.available;
      published_.nodes[i].queued = static_cast<std::uint32_t>(nodes_[i].queue.size());
    }
    for (Node& node : nodes_) {
      if (!node.queue.empty()) schedule(node);
    }
    at(now_ + options_.view_interval, Kind::publish, 0);
  }

  void schedule(Node& node) {
    if (node.queue.empty()) return;
    if (node.seen != version_) {  // nodes that decide nothing need no copy
      node.view.nodes = published_.nodes;
      node.seen = version_;
    }
    NodeView& self = *node.view.find(node.exact.node);
    self.queued = 0;
    Resources room = node.exact.available;
    std::vector<std::size_t> waits;  // jobs of which one request has to wait: so do the others
    for (std::size_t i = node.queue.size(); i > 0; --i) {
      const Waiting waiting = node.queue.front();
      node.queue.pop_front();
      if (left_[waiting.job] == 0) {  // nobody needs it any more
        --asked_[waiting.job];
        continue;
      }
      if (std::find(waits.begin(), waits.end(), waiting.job) != waits.end()) {
        node.queue.push_back(waiting);
        continue;
      }
      Request request = jobs_[waiting.job].request;
      request.order = waiting.order;
      const bool was_sent = waiting.movable > 0 && node.exact.node != jobs_[waiting.job].home;
      request.may_redirect = now_ >= waiting.movable;
      self.available = room;
      const Decision decision = decide_with(policy_, node.view, request);
      ++report_.decisions;
      switch (decision.verdict) {
        case Verdict::grant:
          room -= request.resources;
          node.exact.available -= request.resources;
          --asked_[waiting.job];
          start(node, waiting.job);
          ask(waiting.job);
          break;
        case Verdict::redirect: {
          ++report_.redirects;
          if (was_sent) ++report_.moves;
          NodeView& there = *node.view.find(decision.node);
          there.available -= request.resources;
          if (!there.available.covers(request.resources) && !there.total.covers(request.resources)) ++there.queued;
          at(now_ + 2 * options_.hop, Kind::arrive, index_[decision.node], waiting.job, true);
          break;
        }
        case Verdict::queue:
          room -= request.resources;
          waits.push_back(waiting.job);
          node.queue.push_back(waiting);
          break;
        case Verdict::infeasible:
          open_ -= left_[waiting.job];
          left_[waiting.job] = 0;
          --asked_[waiting.job];
          break;
      }
    }
  }

  const ModelOptions options_;
  const Decide policy_ = options_.policy == nullptr ? policies().front().decide : options_.policy;
  const std::vector<Job> jobs_;
  std::vector<Node> nodes_;
  std::unordered_map<NodeId, std::size_t> index_;
  View published_;
  std::uint64_t version_ = 0;
  std::vector<std::uint64_t> left_;   // tasks of a job that have not begun
  std::vector<std::uint64_t> asked_;  // lease requests of a job without an answer
  std::uint64_t open_ = 0;
  std::priority_queue<Event> events_;
  std::uint64_t order_ = 0;
  std::uint64_t arrivals_ = 0;
  std::uint64_t stuck_ = 0;  // views without a task that ended
  double now_ = 0;
  double busy_ = 0;
  double last_end_ = 0;
  ModelReport report_;
};

}  // namespace

ModelReport run_model(const std::vector<NodeView>& nodes, std::vector<Job> jobs, const ModelOptions& options) {
  return Model(nodes, std::move(jobs), options).run();
}

}  // namespace mobula::scheduler
