// Programs that people gave to a cluster (`mobula submit`): the head's machine runs them, whoever asks or goes.
#pragma once

#include <spdlog/fwd.h>
#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/ids.h"
#include "runtime/base/time.h"
#include "runtime/daemon/event_loop.h"
#include "runtime/daemon/inquiry.h"
#include "runtime/daemon/program_store.h"
#include "runtime/process/fd.h"

namespace mobula::daemon {

struct JobsOptions {
  std::filesystem::path folder;  // for what they print: made with the first of them (0700)
  std::string address, keys;     // of this head, for their environment: MOBULA_ADDRESS, MOBULA_KEYS
  std::uint64_t most_output = std::uint64_t{16} << 20;  // bytes kept of each of the two streams of each
};

// Topic::job. The first word says what is wanted:
//   submit BUILD NAME ARGUMENT...  row: the job's id. The program is fetched from the asker if it is not here
//   state ID OUT ERR               row: state, exit status, why, a part of its standard output from the byte OUT on and
//   of
//                                  its standard error from ERR on, and where these parts begin: later than asked for if
//                                  what was there is no longer kept
//   cancel ID                      asks it to end (SIGTERM), and after 5 s ends it
//   list                           rows: id, name, state, exit status, seconds (until its end)
// States: fetching, running, ended, failed (it was never started: why says it). An exit status is as a shell tells it.
//
// Each job is a session of its own, in a folder of its own. All end with this object, and (SIGKILL) with its thread.
// Kept: the last 100 that ended. For one thread, which is also the one that makes it.
class Jobs {
 public:
  Jobs(EventLoop& loop, const ProgramStore& programs, JobsOptions options, std::shared_ptr<spdlog::logger> log);
  ~Jobs();
  Jobs(const Jobs&) = delete;
  Jobs& operator=(const Jobs&) = delete;

  Answer answer(NodeId asker, const Question& question, Time now);

  // Builds that jobs wait for, and who has them. Each is answered by one of the two below.
  std::vector<std::pair<std::string, NodeId>> take_wanted() { return std::exchange(wanted_, {}); }
  void program_here(const std::string& build_id, const std::string& file);
  void program_missing(const std::string& build_id, const std::string& why);

  void on_timer(Time now);
  Time next_timer() const;

 private:
  struct Job;
  void start(Job& job, const std::string& file);
  void fail(Job& job, std::string why);
  void read_output(Job& job, int stream);
  void reap(Job& job);
  void wait_for_end(Job& job, Time until);
  void signal(const Job& job, int number) const;
  Answer submit(NodeId asker, const Question& question, Time now);
  void forget_oldest();

  EventLoop& loop_;
  const ProgramStore& programs_;
  const JobsOptions options_;
  const std::shared_ptr<spdlog::logger> log_;
  std::uint64_t last_ = 0;
  process::Fd held_;  // the folder
  std::map<std::string, std::unique_ptr<Job>> jobs_;
  std::vector<std::pair<std::string, NodeId>> wanted_;
};

}  // namespace mobula::daemon
