#include "cli/benchmark_peers.h"

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "cli/command.h"

namespace mobula::cli {
namespace {

namespace fs = std::filesystem;

fs::path script() {
  const fs::path program = fs::read_symlink("/proc/self/exe");
  for (fs::path folder = program.parent_path();; folder = folder.parent_path()) {
    if (fs::path found = folder / "bench/compare/rl/peers.py"; fs::exists(found)) return found;
    if (folder == folder.parent_path()) break;
  }
  throw UsageError("microbenchmark: --peers: bench/compare/rl/peers.py is in no folder above " + program.string() +
                   "; use a program that was built in the source tree");
}

std::string output_of(std::vector<std::string> words) {
  std::array<int, 2> ends{};
  if (pipe(ends.data()) != 0) throw std::system_error(errno, std::generic_category(), "pipe");
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  const pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }
  close(ends[1]);
  std::string text;
  std::array<char, 4096> buffer;
  for (ssize_t bytes = 0; (bytes = read(ends[0], buffer.data(), buffer.size())) > 0 || (bytes < 0 && errno == EINTR);) {
    if (bytes > 0) text.append(buffer.data(), static_cast<std::size_t>(bytes));
  }
  close(ends[0]);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    throw UsageError(fmt::format("microbenchmark: --peers: {} {} failed; does $MOBULA_PEERS_PYTHON name a Python 3?",
                                 words[0], words[1]));
  }
  return text;
}

std::optional<double> number(const nlohmann::json& from, const char* key) {
  const auto found = from.find(key);
  if (found == from.end() || !found->is_number()) return std::nullopt;
  return found->get<double>();
}

}  // namespace

std::vector<PeerFigure> read_peers(const std::string& lines) {
  std::vector<PeerFigure> all;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (!json.is_object() || !json.contains("peer") || !json.contains("row")) {
      throw std::runtime_error("microbenchmark: --peers: peers.py printed '" + line +
                               "'; expected an object with \"peer\" and \"row\"");
    }
    all.push_back({json.value("peer", ""), json.value("row", ""), number(json, "per_second"), number(json, "p50_us"),
                   json.value("missing", "")});
  }
  return all;
}

std::vector<PeerFigure> measure_peers(const std::vector<bench::Figures>& rows, bool quick,
                                      const std::function<void(const std::string&)>& tell) {
  const char* python = std::getenv("MOBULA_PEERS_PYTHON");
  if (python == nullptr || *python == '\0') {
    throw UsageError(
        "microbenchmark: --peers: $MOBULA_PEERS_PYTHON is not set; let it name a Python that has what is to be "
        "compared: "
        "python3 -m venv peers && peers/bin/pip install gymnasium stable-baselines3 envpool rltools");
  }
  std::vector<std::string> words{python, script()};
  if (quick) words.emplace_back("--quick");
  for (const bench::Figures& row : rows) words.push_back(row.name);
  if (tell) tell("the peers, one after the other");
  return read_peers(output_of(std::move(words)));
}

std::optional<double> times_as_fast(const bench::Figures& ours, const PeerFigure& theirs) {
  if (ours.p50_us && theirs.p50_us) return *theirs.p50_us / *ours.p50_us;
  if (ours.per_second && theirs.per_second) return *ours.per_second / *theirs.per_second;
  return std::nullopt;
}

}  // namespace mobula::cli
