// The files of programs, by build-id: those that this machine has and can send, and those that come from other ones.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/ids.h"
#include "runtime/daemon/inquiry.h"

namespace mobula::daemon {

// What changes when somebody writes to a file, or puts another one in its place.
struct FileState {
  std::uint64_t device = 0, inode = 0, bytes = 0;
  std::int64_t changed_ns = 0;
  bool operator==(const FileState&) const = default;
};

// A build-id as programs carry it on the wire: 16 hexadecimal digits. Anything else is no name of a file.
bool is_build_id(const std::string& text);

// A private folder (0700) of files (0700) named by their build-ids; when there are many, those go that were used
// longest ago and are not in use. Made when the first file comes. Other daemons of this user may share it, and take
// from it what is in use here: whoever is about to use a file asks cached() first.
class ProgramStore {
 public:
  static constexpr std::size_t most_files = 16;  // besides those that are in use

  explicit ProgramStore(std::filesystem::path folder) : folder_(std::move(folder)) {}

  // The file of this build in the cache; empty if it is not there, or not this user's alone, or another build.
  std::string cached(const std::string& build_id) const;
  // From now on chunk() sends this file for this build, as long as it is of this build: its owner may build it anew.
  void know(const std::string& build_id, const std::string& file) { known_[build_id] = file; }
  void forget(const std::string& build_id) { known_.erase(build_id); }
  // A part of a file that is known or in the cache, as an answer on Topic::program. Never by a mapping of the file: it
  // may become shorter at any moment.
  Answer chunk(const Question& question);
  // Who says whether a build is in use here, and its file to stay; empty: none is.
  void ask_in_use(std::function<bool(const std::string& build_id)> in_use) { in_use_ = std::move(in_use); }

  // A file on its way here: written aside, and renamed when it is whole and right.
  class Incoming;
  const std::filesystem::path& folder() const { return folder_; }

 private:
  // The state of a file that was found to be of its build, and its sum then.
  struct Sum {
    FileState state;
    std::uint64_t checksum = 0;
  };
  void prune() const;

  const std::filesystem::path folder_;
  std::map<std::string, std::string> known_;
  std::map<std::string, Sum> sums_;  // of files that were asked for
  std::function<bool(const std::string&)> in_use_;
};

class ProgramStore::Incoming {
 public:
  // Throws nothing; what is wrong with the folder shows in take().
  Incoming(const ProgramStore& store, std::string build_id);
  ~Incoming();
  Incoming(const Incoming&) = delete;
  Incoming& operator=(const Incoming&) = delete;

  // What to ask for next.
  std::uint64_t offset() const { return offset_; }
  // The answer to that. True: the file is whole, and at path(). An error leaves nothing behind.
  Result<bool> take(const Answer& answer);
  std::string path() const { return store_.folder() / build_id_; }

 private:
  Result<bool> finish();
  Error failed(const std::string& why) const;

  const ProgramStore& store_;
  const std::string build_id_;
  std::string aside_;
  int fd_ = -1;
  std::uint64_t offset_ = 0, bytes_ = 0;
  std::string checksum_;
};

// Brings programs here from whichever member of the cluster has them. A state machine: answers, deaths and the list of
// members come in; questions and ends are taken out.
class ProgramFetches {
 public:
  ProgramFetches(ProgramStore& store, NodeId self) : store_(store), self_(self) {}

  struct Ask {
    NodeId to;
    Question question;
  };
  struct End {
    std::string build_id;
    Result<std::string> file;
  };

  // Begins, or goes on with more to ask. `first` most likely has it: it is asked next, also if it had refused; the
  // others of `members` are asked last, in their order.
  void want(const std::string& build_id, NodeId first, const std::vector<NodeId>& members);
  void on_answer(NodeId from, const Answer& answer);
  // It died, or there is no way to it.
  void lost(NodeId node, const std::string& why);

  std::vector<Ask> take_asks() { return std::exchange(asks_, {}); }
  std::vector<End> take_ends() { return std::exchange(ends_, {}); }

 private:
  struct Fetch {
    std::uint64_t id = 0;
    std::vector<NodeId> left;  // to be asked, the next one last
    std::set<NodeId> named;    // all that were ever to be asked
    NodeId asked;
    std::unique_ptr<ProgramStore::Incoming> incoming;
    std::string refusals;
  };
  void next(const std::string& build_id, Fetch& fetch);
  void ask(const std::string& build_id, const Fetch& fetch);
  void refused(const std::string& build_id, NodeId by, const std::string& why);

  ProgramStore& store_;
  const NodeId self_;
  std::uint64_t last_id_ = 0;
  std::map<std::string, Fetch> fetches_;
  std::vector<Ask> asks_;
  std::vector<End> ends_;
};

}  // namespace mobula::daemon
