#include "runtime/process/crash.h"

#include <dlfcn.h>
#include <execinfo.h>
#include <fmt/format.h>
#include <link.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <map>
#include <memory>
#include <stdexcept>

#include "runtime/process/symbols.h"

namespace mobula::process {
namespace {

constexpr std::uint32_t complete_mark = 0x4352'4153;
constexpr std::size_t max_frames = 48;
constexpr std::size_t max_modules = 16;
constexpr std::size_t path_bytes = 192;

struct Record {
  std::uint32_t complete;  // complete_mark once all the rest is written
  std::int32_t signal;
  std::uint64_t address;
  std::uint32_t frames;
  std::uint32_t modules;
  std::uint32_t truncated;
  std::uint32_t reserved;
  struct Frame {
    std::uint32_t module;
    std::uint32_t reserved;
    std::uint64_t offset;
  } frame[max_frames];
  char module[max_modules][path_bytes];  // zero-terminated
};
static_assert(sizeof(Record) <= crash_area_bytes);

Record* record = nullptr;
std::atomic_flag crashed = ATOMIC_FLAG_INIT;

std::uint32_t module_index(const char* path) {
  for (std::uint32_t i = 0; i < record->modules; ++i) {
    if (std::strncmp(record->module[i], path, path_bytes - 1) == 0) return i;
  }
  if (record->modules == max_modules) return max_modules;
  char* to = record->module[record->modules];
  std::size_t i = 0;
  for (; path[i] != '\0' && i + 1 < path_bytes; ++i) to[i] = path[i];
  to[i] = '\0';
  return record->modules++;
}

void add_frame(std::uintptr_t address) {
  if (record->frames == max_frames) {
    record->truncated = 1;
    return;
  }
  Record::Frame& frame = record->frame[record->frames];
  // Made for use while unwinding: takes no lock, allocates nothing.
  dl_find_object object{};
  if (_dl_find_object(reinterpret_cast<void*>(address), &object) == 0 && object.dlfo_link_map != nullptr) {
    frame.module = module_index(object.dlfo_link_map->l_name);
    frame.offset = address - object.dlfo_link_map->l_addr;
  } else {
    frame.module = max_modules;
    frame.offset = address;
  }
  ++record->frames;
}

std::uintptr_t instruction(const ucontext_t* context) {
#if defined(__x86_64__)
  return static_cast<std::uintptr_t>(context->uc_mcontext.gregs[REG_RIP]);
#elif defined(__aarch64__)
  return context->uc_mcontext.pc;
#else
#error "the crash handler needs the name of this machine's program counter"
#endif
}

// A jump to nowhere (a null function pointer) cannot be unwound: its caller is where the call left the return address.
std::uintptr_t return_address(const ucontext_t* context) {
#if defined(__x86_64__)
  std::uintptr_t address = 0;
  std::memcpy(&address, reinterpret_cast<const void*>(context->uc_mcontext.gregs[REG_RSP]), sizeof(address));
  return address;
#else
  return context->uc_mcontext.regs[30];
#endif
}

// All that a handler can say of where it was called. Leaves `complete` to the caller of the record.
void write_record(int signal, std::uint64_t address, const ucontext_t* context) {
  record->signal = signal;
  record->address = address;
  record->frames = record->modules = record->truncated = 0;
  const std::uintptr_t at = instruction(context);
  std::array<void*, max_frames + 8> stack;
  const int depth = backtrace(stack.data(), static_cast<int>(stack.size()));
  // The stack begins with this handler and the kernel's trampoline; what matters begins at the instruction that was
  // interrupted.
  int first = 0;
  while (first < depth && reinterpret_cast<std::uintptr_t>(stack[first]) != at) ++first;
  add_frame(at);
  if (first == depth) {
    dl_find_object object{};
    if (_dl_find_object(reinterpret_cast<void*>(at), &object) != 0) add_frame(return_address(context) - 1);
    first = std::min(depth, 2);
  } else {
    ++first;
  }
  // A return address may already belong to the next function (after a call that never returns): one byte before lies
  // in the call itself.
  for (int i = first; i < depth; ++i) add_frame(reinterpret_cast<std::uintptr_t>(stack[i]) - 1);
  if (depth == static_cast<int>(stack.size())) record->truncated = 1;
  std::atomic_ref<std::uint32_t>(record->complete).store(complete_mark, std::memory_order_release);
}

void handle(int signal, siginfo_t* info, void* data) {
  if (!crashed.test_and_set()) {
    const bool of_memory = signal == SIGSEGV || signal == SIGBUS;
    write_record(signal, of_memory ? reinterpret_cast<std::uintptr_t>(info->si_addr) : 0,
                 static_cast<const ucontext_t*>(data));
  }
  // The handler was removed when it was called. A faulting instruction runs again and ends the process where it stood;
  // a signal sent by someone has to be sent again.
  if (info->si_code <= 0 && signal != SIGABRT) syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), signal);
}

// Someone asks what this process does. A crash goes before.
void show_stack(int signal, siginfo_t*, void* data) {
  const int error = errno;
  if (!crashed.test()) write_record(signal, 0, static_cast<const ucontext_t*>(data));
  errno = error;
}

}  // namespace

void prepare_crash_handler() {
  std::array<void*, 2> warm;
  backtrace(warm.data(), static_cast<int>(warm.size()));
}

void install_crash_handler(std::span<std::byte> area) {
  if (area.size() < sizeof(Record)) {
    throw std::invalid_argument(fmt::format("a crash area needs {} bytes, got {}", sizeof(Record), area.size()));
  }
  record = reinterpret_cast<Record*>(area.data());
  clear_crash(area);
  // The first call loads the unwinder, which may allocate: not in a handler.
  prepare_crash_handler();

  constexpr std::size_t stack_bytes = 64 * 1024;
  stack_t stack{};
  stack.ss_sp = mmap(nullptr, stack_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  stack.ss_size = stack_bytes;
  if (stack.ss_sp != MAP_FAILED) sigaltstack(&stack, nullptr);

  struct sigaction action {};
  action.sa_sigaction = handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND;
  sigemptyset(&action.sa_mask);
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) sigaction(signal, &action, nullptr);
  action.sa_sigaction = show_stack;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART;
  sigaction(stack_signal, &action, nullptr);
}

std::optional<CrashReport> read_crash(std::span<const std::byte> area) {
  if (area.size() < sizeof(Record)) return {};
  Record copy;
  std::memcpy(&copy, area.data(), sizeof(copy));
  if (copy.complete != complete_mark) return {};
  CrashReport report;
  report.signal = copy.signal;
  report.address = copy.address;
  report.truncated = copy.truncated != 0;
  for (std::size_t i = 0; i < std::min<std::size_t>(copy.frames, max_frames); ++i) {
    const auto& frame = copy.frame[i];
    const bool known = frame.module < max_modules;
    std::string path =
        known ? std::string(copy.module[frame.module], strnlen(copy.module[frame.module], path_bytes)) : "?";
    report.frames.push_back({std::move(path), frame.offset});
  }
  return report;
}

void clear_crash(std::span<std::byte> area) {
  if (area.size() >= sizeof(Record)) std::memset(area.data(), 0, offsetof(Record, frame));
}

std::string describe_crash(const CrashReport& report, const std::string& program) {
  std::string text;
  std::map<std::string, std::unique_ptr<Symbols>> files;
  for (std::size_t i = 0; i < report.frames.size(); ++i) {
    const auto& [module, offset] = report.frames[i];
    if (module == "?") {
      text += fmt::format("#{} {:#x} (in no module)\n", i, offset);
      continue;
    }
    auto& symbols = files[module];
    if (!symbols) symbols = Symbols::load(module.empty() ? program : module);
    const std::string name = symbols->describe(offset);
    const std::string file = module.empty() ? "program" : module.substr(module.rfind('/') + 1);
    text += fmt::format("#{} {} ({}+{:#x})\n", i, name, file, offset);
  }
  if (report.truncated) text += "... (deeper frames are cut off)\n";
  return text;
}

}  // namespace mobula::process
