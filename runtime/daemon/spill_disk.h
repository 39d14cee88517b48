#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include <mobula/result.h>

#include "runtime/node/spills.h"
#include "runtime/object/arena.h"
#include "runtime/process/fd.h"

namespace mobula::daemon {

// A folder of this process alone (0700) inside `base`, for files that others must not read and that nobody needs after
// its end: removed with it, or, if it was killed, by the next one that opens the same base.
class SpillFolder {
 public:
  // An empty base: a folder for this user under the system's one for temporary files.
  explicit SpillFolder(std::string base);
  ~SpillFolder();
  SpillFolder(const SpillFolder&) = delete;
  SpillFolder& operator=(const SpillFolder&) = delete;

  const std::string& base() const { return base_; }
  // Makes the folder, unless it is there. The error names the base and what is wrong with it.
  Result<void> open();
  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }  // empty: not open
  // Removes what killed processes of this user left in the base.
  void sweep() const;

 private:
  const bool own_base_;
  const std::string base_;
  std::string path_;
  process::Fd fd_;  // of the folder, locked as long as it is in use
};

// Writes objects to disk and reads them back, on a thread of its own, one job after the other. Files are written aside
// and renamed when complete; each object's checksum is compared when it is read.
class SpillDisk {
 public:
  struct Written {
    std::uint64_t file = 0;
    Result<std::vector<SpillPlace>> places;
  };
  struct Read {
    wire::ObjectLocation name;
    object::Draft draft;
    Result<void> result;
  };
  using Done = std::variant<Written, Read>;

  // `wake` is called from the thread whenever take() has something.
  SpillDisk(std::string directory, std::function<void()> wake);
  // Gives up what has not begun, and removes the files.
  ~SpillDisk();

  // Makes the folder now instead of with the first file.
  Result<void> open() { return folder_.open(); }
  const std::string& directory() const { return folder_.base(); }

  // An empty pin is an object that is gone: it gets no place.
  void write(std::uint64_t file, std::vector<object::Pin> objects);
  void read(const wire::ObjectLocation& name, const SpillPlace& place, const object::Draft& draft);
  void remove(std::uint64_t file);
  std::deque<Done> take();

 private:
  struct Write {
    std::uint64_t file = 0;
    std::vector<object::Pin> objects;
  };
  struct ReadJob {
    SpillPlace place;
    Read read;
  };
  struct Remove {
    std::uint64_t file = 0;
  };
  using Job = std::variant<Write, ReadJob, Remove>;

  void add(Job job);
  void run();
  void perform(Write& job);
  void perform(ReadJob& job);
  void perform(Remove& job);
  void done(Done result);
  Result<std::vector<SpillPlace>> write_file(const Write& job);
  Result<void> read_object(const ReadJob& job);

  SpillFolder folder_;
  const std::function<void()> wake_;
  std::thread thread_;  // started with the first job
  std::mutex mutex_;    // guards what follows
  std::condition_variable changed_;
  bool stopping_ = false;
  std::deque<Job> jobs_;
  std::deque<Done> done_;
};

}  // namespace mobula::daemon
