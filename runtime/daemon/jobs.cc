#include "runtime/daemon/jobs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <spdlog/logger.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <stdexcept>
#include <string_view>
#include <system_error>

#include "runtime/daemon/private_folder.h"
#include "runtime/daemon/worker_logs.h"

namespace mobula::daemon {
namespace {

constexpr Duration grace = std::chrono::seconds(5);
constexpr std::size_t most_ended = 100;
constexpr std::size_t most_running = 200;                  // each takes two descriptors
constexpr std::size_t most_output = std::size_t{1} << 20;  // of each stream in one answer

std::string reason(int error) {
  return std::generic_category().message(error);
}

std::string read_from(const std::filesystem::path& file, std::uint64_t offset) {
  const process::Fd fd(open(file.c_str(), O_RDONLY | O_CLOEXEC));
  std::string text(most_output, '\0');
  const ssize_t size = fd.valid() ? pread(fd.get(), text.data(), text.size(), static_cast<off_t>(offset)) : 0;
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  return text;
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

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

struct SpawnActions {
  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
  SpawnActions() {
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
};

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
  std::unique_ptr<EventLoop::Watch> watch;
  int status = 0;
  bool cancelled = false;
  Time since{}, kill_due = never;
  std::uint64_t order = 0;

  const char* state_name() const {
    constexpr std::array names{"fetching", "running", "ended", "failed"};
    return names[static_cast<std::size_t>(state)];
  }
  bool over() const { return state == State::ended || state == State::failed; }
  std::filesystem::path output(int stream) const { return folder / (stream == 1 ? "stdout" : "stderr"); }
};

Jobs::Jobs(EventLoop& loop, const ProgramStore& programs, JobsOptions options, std::shared_ptr<spdlog::logger> log)
    : loop_(loop), programs_(programs), options_(std::move(options)), log_(std::move(log)) {}

Jobs::~Jobs() {
  for (auto& [id, job] : jobs_) signal(*job, SIGTERM);
  const Time until = steady_now() + std::chrono::seconds(1);
  for (auto& [id, job] : jobs_) {
    if (job->state != Job::State::running) continue;
    pollfd end{job->pidfd.get(), POLLIN, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - steady_now()).count();
    ::poll(&end, 1, static_cast<int>(std::max<std::int64_t>(0, left)));
    signal(*job, SIGKILL);
    waitpid(job->pid, nullptr, 0);
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
      answer.rows.push_back({id, job->words[0], job->state_name(), std::to_string(job->status),
                             fmt::format("{:.3f}", std::chrono::duration<double>(now - job->since).count())});
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
      job.state = Job::State::failed;
      job.why = "cancelled before it was started";
    } else if (job.state == Job::State::running && !job.cancelled) {
      signal(job, SIGTERM);
      job.cancelled = true;
      job.kill_due = now + grace;
    }
  } else if (verb != "state") {
    answer.error = "it does not know this question: another version of mobula runs there";
    return answer;
  }
  // First whether it has ended, then what it printed: nothing is missed.
  const bool over = job.over();
  std::string out, err;
  if (verb == "state" && !job.folder.empty()) {
    out = read_from(job.output(1), question.number >> 32);
    err = read_from(job.output(2), question.number & 0xffffffffu);
  }
  const bool more = out.size() == most_output || err.size() == most_output;
  answer.rows.push_back({over && more ? "running" : job.state_name(), std::to_string(job.status), job.why,
                         std::move(out), std::move(err)});
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
    job->state = Job::State::failed;
    job->why = "its program did not arrive: " + why;
  }
}

void Jobs::start(Job& job, const std::string& file) {
  const auto failed = [&](const std::string& why) {
    job.state = Job::State::failed;
    job.why = why;
    log_->warn("{}: {}", job.id, why);
  };
  job.folder = options_.folder / job.id;
  if (const auto folder = private_folder(job.folder); !folder) return failed(folder.error().message);
  if (!held_.valid()) held_ = hold_log_folder(options_.folder);
  SpawnActions how;
  posix_spawn_file_actions_addopen(&how.files, 0, "/dev/null", O_RDONLY, 0);
  for (const int stream : {1, 2}) {
    posix_spawn_file_actions_addopen(&how.files, stream, job.output(stream).c_str(),
                                     O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_NOFOLLOW, 0600);
  }
  posix_spawn_file_actions_addchdir_np(&how.files, job.folder.c_str());
  // This daemon blocks the signals that end it; its jobs must not.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&how.attributes, &none);
  posix_spawnattr_setsigdefault(&how.attributes, &all);
  posix_spawnattr_setflags(&how.attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  auto environment = environment_with({{"MOBULA_ADDRESS", options_.address}, {"MOBULA_KEYS", options_.keys}});
  const int error = posix_spawn(&job.pid, file.c_str(), &how.files, &how.attributes, pointers(job.words).data(),
                                pointers(environment).data());
  if (error != 0) return failed(fmt::format("cannot run {}: {}", job.words[0], reason(error)));
  job.pidfd = process::Fd(static_cast<int>(syscall(SYS_pidfd_open, job.pid, 0)));
  try {
    if (!job.pidfd.valid()) throw std::runtime_error(reason(errno));
    job.watch = loop_.watch(job.pidfd.get(), [this, &job] { reap(job); });
  } catch (const std::exception& e) {
    ::kill(-job.pid, SIGKILL);
    waitpid(job.pid, nullptr, 0);
    return failed(fmt::format("cannot watch {}: {}", job.words[0], e.what()));
  }
  job.state = Job::State::running;
}

void Jobs::reap(Job& job) {
  siginfo_t ended{};
  if (job.state != Job::State::running ||
      waitid(P_PID, static_cast<id_t>(job.pid), &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid != job.pid) {
    return;
  }
  // What it has started ends with it. (Before its number is free for others.)
  ::kill(-job.pid, SIGKILL);
  int status = 0;
  waitpid(job.pid, &status, 0);
  job.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  if (WIFSIGNALED(status)) job.why = fmt::format("killed by SIG{}", sigabbrev_np(WTERMSIG(status)));
  job.state = Job::State::ended;
  job.kill_due = never;
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
