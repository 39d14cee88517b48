// Who waits for what, since when: the owner's part of an explanation. Nothing here is on the path of a call.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/owner/owner_impl.h"

namespace mobula {

namespace {
constexpr std::size_t most_lines = 200;  // of one answer
constexpr std::size_t deepest = 8;       // of arguments of arguments

std::string since(Time then, Time now) {
  return fmt::format("{:.1f} s", std::chrono::duration<double>(now - then).count());
}
// By its name, or by that without namespaces and classes.
bool is_called(const std::string& name, const std::string& subject) {
  return name == subject || name.ends_with("::" + subject);
}
}  // namespace

std::uint64_t Owner::Impl::ask_why(RefHandle ref, Time now) {
  wire::Why question;
  question.id = ++last_question_;
  question.asker = self_;
  Question& answer = questions_[question.id];
  answer.open = 0;
  answer.open += explain(ref, answer.lines, "", question, now);
  return question.id;
}

std::uint64_t Owner::Impl::ask_why(const std::string& subject) {
  const std::uint64_t id = ++last_question_;
  questions_[id];
  sink_.send(node_process(self_.node), wire::Why{id, self_, subject, 0, {}});
  return id;
}

std::optional<std::vector<std::string>> Owner::Impl::take_why(std::uint64_t question, bool late) {
  const auto found = questions_.find(question);
  if (found == questions_.end() || (found->second.open != 0 && !late)) return {};
  std::vector<std::string> lines = std::move(found->second.lines);
  questions_.erase(found);
  return lines;
}

void Owner::Impl::on_why_answer(const wire::WhyAnswer& message) {
  const auto found = questions_.find(message.id);
  if (found == questions_.end()) return;  // it came too late
  Question& question = found->second;
  question.lines.insert(question.lines.end(), message.lines.begin(), message.lines.end());
  question.open += message.more;
  --question.open;
}

void Owner::Impl::on_why(const wire::Why& message, Time now) {
  wire::WhyAnswer answer{message.id, {}, 0};
  std::vector<RefHandle> meant;
  refs_.for_each([&](RefHandle ref, RefEntry& entry) {
    if (!entry.owned() || meant.size() >= 20) return;
    const TaskEntry* task = tasks_.find(entry.task);
    bool same = to_string(id(ref)) == message.subject;
    if (!same && task != nullptr) same = is_called(name_of(*task), message.subject);
    if (!same && entry.actor() != nullptr) {
      const ActorOptions& options = entry.actor()->options;
      same = is_called(options.name, message.subject) || options.registered.name == message.subject;
    }
    if (same) meant.push_back(ref);
  });
  for (const RefHandle ref : meant) answer.more += explain(ref, answer.lines, "", message, now);
  sink_.send(message.asker, std::move(answer));
}

std::uint32_t Owner::Impl::explain(RefHandle ref, std::vector<std::string>& lines, const std::string& indent,
                                   const wire::Why& question, Time now) {
  if (lines.size() >= most_lines || indent.size() > 2 * deepest) return 0;
  const RefEntry& entry = refs_[ref];
  const std::string name = to_string(id(ref));
  if (entry.actor() != nullptr && entry.owned()) return explain_actor(ref, lines, indent, question, now);
  if (entry.state == RefState::error) {
    lines.push_back(fmt::format("{}{} failed: {}", indent, name, entry.extra->error.message));
    return 0;
  }
  if (entry.state != RefState::pending) {
    lines.push_back(
        fmt::format("{}{} is ready{}", indent, name,
                    entry.state == RefState::object
                        ? fmt::format(": {} bytes on node {}", entry.location.bytes, to_string(entry.location.node))
                        : ""));
    return 0;
  }
  if (!entry.owned()) {
    const RefId& foreign = entry.extra->foreign;
    lines.push_back(fmt::format("{}{} belongs to process {}, which says:", indent, name, to_string(foreign.owner)));
    sink_.send(foreign.owner, wire::Why{question.id, question.asker, to_string(foreign), 0, {}});
    return 1;
  }
  const TaskEntry* task = tasks_.find(entry.task);
  if (task == nullptr) {
    lines.push_back(fmt::format("{}{} is not made by any task", indent, name));
    return 0;
  }
  return explain_task(*task, lines, indent, question, now);
}

std::uint32_t Owner::Impl::explain_task(const TaskEntry& task, std::vector<std::string>& lines,
                                        const std::string& indent, const wire::Why& question, Time now) {
  const auto say = [&](const std::string& what) {
    lines.push_back(fmt::format("{}{} ({}){}: {}", indent, name_of(task), to_string(id(task.result)),
                                task.attempt > 1 ? fmt::format(", attempt {}", task.attempt) : "", what));
  };
  std::uint32_t answers = 0;
  if (task.waiting_deps != 0) {
    say(fmt::format("waits since {} for {} of its arguments:", since(task.since, now), task.waiting_deps));
    for (const RefHandle ref : task.deps) {
      if (refs_[ref].state == RefState::pending) answers += explain(ref, lines, indent + "  ", question, now);
    }
    return answers;
  }
  if (task.kind == wire::CallKind::actor_call) {
    const RefEntry& home = refs_[task.actor];
    const ActorEntry& actor = *home.actor();
    if (task.state == TaskEntry::State::sent) {
      say(
          fmt::format("was sent {} ago to worker {}; calls of the actor run in order, {} of this process were sent "
                      "and have not ended",
                      since(task.since, now), to_string(actor.worker), actor.in_flight.size()));
      return 0;
    }
    if (task.state == TaskEntry::State::logging) {
      say("was answered; the process that owns the actor has not yet said that it has logged the call");
      return 0;
    }
    const auto before = std::count_if(actor.queue.begin(), actor.queue.end(), [&](TaskHandle handle) {
      const TaskEntry* other = tasks_.find(handle);
      return other != nullptr && other->order < task.order;
    });
    say(fmt::format("waits since {} for its actor{}:", since(task.since, now),
                    before == 0 ? std::string() : fmt::format(", behind {} calls", before)));
    if (home.owned()) return explain_actor(task.actor, lines, indent + "  ", question, now);
    lines.push_back(fmt::format("{}  the actor belongs to process {}, which was asked where it is, and says:", indent,
                                to_string(home.extra->foreign.owner)));
    sink_.send(home.extra->foreign.owner,
               wire::Why{question.id, question.asker, to_string(home.extra->foreign), 0, {}});
    return 1;
  }
  const SchedulingClass& cls = classes_[scheduling_class_of_[task.task_class]];
  if (task.state == TaskEntry::State::sent) {
    const LeaseEntry* lease = leases_.find(task.lease);
    if (lease == nullptr) return 0;
    say(
        fmt::format("was sent to worker {} on {}, which has {} task(s) of this process{}; until a worker has begun, "
                    "another one that runs dry takes it",
                    to_string(lease->worker), lease->local ? "this node" : to_string(lease->worker.node),
                    lease->in_flight_count, lease->blocked ? " and waits for others" : ""));
    return 0;
  }
  say(fmt::format(
      "waits since {} for a worker with {}; {} task(s) of its kind wait, {} run or are about to on {} worker(s), "
      "{} more were asked for",
      since(task.since, now), to_string(cls.options.resources), cls.queued, cls.in_flight, cls.leases.size(),
      cls.asked_total));
  for (const auto& [node, count] : cls.asked) {
    sink_.send(node_process(node),
               wire::Why{question.id, question.asker, {}, scheduling_class_of_[task.task_class], self_});
    ++answers;
  }
  return answers;
}

std::uint32_t Owner::Impl::explain_actor(RefHandle ref, std::vector<std::string>& lines, const std::string& indent,
                                         const wire::Why& question, Time now) {
  const ActorEntry& actor = *refs_[ref].actor();
  const TaskEntry* creation = tasks_.find(actor.creation);
  const std::string label =
      fmt::format("{}{} ({})", indent, creation != nullptr ? name_of(*creation) : "actor", to_string(id(ref)));
  switch (actor.life) {
    case ActorEntry::Life::foreign:
      break;
    case ActorEntry::Life::waiting: {
      if (actor.naming) {
        lines.push_back(
            fmt::format("{}: waits for the head to give it the name '{}'", label, actor.options.registered.name));
        return 0;
      }
      lines.push_back(fmt::format("{}: its constructor waits for arguments:", label));
      std::uint32_t answers = 0;
      for (const RefHandle dependency : creation->deps) {
        if (refs_[dependency].state == RefState::pending) {
          answers += explain(dependency, lines, indent + "  ", question, now);
        }
      }
      return answers;
    }
    case ActorEntry::Life::leasing:
      lines.push_back(fmt::format("{}: waits since {} for a worker of its own with {}", label,
                                  since(creation->since, now), to_string(actor.options.resources)));
      sink_.send(node_process(actor.asked_node), wire::Why{question.id, question.asker, {}, actor_tag(ref), self_});
      return 1;
    case ActorEntry::Life::creating:
      lines.push_back(fmt::format("{}: its constructor was sent to worker {}", label, to_string(actor.worker)));
      return 0;
    case ActorEntry::Life::resuming:
      lines.push_back(fmt::format("{}: resumes in worker {}: {} of {} logged calls were sent to it again", label,
                                  to_string(actor.worker), actor.state->replayed, actor.state->log.size()));
      return 0;
    case ActorEntry::Life::alive:
      lines.push_back(
          fmt::format("{}: lives in worker {}, incarnation {}; {} call(s) of this process have not ended, {} wait",
                      label, to_string(actor.worker), actor.incarnation, actor.in_flight.size(), actor.queue.size()));
      return 0;
    case ActorEntry::Life::dead:
      lines.push_back(fmt::format("{}: is dead: {}", label, actor.death.message));
      return 0;
  }
  return 0;
}

}  // namespace mobula
