#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace mobula::process {

// What a freshly forked worker is told. It lives as long as the worker.
struct WorkerStart {
  std::uint32_t slot = 0;        // its slot in the node's process table
  std::uint32_t generation = 0;  // of that slot
  std::span<const int> fds;      // descriptors given to Zygote::start, in that order
  std::string_view options;      // text given to Zygote::start
};

// The worker's whole life; its return value is the process's exit status. Streams are flushed afterwards, destructors
// of globals do not run (they belong to the program, whose main never ran here).
using WorkerEntry = int (*)(const WorkerStart&);

// The first thing a program does, before any thread exists. In a process that was executed as a zygote or as a worker
// this call never returns: it serves, and ends the process. Everywhere else it does nothing but remember that it was
// called.
void init_zygote_if_marked(int argc, char** argv, WorkerEntry entry);

// Whether init_zygote_if_marked() ran in this process: without it a zygote of this program would run the user's main.
bool initialised();

// argv[0] of this program, for names in messages; empty before init_zygote_if_marked().
std::string_view program_name();

}  // namespace mobula::process
