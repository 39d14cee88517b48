#include "runtime/daemon/jobs.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/logger.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "runtime/daemon/job_output.h"
#include "runtime/daemon/job_process.h"
#include "runtime/daemon/private_folder.h"
#include "runtime/daemon/worker_logs.h"

namespace mobula::daemon {
namespace {

constexpr Duration grace = std::chrono::seconds(5);
constexpr std::size_t most_ended = 100;
constexpr std::size_t most_running = 100;                       // each takes six descriptors
constexpr std::size_t most_answer_part = std::size_t{1} << 20;  // of each stream in one answer
constexpr std::size_t block = std::size_t{64} << 10;            // as much as a pipe holds
constexpr int most_blocks = 16;  // read at a time, so that one that prints without end does not hold up the loop

std::string reason(int error) {
  return std::generic_category().message(error);
}

std::uint64_t offset_in(const Question& question, std::size_t word) {
  return word < question.words.size() ? std::strtoull(question.words[word].c_str(), nullptr, 10) : 0;
}

// This process's environment with these in it.
std::vector<std::string> environment_with(const std::map<std::string, std::string>& more) {
  std::vector<std::string> all;
  for (char** at = environ; *at != nullptr; ++at) {
    const std::string_view one(*at);
    if (!more.contains(std::string(one.substr(0, one.find('='))))) all.emplace_back(one);
  }
  for (const auto& [name, value] : more) all.push_back(name + "=" + value);
  return all;
}

}  // namespace

struct Jobs::Job {
  enum class State { fetching, running, ended, failed };
  std::string id, build_id;
  std::vector<std::string> words;  // its name and arguments
  State state = State::fetching;
  std::string why;
  std::filesystem::path folder;
  pid_t pid = 0;
  process::Fd pidfd;
  JobGuard guard;
  std::unique_ptr<EventLoop::Watch> watch;
  struct Stream {
    process::Fd pipe;  // what it prints
    std::unique_ptr<EventLoop::Watch> watch;
    std::optional<JobOutput> kept;
    void close() {
      watch.reset();
      pipe.reset();
    }
  };
  std::array<Stream, 2> streams;
  int status = 0;
  bool cancelled = false;
  Time since{}, until = never, kill_due = never;
  std::uint64_t order = 0;

  const char* state_name() const {
    constexpr std::array names{"fetching", "running", "ended", "failed"};
    return names[static_cast<std::size_t>(state)];
  }
  bool over() const { return state == State::ended || state == State::failed; }
  Stream& stream(int number) { return streams[static_cast<std::size_t>(number - 1)]; }
  std::optional<JobOutput>& kept(int number) { return stream(number).kept; }
};

Jobs::Jobs(EventLoop& loop, const ProgramStore& programs, JobsOptions options, std::shared_ptr<spdlog::logger> log)
    : loop_(loop), programs_(programs), options_(std::move(options)), log_(std::move(log)) {}

Jobs::~Jobs() {
  for (auto& [id, job] : jobs_) signal(*job, SIGTERM);
  const Time until = steady_now() + std::chrono::seconds(1);
  for (auto& [id, job] : jobs_) {
    if (job->state != Job::State::running) continue;
    wait_for_end(*job, until);
    signal(*job, SIGKILL);
    job->guard.end();
    waitpid(job->pid, nullptr, 0);
  }
}

// Reads on: who prints must not wait for ever.
void Jobs::wait_for_end(Job& job, Time until) {
  for (bool over = false; !over && steady_now() < until;) {
    std::array<pollfd, 3> fds{{{job.pidfd.get(), POLLIN, 0}, {-1, POLLIN, 0}, {-1, POLLIN, 0}}};
    for (const int number : {1, 2}) fds[static_cast<std::size_t>(number)].fd = job.stream(number).pipe.get();
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_now()).count();
    if (::poll(fds.data(), fds.size(), static_cast<int>(std::max<std::int64_t>(0, left))) < 0 && errno != EINTR) return;
    for (const int number : {1, 2}) {
      if (fds[static_cast<std::size_t>(number)].revents != 0) read_output(job, number);
    }
    over = fds[0].revents != 0;
  }
}

void Jobs::signal(const Job& job, int number) const {
  if (job.state == Job::State::running) ::kill(-job.pid, number);
}

Answer Jobs::answer(NodeId asker, const Question& question, Time now) {
  Answer answer{.id = question.id, .number = 0, .error = {}, .rows = {}};
  const std::string verb = question.words.empty() ? std::string() : question.words[0];
  if (verb == "submit") return submit(asker, question, now);
  if (verb == "list") {
    for (const auto& [id, job] : jobs_) {
      answer.rows.push_back(
          {id, job->words[0], job->state_name(), std::to_string(job->status),
           fmt::format("{:.3f}", std::chrono::duration<double>(std::min(now, job->until) - job->since).count())});
    }
    return answer;
  }
  const auto at = jobs_.find(question.words.size() > 1 ? question.words[1] : std::string());
  if (at == jobs_.end()) {
    answer.error = "the head knows no such job; `mobula jobs` lists them";
    return answer;
  }
  Job& job = *at->second;
  if (verb == "cancel") {
    if (job.state == Job::State::fetching) {
      fail(job, "cancelled before it was started");
    } else if (job.state == Job::State::running && !job.cancelled) {
      signal(job, SIGTERM);
      job.cancelled = true;
      job.kill_due = now + grace;
    }
  } else if (verb != "state") {
    answer.error = "it does not know this question: another version of mobula runs there";
    return answer;
  }
  std::array<JobOutput::Part, 2> parts;
  bool more = false;
  for (const int stream : {1, 2}) {
    if (verb != "state" || !job.kept(stream)) continue;
    JobOutput::Part& part = parts[static_cast<std::size_t>(stream - 1)];
    part = job.kept(stream)->read(offset_in(question, static_cast<std::size_t>(stream + 1)), most_answer_part);
    more = more || (!part.text.empty() && part.from + part.text.size() < job.kept(stream)->end());
  }
  auto& [out, err] = parts;
  // Who has not read all is told of the end later.
  answer.rows.push_back({job.over() && more ? "running" : job.state_name(), std::to_string(job.status), job.why,
                         std::move(out.text), std::move(err.text), std::to_string(out.from), std::to_string(err.from)});
  return answer;
}

Answer Jobs::submit(NodeId asker, const Question& question, Time now) {
  Answer answer{.id = question.id, .number = 0, .error = {}, .rows = {}};
  if (question.words.size() < 3 || !is_build_id(question.words[1]) || question.words[2].empty()) {
    answer.error = "this is no program to run";
    return answer;
  }
  forget_oldest();
  if (jobs_.size() >= most_ended + most_running) {
    answer.error = fmt::format("the head runs {} jobs already: let some end (`mobula jobs ID --cancel`)", most_running);
    return answer;
  }
  auto job = std::make_unique<Job>();
  job->order = ++last_;
  job->id = fmt::format("job{}", job->order);
  job->build_id = question.words[1];
  job->words.assign(question.words.begin() + 2, question.words.end());
  job->since = now;
  Job& made = *jobs_.emplace(job->id, std::move(job)).first->second;
  log_->info("{}: {} was submitted", made.id, made.words[0]);
  if (const std::string file = programs_.cached(made.build_id); !file.empty()) {
    start(made, file);
  } else {
    wanted_.emplace_back(made.build_id, asker);
  }
  answer.rows = {{made.id}};
  return answer;
}

void Jobs::program_here(const std::string& build_id, const std::string& file) {
  for (auto& [id, job] : jobs_) {
    if (job->build_id == build_id && job->state == Job::State::fetching) start(*job, file);
  }
}

void Jobs::program_missing(const std::string& build_id, const std::string& why) {
  for (auto& [id, job] : jobs_) {
    if (job->build_id != build_id || job->state != Job::State::fetching) continue;
    fail(*job, "its program did not arrive: " + why);
  }
}

void Jobs::fail(Job& job, std::string why) {
  job.state = Job::State::failed;
  job.until = steady_now();
  job.why = std::move(why);
  log_->warn("{}: {}", job.id, job.why);
}

void Jobs::start(Job& job, const std::string& file) {
  job.folder = options_.folder / job.id;
  if (const auto folder = private_folder(job.folder); !folder) return fail(job, folder.error().message);
  if (!held_.valid()) held_ = hold_log_folder(options_.folder);
  auto process = start_job(
      {.file = file,
       .words = job.words,
       .environment = environment_with({{"MOBULA_ADDRESS", options_.address}, {"MOBULA_KEYS", options_.keys}}),
       .folder = job.folder});
  if (!process.ok()) return fail(job, process.error().message);
  job.pid = process->pid;
  job.guard = std::move(process->guard);
  try {
    job.pidfd = process::Fd(static_cast<int>(syscall(SYS_pidfd_open, job.pid, 0)));
    if (!job.pidfd.valid()) throw std::runtime_error(reason(errno));
    job.watch = loop_.watch(job.pidfd.get(), [this, &job] { reap(job); });
    for (const int number : {1, 2}) {
      Job::Stream& stream = job.stream(number);
      stream.pipe = std::move(number == 1 ? process->output : process->errors);
      stream.kept.emplace(job.folder / (number == 1 ? "stdout" : "stderr"), options_.most_output);
      stream.watch = loop_.watch(stream.pipe.get(), [this, &job, number] { read_output(job, number); });
    }
  } catch (const std::exception& e) {
    job.watch.reset();
    for (Job::Stream& stream : job.streams) stream.close();
    ::kill(-job.pid, SIGKILL);
    job.guard.end();
    waitpid(job.pid, nullptr, 0);
    return fail(job, fmt::format("cannot watch {}: {}", job.words[0], e.what()));
  }
  job.state = Job::State::running;
}

void Jobs::read_output(Job& job, int number) {
  Job::Stream& stream = job.stream(number);
  std::string text(block, '\0');
  for (int i = 0; i < most_blocks && stream.pipe.valid(); ++i) {
    const ssize_t size = read(stream.pipe.get(), text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {  // nobody can write any more
      stream.close();
      return;
    }
    stream.kept->append(std::string_view(text).substr(0, static_cast<std::size_t>(size)));
  }
}

void Jobs::reap(Job& job) {
  siginfo_t ended{};
  if (job.state != Job::State::running ||
      waitid(P_PID, static_cast<id_t>(job.pid), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid != job.pid) {
    return;
  }
  // What it has started ends with it. (Before its number is free for others.)
  ::kill(-job.pid, SIGKILL);
  job.guard.end();
  int status = 0;
  waitpid(job.pid, &status, 0);
  for (const int number : {1, 2}) {
    read_output(job, number);
    job.stream(number).close();
  }
  job.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (WIFSIGNALED(status)) job.why = fmt::format("killed by SIG{}", sigabbrev_np(WTERMSIG(status)));
  job.state = Job::State::ended;
  job.until = steady_now();
  job.kill_due = never;
  job.pidfd.reset();
  log_->info("{}: {} ended with status {}", job.id, job.words[0], job.status);
  job.watch.reset();
}

void Jobs::forget_oldest() {
  std::vector<const Job*> over;
  for (const auto& [id, job] : jobs_) {
    if (job->over()) over.push_back(job.get());
  }
  std::ranges::sort(over, {}, [](const Job* job) { return job->order; });
  for (std::size_t i = 0; i + most_ended <= over.size(); ++i) {
    std::error_code none;
    if (!over[i]->folder.empty()) std::filesystem::remove_all(over[i]->folder, none);
    jobs_.erase(std::string(over[i]->id));
  }
}

void Jobs::on_timer(Time now) {
  for (auto& [id, job] : jobs_) {
    if (now < job->kill_due) continue;
    job->kill_due = never;
    signal(*job, SIGKILL);
  }
}

Time Jobs::next_timer() const {
  Time next = never;
  for (const auto& [id, job] : jobs_) next = std::min(next, job->kill_due);
  return next;
}

}  // namespace mobula::daemon
