#include "rl/train/checkpoint.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "rl/train/files.h"
#include "rl/train/sha256.h"
#include "runtime/base/json_integer.h"

namespace mobula::rl {
namespace {

constexpr std::string_view kMagic = "MOBULA-CHECKPOINT ";
constexpr int kVersion = 1;
constexpr std::string_view kSuffix = ".checkpoint";
constexpr std::size_t kHashLine = 65;

std::string hash_line(std::string_view bytes) {
  return sha256(std::as_bytes(std::span(bytes))) + "\n";
}

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& why) {
  throw CheckpointError(file.string() + ": " + why);
}

}  // namespace

bool Checkpoint::has(std::string_view name) const {
  return std::any_of(sections.begin(), sections.end(), [&](const auto& s) { return s.first == name; });
}

const std::string& Checkpoint::section(std::string_view name) const {
  for (const auto& [key, bytes] : sections) {
    if (key == name) return bytes;
  }
  throw CheckpointError("the checkpoint of iteration " + std::to_string(iteration) + " has no section '" +
                        std::string(name) + "': it was written by another kind of run or program");
}

void write_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint) {
  nlohmann::ordered_json header = {{"program", MOBULA_VERSION},
                                   {"iteration", checkpoint.iteration},
                                   {"env_steps", checkpoint.env_steps},
                                   {"sections", nlohmann::ordered_json::array()}};
  for (const auto& [name, bytes] : checkpoint.sections) {
    header["sections"].push_back({{"name", name}, {"bytes", bytes.size()}});
  }
  std::string content = std::string(kMagic) + std::to_string(kVersion) + "\n" + header.dump() + "\n";
  for (const auto& section : checkpoint.sections) content += section.second;
  content += hash_line(content);
  write_file(file, content);
}

Checkpoint read_checkpoint(const std::filesystem::path& file) {
  const std::string content = read_file(file);
  const std::string_view all = content;
  if (!all.starts_with(kMagic)) {
    refuse(file, all.empty() ? "the file is empty (was the disk full?)" : "this is not a checkpoint of Mobula");
  }
  const auto first = all.find('\n');
  const std::string version(all.substr(kMagic.size(), std::min(first, all.size()) - kMagic.size()));
  if (version != std::to_string(kVersion)) {
    refuse(file, "it is of format " + version + ", this program reads format " + std::to_string(kVersion) +
                     "; use the program that wrote it");
  }
  if (all.size() < first + 1 + kHashLine ||
      all.substr(all.size() - kHashLine) != hash_line(all.substr(0, all.size() - kHashLine))) {
    refuse(file, "the checksum does not fit: the file is torn or was altered");
  }
  const std::size_t end = all.size() - kHashLine;
  const auto second = all.find('\n', first + 1);
  if (second >= end) refuse(file, "its header has no end");
  Checkpoint checkpoint;
  try {
    const auto header = nlohmann::json::parse(all.substr(first + 1, second - first - 1));
    checkpoint.iteration = json_integer(header.at("iteration"));
    checkpoint.env_steps = json_integer(header.at("env_steps"));
    std::size_t at = second + 1;
    for (const auto& section : header.at("sections")) {
      const auto bytes = json_integer<std::size_t>(section.at("bytes"));
      if (bytes > end - at) refuse(file, "its sections are longer than the file");
      if (checkpoint.has(section.at("name").get<std::string>())) refuse(file, "two of its sections have one name");
      checkpoint.add(section.at("name"), std::string(all.substr(at, bytes)));
      at += bytes;
    }
    if (at != end) refuse(file, "its sections are shorter than the file");
  } catch (const nlohmann::json::exception& error) {
    refuse(file, std::string("its header cannot be read: ") + error.what());
  }
  return checkpoint;
}

std::filesystem::path CheckpointFolder::save(const Checkpoint& checkpoint, int keep) const {
  std::filesystem::create_directories(folder_);
  std::string name = std::to_string(checkpoint.iteration);
  name.insert(0, name.size() < 12 ? 12 - name.size() : 0, '0');
  const auto file = folder_ / (name + std::string(kSuffix));
  write_checkpoint(file, checkpoint);
  const auto all = files();
  for (std::size_t i = static_cast<std::size_t>(std::max(keep, 1)); i < all.size(); ++i) {
    std::filesystem::remove(all[i]);
  }
  return file;
}

CheckpointFolder::Loaded CheckpointFolder::load_newest() const {
  Loaded loaded;
  for (const auto& file : files()) {
    try {
      loaded.checkpoint = read_checkpoint(file);
      loaded.file = file;
      return loaded;
    } catch (const std::runtime_error& error) {
      loaded.refused.push_back(error.what());
    }
  }
  std::string message = folder_.string() + " holds no checkpoint that can be used";
  for (const auto& reason : loaded.refused) message += "\n  " + reason;
  throw CheckpointError(message);
}

std::vector<std::filesystem::path> CheckpointFolder::files() const {
  std::vector<std::filesystem::path> found;
  std::error_code missing;
  for (const auto& entry : std::filesystem::directory_iterator(folder_, missing)) {
    if (entry.path().extension() == kSuffix) found.push_back(entry.path());
  }
  std::sort(found.begin(), found.end(), std::greater<>());
  return found;
}

}  // namespace mobula::rl
