#include <mobula/rl/any_vec_env.h>
#include <mobula/rl/snapshot.h>

#include <stdexcept>
#include <string>

namespace mobula::rl {
namespace {

void refuse_count(std::size_t have, std::size_t given) {
  if (have == given) return;
  throw std::runtime_error("Restoring a vector of " + std::to_string(have) + " environments: the snapshot holds " +
                           std::to_string(given) + ". Use the number of environments that it was taken with.");
}

void refuse_rest(std::span<const std::byte> rest) {
  if (rest.empty()) return;
  throw std::runtime_error(
      "Restoring a vector of environments: the snapshot has another shape. It was written by another build or another "
      "configuration.");
}

}  // namespace

std::vector<std::byte> AnyVecEnv::snapshot() const {
  std::vector<std::byte> bytes;
  append_snapshot(bytes, static_cast<std::uint64_t>(size()));
  for (int i = 0; i < size(); ++i) save(i, bytes);
  return bytes;
}

void AnyVecEnv::restore(std::span<const std::byte> bytes) {
  std::uint64_t count = 0;
  take_snapshot(bytes, count);
  refuse_count(static_cast<std::size_t>(size()), count);
  for (int i = 0; i < size(); ++i) load(i, bytes);
  refuse_rest(bytes);
  ended_.clear();
}

std::vector<std::vector<std::byte>> AnyVecEnv::snapshot_each() const {
  std::vector<std::vector<std::byte>> snapshots(static_cast<std::size_t>(size()));
  for (int i = 0; i < size(); ++i) save(i, snapshots[i]);
  return snapshots;
}

void AnyVecEnv::restore_each(std::span<const std::vector<std::byte>> snapshots) {
  refuse_count(static_cast<std::size_t>(size()), snapshots.size());
  for (int i = 0; i < size(); ++i) {
    std::span<const std::byte> bytes(snapshots[i]);
    load(i, bytes);
    refuse_rest(bytes);
  }
  ended_.clear();
}

}  // namespace mobula::rl
