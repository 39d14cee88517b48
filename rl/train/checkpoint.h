#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mobula::rl {

/// A checkpoint could not be used; what() names the file, what is wrong with it and what can be done.
class CheckpointError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The whole state of a training run at the end of an iteration, as named sections of bytes.
///
/// On disk: a first line "MOBULA-CHECKPOINT 1", a second line of JSON that says what is inside (program version,
/// iteration, environment steps, name and size of each section), the sections one after another, and the SHA-256 of all
/// that as 64 hexadecimal digits and a newline. So `head -2` shows what a checkpoint is, and a torn or altered file is
/// refused as a whole.
struct Checkpoint {
  std::int64_t iteration = 0;
  std::int64_t env_steps = 0;
  std::vector<std::pair<std::string, std::string>> sections;  ///< name, bytes; names are unique

  void add(std::string name, std::string bytes) { sections.emplace_back(std::move(name), std::move(bytes)); }
  bool has(std::string_view name) const;
  /// Throws CheckpointError if there is none.
  const std::string& section(std::string_view name) const;
};

/// Written beside the target, flushed to the disk and renamed: a crash leaves the old file or the new one.
void write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint);
Checkpoint read_checkpoint(const std::filesystem::path& file);

/// The checkpoints of a folder, "000000000120.checkpoint" and so on by iteration, of which the last few are kept.
class CheckpointFolder {
 public:
  explicit CheckpointFolder(std::filesystem::path folder) : folder_(std::move(folder)) {}

  /// Creates the folder if needed, writes, and removes all but the newest `keep`.
  std::filesystem::path save(const Checkpoint& checkpoint, int keep) const;

  struct Loaded {
    Checkpoint checkpoint;
    std::filesystem::path file;
    std::vector<std::string> refused;  ///< for each newer file that could not be used, why
  };
  /// The newest that is whole. Throws CheckpointError, naming every file and what is wrong with it, if none is.
  Loaded load_newest() const;

  /// Newest first.
  std::vector<std::filesystem::path> files() const;

 private:
  std::filesystem::path folder_;
};

}  // namespace mobula::rl
