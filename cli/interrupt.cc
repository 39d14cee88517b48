#include "cli/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "cli/command.h"

namespace mobula::cli {
namespace {

std::atomic<int> g_signals{0};
static_assert(std::atomic<int>::is_always_lock_free, "it is touched by a signal handler");

struct sigaction g_before_int, g_before_term;

void say(const char* text, std::size_t size) {
  // Nothing can be done if standard error is gone.
  if (::write(STDERR_FILENO, text, size) < 0) return;
}

void on_signal(int) {
  if (g_signals.fetch_add(1) > 0) {
    // Workers end with this process: see docs/internals.
    ::_exit(interrupted);
  }
  constexpr char text[] = "\nInterrupted: coming to an end. A second Ctrl-C stops at once.\n";
  say(text, sizeof text - 1);
}

void handle() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGINT, &action, &g_before_int);
  ::sigaction(SIGTERM, &action, &g_before_term);
  // Some parents block rather than ignore it.
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void restore() {
  ::sigaction(SIGINT, &g_before_int, nullptr);
  ::sigaction(SIGTERM, &g_before_term, nullptr);
}

}  // namespace

EndAtInterrupt::EndAtInterrupt() {
  g_signals = 1;
  handle();
}
EndAtInterrupt::~EndAtInterrupt() {
  restore();
}

Interrupt::Interrupt() {
  g_signals = 0;
  handle();
}
Interrupt::~Interrupt() {
  restore();
}

bool Interrupt::requested() const {
  return g_signals.load() > 0;
}

}  // namespace mobula::cli
