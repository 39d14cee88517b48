#include "runtime/daemon/job_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

namespace mobula::daemon {
namespace {

// A descriptor that is in nobody's way when 0, 1 and 2 are made.
process::Fd above_standard(int fd) {
  if (fd < 0 || fd > 2) return process::Fd(fd);
  const process::Fd low(fd);
  return process::Fd(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

struct Pipe {
  process::Fd read, write;
  Pipe() {
    int ends[2] = {-1, -1};
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    read = above_standard(ends[0]);
    write = above_standard(ends[1]);
  }
  bool valid() const { return read.valid() && write.valid(); }
};

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> all;
  for (const std::string& word : words) all.push_back(const_cast<char*>(word.c_str()));
  all.push_back(nullptr);
  return all;
}

// All that the child needs, made before the fork: other threads of the parent may hold locks then.
struct Child {
  pid_t parent;
  const char *file, *folder;
  char *const *words, *const *environment;
  int input, output, errors, failed;

  // Only what a forked child of a process with threads may call. Does not return.
  [[noreturn]] void run() const {
    setsid();
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(1);  // it has died meanwhile
    struct sigaction standard {};
    standard.sa_handler = SIG_DFL;
    for (int number = 1; number < NSIG; ++number) sigaction(number, &standard, nullptr);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    if (dup2(input, 0) == 0 && dup2(output, 1) == 1 && dup2(errors, 2) == 2 && chdir(folder) == 0) {
      execve(file, words, environment);
    }
    const int error = errno;
    static_cast<void>(!::write(failed, &error, sizeof(error)));
    _exit(127);
  }
};

// The guard's whole life. Only what a forked child of a process with threads may call.
[[noreturn]] void watch_over(pid_t group, const char* group_text, int alive) {
  setsid();
  dup2(alive, 0);  // and nothing else stays open: pipes, locks, the other guards' ends
  close_range(1, ~0u, 0);
  // A shell, so that whoever kills the daemon by its command line does not kill the guard with it.
  execl("/bin/sh", "mobula-guard", "-c", "read -r end; kill -s KILL -- -$1", "mobula-guard", group_text, nullptr);
  char byte = 0;
  ssize_t size = 0;
  do size = ::read(0, &byte, 1);
  while (size > 0 || (size < 0 && errno == EINTR));
  ::kill(-group, SIGKILL);
  _exit(0);
}

class SignalsBlocked {  // no handler of the parent's may run in the child
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

Result<JobGuard> JobGuard::start(pid_t group) {
  const auto failed = [](int error) {
    return Error{.code = ErrorCode::unavailable,
                 .message = "no process can be started to guard it: " + std::generic_category().message(error)};
  };
  Pipe pipe;
  if (!pipe.valid()) return failed(errno);
  const std::string text = std::to_string(group);
  const SignalsBlocked blocked;
  const pid_t pid = fork();
  if (pid == 0) watch_over(group, text.c_str(), pipe.read.get());
  if (pid < 0) return failed(errno);
  JobGuard guard;
  guard.pid_ = pid;
  guard.alive_ = std::move(pipe.write);
  return guard;
}

JobGuard::JobGuard(JobGuard&& other) noexcept : pid_(std::exchange(other.pid_, 0)), alive_(std::move(other.alive_)) {}

JobGuard& JobGuard::operator=(JobGuard&& other) noexcept {
  if (this == &other) return *this;
  end();
  pid_ = std::exchange(other.pid_, 0);
  alive_ = std::move(other.alive_);
  return *this;
}

void JobGuard::end() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(std::exchange(pid_, 0), nullptr, 0);
  alive_.reset();
}

Result<JobProcess> start_job(const JobCommand& command) {
  const auto refused = [&](const std::string& why) {
    return Error{.code = ErrorCode::unavailable, .message = fmt::format("cannot run {}: {}", command.words.at(0), why)};
  };
  const auto failed = [&](int error) { return refused(std::generic_category().message(error)); };
  Pipe output, errors, failure;
  const process::Fd input = above_standard(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!output.valid() || !errors.valid() || !failure.valid() || !input.valid()) return failed(errno);
  const std::vector<char*> words = pointers(command.words), environment = pointers(command.environment);
  const Child child{.parent = getpid(),
                    .file = command.file.c_str(),
                    .folder = command.folder.c_str(),
                    .words = words.data(),
                    .environment = environment.data(),
                    .input = input.get(),
                    .output = output.write.get(),
                    .errors = errors.write.get(),
                    .failed = failure.write.get()};
  pid_t pid = 0;
  {
    const SignalsBlocked blocked;
    pid = fork();
    if (pid == 0) child.run();
  }
  if (pid < 0) return failed(errno);
  for (Pipe* pipe : {&output, &errors, &failure}) pipe->write.reset();
  int error = 0;
  ssize_t size = 0;
  do size = read(failure.read.get(), &error, sizeof(error));
  while (size < 0 && errno == EINTR);
  if (size != 0) {  // (Nothing: the pipe was closed by the program's execution.)
    waitpid(pid, nullptr, 0);
    return failed(size == sizeof(error) ? error : EIO);
  }
  for (Pipe* pipe : {&output, &errors}) fcntl(pipe->read.get(), F_SETFL, O_NONBLOCK);
  Result<JobGuard> guard = JobGuard::start(pid);
  if (!guard.ok()) {
    ::kill(-pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    return refused(guard.error().message);
  }
  return JobProcess{pid, std::move(output.read), std::move(errors.read), std::move(*guard)};
}

}  // namespace mobula::daemon
