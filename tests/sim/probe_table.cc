#include "tests/sim/probe_table.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <regex>
#include <sstream>
#include <vector>

#include "tests/support/paths.h"

namespace mobula::sim {
namespace {

const std::string heading = "| scenario | runs | of which so many reached |";

std::filesystem::path page() {
  return tests::source_dir() / "docs/internals/faults.md";
}

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string with_commas(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::map<std::string, std::string> rows_in(const std::string& text) {
  std::map<std::string, std::string> rows;
  std::istringstream lines(text);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (line == heading) {
      inside = true;
    } else if (inside && !line.starts_with("|")) {
      break;
    } else if (inside && line.starts_with("| `")) {
      rows[line.substr(3, line.find('`', 3) - 3)] = line;
    }
  }
  return rows;
}

// Another test process may be about to write its own row: one at a time.
void rewrite(const std::function<void(std::map<std::string, std::string>&)>& change) {
  const int file = open(page().c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0 || flock(file, LOCK_EX) != 0) return;
  const std::string text = read(page());
  std::map<std::string, std::string> rows = rows_in(text);
  change(rows);
  std::string changed;
  std::istringstream lines(text);
  bool inside = false;
  for (std::string line; std::getline(lines, line);) {
    if (inside && line.starts_with("| `")) continue;
    changed += line + "\n";
    if (line == heading) {
      inside = true;
      std::getline(lines, line);
      changed += line + "\n";
      for (const auto& [scenario, row] : rows) changed += row + "\n";
    } else if (!line.starts_with("|")) {
      inside = false;
    }
  }
  std::ofstream(page()) << changed;
  close(file);
}

}  // namespace

std::string probe_row(const std::string& scenario, std::uint64_t runs, const std::map<std::string, std::uint64_t>& in) {
  std::string row = "| `" + scenario + "` | " + with_commas(runs) + " | ";
  bool first = true;
  for (const auto& [probe, count] : in) {
    row += (first ? "" : ", ") + probe + " " + with_commas(count);
    first = false;
  }
  return row + " |";
}

std::map<std::string, std::string> probe_rows_of_page() {
  return rows_in(read(page()));
}

void write_probe_row(const std::string& scenario, const std::string& row) {
  rewrite([&](auto& rows) { rows[scenario] = row; });
}

void keep_probe_rows(const std::set<std::string>& scenarios) {
  rewrite([&](auto& rows) { std::erase_if(rows, [&](const auto& row) { return !scenarios.contains(row.first); }); });
}

std::set<std::string> probes_of_sources() {
  std::set<std::string> found;
  // (Names that are put together, error.CODE, are not among them.)
  const std::regex call(R"(probe\(([^;]*)\);)"), name(R"re("([a-z_]+\.[a-z_]+)")re");
  for (const auto& entry : std::filesystem::directory_iterator(tests::source_dir() / "runtime/sim")) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = read(entry.path());
    for (std::sregex_iterator at(text.begin(), text.end(), call), end; at != end; ++at) {
      const std::string arguments = (*at)[1];
      for (std::sregex_iterator literal(arguments.begin(), arguments.end(), name); literal != end; ++literal) {
        found.insert((*literal)[1]);
      }
    }
  }
  return found;
}

}  // namespace mobula::sim
