#include "rl/train/run_directory.h"

#include <mobula/rl/train.h>

#include <algorithm>
#include <iterator>
#include <system_error>

namespace mobula::rl {
namespace {

constexpr std::string_view kLock = "lock";

std::unique_ptr<FileLock> lock(const std::filesystem::path& path) {
  return std::make_unique<FileLock>(
      path / kLock, path.string() + " is in use by another process; wait for it, or choose another folder");
}

/// What comes before the file that makes a folder one of a run (config.yaml) or of a study (sweep.yaml): a program that
/// was killed while it made the folder leaves no more than that, and it can be made again.
constexpr std::string_view kBeginnings[] = {kLock, "config.yaml.new", "overrides.txt", "overrides.txt.new",
                                            "sweep.yaml.new"};

bool is_unused(const std::filesystem::path& path) {
  const auto begin = std::filesystem::directory_iterator(path);
  return std::all_of(begin, std::filesystem::directory_iterator(), [](const auto& entry) {
    return std::find(std::begin(kBeginnings), std::end(kBeginnings), entry.path().filename().string()) !=
           std::end(kBeginnings);
  });
}

}  // namespace

RunDirectory RunDirectory::create(const std::filesystem::path& wanted, const std::string& experiment) try {
  if (!wanted.empty()) {
    if (std::filesystem::exists(wanted) && !std::filesystem::is_directory(wanted)) {
      throw TrainError(wanted.string() + " is a file; give a new folder");
    }
    std::filesystem::create_directories(wanted);
    if (!is_unused(wanted)) {
      throw TrainError(wanted.string() + " is not empty; give a new folder, or go on with that run by --resume " +
                       wanted.string());
    }
    auto held = lock(wanted);
    return RunDirectory(wanted, std::move(held));
  }
  const std::filesystem::path runs = "runs";
  std::filesystem::create_directories(runs);
  for (int n = 1;; ++n) {
    const auto path = runs / (experiment + "-" + std::to_string(n));
    // Whoever creates the folder has it: two programs that start at once get different ones.
    if (!std::filesystem::create_directory(path)) continue;
    auto held = lock(path);
    return RunDirectory(path, std::move(held));
  }
} catch (const std::filesystem::filesystem_error& error) {
  throw TrainError(std::string("cannot create the run directory: ") + error.what());
} catch (const TrainError&) {
  throw;
} catch (const std::runtime_error& error) {
  throw TrainError(error.what());
}

RunDirectory RunDirectory::open(const std::filesystem::path& path) try {
  if (!std::filesystem::exists(path / config)) {
    throw TrainError(path.string() + " is not a run directory: it has no " + std::string(config));
  }
  auto held = lock(path);
  return RunDirectory(path, std::move(held));
} catch (const TrainError&) {
  throw;
} catch (const std::runtime_error& error) {
  throw TrainError(error.what());
}

}  // namespace mobula::rl
