#include "cli/output.h"

#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace mobula::cli {
namespace {

std::atomic<bool> g_reader_gone{false};

/// 0, or the error.
int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(descriptor, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

}  // namespace

void add_output_options(CLI::App& app, OutputOptions& options, const std::string& what) {
  app.add_flag("-q,--quiet", options.quiet, "Only the result and errors: no progress, no notes");
  app.add_flag("--json", options.json, "For programs: " + what);
}

void prepare_output() {
  // Not SIG_IGN, which programs that are executed from here (workers, and what they execute) would inherit.
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(SIGPIPE, &action, nullptr);
}

void write_result(std::string_view text) {
  std::fflush(stdout);  // what other code printed comes first
  const int error = write_all(STDOUT_FILENO, text);
  if (error == EPIPE) {
    g_reader_gone = true;
    throw OutputGone();
  }
  if (error != 0) throw std::runtime_error(std::string("cannot write to standard output: ") + std::strerror(error));
}

void write_json_line(const nlohmann::ordered_json& object) {
  // Texts come from users and may be no UTF-8.
  write_result(object.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

void write_message(std::string_view text) {
  if (write_all(STDERR_FILENO, text) == EPIPE) g_reader_gone = true;
}

bool reader_gone() {
  return g_reader_gone;
}

bool is_terminal(int descriptor) {
  const char* const term = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && (term == nullptr || std::strcmp(term, "dumb") != 0);
}

TerminalSize terminal_size(int descriptor) {
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

int result_width() {
  return ::isatty(STDOUT_FILENO) == 1 ? terminal_size(STDOUT_FILENO).columns : 100;
}

nlohmann::ordered_json json_number(double value) {
  return std::isfinite(value) ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
}

}  // namespace mobula::cli
