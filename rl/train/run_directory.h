#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "rl/train/checkpoint.h"
#include "rl/train/files.h"

namespace mobula::rl {

/// Where one training run keeps all that it writes; locked against other processes while this object lives.
///
/// docs/formats/run_directory.md describes each file.
///
///   config.yaml       every setting, also those left at their defaults; what `--resume` reads
///   metadata.json     program, machine, command line, seed, times of start and resumptions
///   progress.csv      a row an iteration
///   evaluations.csv   a row an evaluation and metric
///   events.jsonl      a JSON object a line: everything that happened, in the order in which it did
///   events.out.tfevents.*   the same numbers for TensorBoard
///   checkpoints/      the newest few
///   result.json       when training has finished
///   trade.svg         efficiency against fairness of all policies, where the environment has groups
///   lock              held while the run is in use
class RunDirectory {
 public:
  /// Makes the folder, which must not exist or be empty, but for what a program that was killed while it made it may
  /// have left. Whoever writes config.yaml (or sweep.yaml) into it makes it one that is in use. An empty path:
  /// runs/<experiment>-<n> with the next free n. Throws TrainError.
  static RunDirectory create(const std::filesystem::path& path, const std::string& experiment);
  /// One that a run has written. Throws TrainError.
  static RunDirectory open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  CheckpointFolder checkpoints() const { return CheckpointFolder(path_ / "checkpoints"); }

  static constexpr std::string_view config = "config.yaml", metadata = "metadata.json", progress = "progress.csv",
                                    evaluations = "evaluations.csv", events = "events.jsonl", result = "result.json",
                                    trade = "trade.svg";
  std::filesystem::path file(std::string_view name) const { return path_ / name; }

 private:
  RunDirectory(std::filesystem::path path, std::unique_ptr<FileLock> lock)
      : path_(std::move(path)), lock_(std::move(lock)) {}
  std::filesystem::path path_;
  std::unique_ptr<FileLock> lock_;
};

}  // namespace mobula::rl
