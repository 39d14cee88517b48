// What a node answers when others ask it about itself (inquiry.h), and what it asks them for: the files of programs.
#pragma once

#include <spdlog/fwd.h>

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "runtime/base/bytes.h"
#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/daemon/event_loop.h"
#include "runtime/daemon/frame.h"
#include "runtime/daemon/inquiry.h"
#include "runtime/daemon/jobs.h"
#include "runtime/daemon/program_store.h"
#include "runtime/daemon/reports.h"
#include "runtime/daemon/worker_logs.h"
#include "runtime/daemon/worker_pool.h"
#include "runtime/net/segment.h"
#include "runtime/wire/message.h"

namespace mobula::daemon {

class InquirySink {
 public:
  // False: there is no way to it.
  virtual bool send_inquiry(NodeId to, FrameKind kind, const Bytes& payload) = 0;

 protected:
  ~InquirySink() = default;
};

// What answers are made of, as it stands when the question comes.
struct Standing {
  const Node* node = nullptr;        // null: not joined yet
  const Control* control = nullptr;  // of the head
  const std::vector<wire::NodeView>& members;
  Time now{};
};

class Inquiries {
 public:
  // What workers print is kept in a folder `folder_name` in `logs` (empty: nowhere).
  Inquiries(NodeId self, const std::filesystem::path& logs, const std::string& folder_name,
            std::shared_ptr<spdlog::logger> log, InquirySink& sink);

  // ---- while the node is made
  // Of a member of a cluster: it sends and fetches programs, its own among them. What comes is kept in `cache`.
  void use_programs(const std::filesystem::path& cache, const std::string& own_build_id);
  void use_workers(WorkerPool& pool, net::Segment& segment) { reports_.emplace(pool, segment); }
  // Of a head's daemon.
  void run_jobs(EventLoop& loop, JobsOptions options);
  // All that run, before the rest of the node.
  void end_jobs() { jobs_.reset(); }

  ProgramStore* programs() { return programs_ ? &*programs_ : nullptr; }  // null: of no cluster
  WorkerLogs& logs() { return logs_; }

  // ---- what happens
  void on_question(NodeId from, std::span<const std::byte> payload, const Standing& standing);
  void on_answer(NodeId from, std::span<const std::byte> payload);
  // Who asks for workers of a program most likely has its file.
  void on_workers_asked(NodeId by, const std::string& build_id);
  // These are no visitors, who are forgotten when they hang up.
  void on_members(const std::vector<wire::NodeView>& members);
  void on_node_died(NodeId node, const std::string& reason);
  // Whether it was a visitor.
  bool on_disconnected(NodeId node);
  void on_timer(Time now);
  Time next_timer() const;

  // Brings what workers of the pool and jobs wait for. To be called after each step of the loop.
  void fetch_programs(WorkerPool& pool, const std::vector<wire::NodeView>& members);

 private:
  Answer answer_to(NodeId from, const Question& question, const Standing& standing);

  const NodeId self_;
  const std::shared_ptr<spdlog::logger> log_;
  InquirySink& sink_;
  WorkerLogs logs_;
  std::optional<ProgramStore> programs_;
  std::optional<ProgramFetches> fetches_;
  std::optional<Reports> reports_;
  std::optional<Jobs> jobs_;
  std::map<std::string, NodeId> program_asker_;  // who asked last for workers of this build
  std::set<NodeId> visitors_;                    // that only asked
};

}  // namespace mobula::daemon
