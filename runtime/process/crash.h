#pragma once

#include <signal.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace mobula::process {

// What a crash handler leaves in a piece of shared memory, for the node to read once the worker is dead.
struct CrashReport {
  struct Frame {
    std::string module;        // path of the file, empty for the program itself
    std::uint64_t offset = 0;  // of the instruction, from the module's load address
  };
  int signal = 0;
  std::uint64_t address = 0;  // that could not be accessed (SIGSEGV, SIGBUS), else 0
  std::vector<Frame> frames;  // innermost first
  bool truncated = false;     // the stack was deeper than there was room
};

// A process that installed the handlers and is sent this one writes a record of the stack of the thread that takes it,
// with this signal in it, and goes on. Those that did not ignore it.
inline constexpr int stack_signal = SIGURG;

// Bytes that hold a crash's record of 48 frames.
inline constexpr std::size_t crash_area_bytes = 4096;

// Installs handlers for SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT on an alternate stack, for the calling thread's
// stack overflows too. They write frames into `area` (shared memory of at least crash_area_bytes, 8-aligned, kept until
// the process ends), by means that are safe in a signal handler, and then let the signal take its default course, core
// dump included.
void install_crash_handler(std::span<std::byte> area);
// Loads what it needs, so that processes forked from this one need not.
void prepare_crash_handler();

// What a dead process left; nothing if it left nothing, or died while it wrote. The bytes are not trusted.
std::optional<CrashReport> read_crash(std::span<const std::byte> area);
void clear_crash(std::span<std::byte> area);

// The report for people: one line a frame, "#2 run_step(int)+0x1f (worker_program)". `program` is a file to read the
// program's own symbols from (such as /proc/PID/exe of its zygote: right even when the file was replaced).
std::string describe_crash(const CrashReport& report, const std::string& program);

}  // namespace mobula::process
