#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

#include "runtime/daemon/inquiry.h"
#include "runtime/process/fd.h"

namespace mobula::daemon {

// Locks a folder of logs or jobs as one in use; not valid if it is one, or not there.
process::Fd hold_log_folder(const std::filesystem::path& folder);

// What the workers of a node have printed, a file a process (0600), in a folder of the node's own (0700): each line
// with its time and the name of the task or actor. Bounded: a file that has grown large is begun anew (one old part is
// kept), and the oldest files go when there are many. Folders of nodes that ended long ago go too.
class WorkerLogs {
 public:
  static constexpr std::uint64_t most_file_bytes = std::uint64_t{8} << 20;
  static constexpr std::size_t most_files = 256;
  static constexpr std::size_t most_folders = 10;

  // Made with the first line. `base` empty: nothing is kept.
  WorkerLogs(std::filesystem::path base, const std::string& node);

  // Whole lines, each with the prefix "(name pid=123) ".
  void write(pid_t worker, std::string_view lines);
  void ended(pid_t worker) { open_.erase(worker); }

  // Topic::logs. words: a task's or actor's name or "" for all; a pid or ""; then what the asker has, as "LOG=OFFSET".
  // number: lines of the end of each log that it does not have. Rows: file, offset for the next question, lines, log. A
  // log is a number that stays the same when its file is put aside, and that no other one of this node gets.
  Answer read(const Question& question) const;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  struct Open {
    process::Fd fd;
    std::uint64_t bytes = 0;
  };
  bool open(pid_t worker);
  void prune();

  const std::filesystem::path base_, folder_;
  bool failed_ = false;
  process::Fd held_;  // while it lives, nobody prunes its folder
  std::map<pid_t, Open> open_;
  std::uint64_t last_number_ = 0;
  std::map<std::string, std::uint64_t> numbers_;  // of the logs, by the names of their files
};

}  // namespace mobula::daemon
