// What a head or a node writes of itself, so that others on the machine (or on a shared disk) find it: with port 0
// nobody knows its address before it runs.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include <mobula/result.h>

#include "runtime/base/time.h"

namespace mobula::daemon {

// A daemon of this user. The file's first line is the address, then come lines of a name and a value.
struct Running {
  std::string address;  // HOST:PORT where it listens
  std::string head;     // HOST:PORT of the head it joined; empty: it is the head
  std::string keys;     // file
  std::string name;
  pid_t pid = 0;
  std::uint64_t started = 0;  // of the process, as the kernel tells it: pids are used again
  std::string role() const { return head.empty() ? "head" : "node"; }
};

// The calling process, with the start time that belongs to it.
Running this_daemon();
// Mode 0600; whole or not there.
Result<void> write_address_file(const std::filesystem::path& file, const Running& what);
// `invalid` if it is not there or is no such file.
Result<Running> read_address_file(const std::filesystem::path& file);

// A file that is there as long as this object. Throws TaskError where it cannot be written. Where another has written
// it meanwhile it stays.
class AddressFile {
 public:
  AddressFile(std::filesystem::path file, const Running& what);
  ~AddressFile();
  AddressFile(const AddressFile&) = delete;
  AddressFile& operator=(const AddressFile&) = delete;

 private:
  const std::filesystem::path file_;
  const Running what_;
};

// The file in run_folder() by which `mobula stop` finds the calling daemon.
std::filesystem::path own_record();

struct HeadAt {
  std::string address, keys;
};
// Where the head is: the address and the keys as they are, or, of "@FILE", what its address file says (and the keys
// that it names, if none are given). Waits up to `patience` for the file to appear.
Result<HeadAt> head_at(const std::string& address, const std::string& keys, Duration patience);

// ---- ending them

// Whether the process that wrote this still runs, and is this user's.
bool lives(const Running& what);
// All heads and nodes of this user on this machine, the oldest first. Removes what dead ones left.
std::vector<Running> running_here();

enum class Stopped { was_gone, ended, killed };
// SIGTERM, and after `grace` SIGKILL. Blocks until it is gone. `unavailable` if it cannot be signalled.
Result<Stopped> stop(const Running& what, Duration grace);

}  // namespace mobula::daemon
