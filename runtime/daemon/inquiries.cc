#include "runtime/daemon/inquiries.h"

#include <spdlog/logger.h>

#include <algorithm>
#include <utility>

#include "runtime/control/control.h"
#include "runtime/node/node.h"

namespace mobula::daemon {

Inquiries::Inquiries(NodeId self, const std::filesystem::path& logs, const std::string& folder_name,
                     std::shared_ptr<spdlog::logger> log, InquirySink& sink)
    : self_(self), log_(std::move(log)), sink_(sink), logs_(logs, folder_name) {}

void Inquiries::use_programs(const std::filesystem::path& cache, const std::string& own_build_id) {
  programs_.emplace(cache);
  programs_->know(own_build_id, "/proc/self/exe");
  fetches_.emplace(*programs_, self_);
}

void Inquiries::run_jobs(EventLoop& loop, JobsOptions options) {
  jobs_.emplace(loop, *programs_, std::move(options), log_);
}

void Inquiries::on_question(NodeId from, std::span<const std::byte> payload, const Standing& standing) {
  const bool member = std::ranges::any_of(standing.members, [&](const auto& peer) { return peer.node == from; });
  if (!member) visitors_.insert(from);
  const auto question = decode_question(payload);
  if (!question) {
    log_->error("a question of {} bytes from {} cannot be read", payload.size(), to_string(from));
    return;
  }
  sink_.send_inquiry(from, FrameKind::answer, encode(answer_to(from, *question, standing)));
}

Answer Inquiries::answer_to(NodeId from, const Question& question, const Standing& standing) {
  const auto& [node, control, members, now] = standing;
  Answer answer{.id = question.id, .number = 0, .error = {}, .rows = {}};
  if (question.topic == Topic::program && programs_) return programs_->chunk(question);
  if (jobs_ && question.topic == Topic::job) return jobs_->answer(from, question, now);
  if (question.topic == Topic::logs) return logs_.read(question);
  if (node != nullptr && question.topic == Topic::details) return reports_->details(question, *node, control, now);
  if (node != nullptr && question.topic == Topic::stacks) return reports_->stacks(question, *node, now);
  if (node != nullptr && question.topic == Topic::timeline) return reports_->timeline(from, question, *node, now);
  answer.error = "it does not know this question: another version of mobula runs there";
  return answer;
}

void Inquiries::on_answer(NodeId from, std::span<const std::byte> payload) {
  const auto answer = decode_answer(payload);
  if (answer && fetches_) fetches_->on_answer(from, *answer);
}

void Inquiries::on_workers_asked(NodeId by, const std::string& build_id) {
  if (fetches_) program_asker_[build_id] = by;
}

void Inquiries::on_members(const std::vector<wire::NodeView>& members) {
  for (const wire::NodeView& node : members) visitors_.erase(node.node);
}

void Inquiries::on_node_died(NodeId node, const std::string& reason) {
  if (fetches_) fetches_->lost(node, "it has died: " + reason);
}

bool Inquiries::on_disconnected(NodeId node) {
  if (visitors_.erase(node) == 0) return false;
  if (fetches_) fetches_->lost(node, "it hung up");
  return true;
}

void Inquiries::on_timer(Time now) {
  if (reports_->next_timer() <= now) reports_->on_timer(now);
  if (jobs_ && jobs_->next_timer() <= now) jobs_->on_timer(now);
}

Time Inquiries::next_timer() const {
  return std::min(reports_->next_timer(), jobs_ ? jobs_->next_timer() : never);
}

void Inquiries::fetch_programs(WorkerPool& pool, const std::vector<wire::NodeView>& members) {
  if (!fetches_) return;
  for (const std::string& build_id : pool.take_wanted()) {
    // Drivers first: they run what they ask for.
    std::vector<NodeId> others;
    for (const bool passing : {true, false}) {
      for (const wire::NodeView& peer : members) {
        if (peer.passing == passing) others.push_back(peer.node);
      }
    }
    fetches_->want(build_id, program_asker_[build_id], others);
  }
  if (jobs_) {
    for (const auto& [build_id, asker] : jobs_->take_wanted()) fetches_->want(build_id, asker, {});
  }
  for (bool again = true; again;) {
    again = false;
    for (const ProgramFetches::Ask& ask : fetches_->take_asks()) {
      again = true;
      if (!sink_.send_inquiry(ask.to, FrameKind::ask, encode(ask.question))) {
        fetches_->lost(ask.to, "there is no way to it");
      }
    }
  }
  for (const ProgramFetches::End& end : fetches_->take_ends()) {
    if (end.file.ok()) {
      log_->info("the program of build-id {} came from another machine: {}", end.build_id, *end.file);
      pool.program_here(end.build_id, *end.file);
      if (jobs_) jobs_->program_here(end.build_id, *end.file);
    } else {
      pool.program_missing(end.build_id, end.file.error().message);
      if (jobs_) jobs_->program_missing(end.build_id, end.file.error().message);
    }
  }
}

}  // namespace mobula::daemon
