// Files of objects that went to the disk. Something else wrote to them: what is read back is the object, or an error,
// never other bytes.
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "runtime/daemon/spill_disk.h"
#include "tests/fuzz/input_file.h"

namespace mobula::fuzz {
namespace {

constexpr std::size_t object_bytes = 100;

std::string original() {
  std::string bytes(object_bytes, '\0');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 + 1);
  return bytes;
}

// One object of an arena, which lies in a file.
class Spilled {
 public:
  Spilled() {
    std::string folder = std::filesystem::temp_directory_path() / "mobula-spill-fuzz-XXXXXX";
    require(mkdtemp(folder.data()) != nullptr);
    base_ = folder;
    disk_.emplace(base_, [this] {
      const std::lock_guard lock(mutex_);
      ++woken_;
      changed_.notify_one();
    });
    const object::Draft draft = arena_.create(object_bytes).value();
    std::memcpy(draft.bytes.data(), original().data(), object_bytes);
    arena_.seal(draft.location);
    std::vector<object::Pin> pins;
    pins.push_back(arena_.pin(draft.location).value());
    disk_->write(1, std::move(pins));
    place_ = std::get<daemon::SpillDisk::Written>(next()).places.value().at(0);
    for (const auto& entry : std::filesystem::recursive_directory_iterator(base_)) {
      if (entry.is_regular_file()) file_ = entry.path();
    }
    require(!file_.empty());
  }
  ~Spilled() {
    disk_.reset();
    std::filesystem::remove_all(base_);
  }

  void overwrite(std::span<const std::byte> bytes) const {
    std::ofstream(file_, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }

  // What comes back; empty with an error that says why.
  std::string read() {
    const object::Draft draft = arena_.create(object_bytes).value();
    disk_->read({}, place_, draft);
    const auto done = std::get<daemon::SpillDisk::Read>(next());
    std::string bytes;
    if (done.result.ok()) {
      bytes = text_of(draft.bytes.first(object_bytes));
    } else {
      require(done.result.error().code == ErrorCode::object_lost && !done.result.error().message.empty());
    }
    arena_.discard(draft.location);
    return bytes;
  }

 private:
  daemon::SpillDisk::Done next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return woken_ != taken_; });
    ++taken_;
    lock.unlock();
    auto done = disk_->take();
    require(done.size() == 1);
    return std::move(done.front());
  }

  object::Arena arena_{{.cap_bytes = 1 << 20, .slots = 4}, 0};
  std::string base_;
  std::filesystem::path file_;
  SpillPlace place_;
  std::mutex mutex_;  // guards woken_
  std::condition_variable changed_;
  int woken_ = 0;
  int taken_ = 0;
  std::optional<daemon::SpillDisk> disk_;
};

}  // namespace

void run(std::span<const std::byte> input) {
  static Spilled spilled;
  spilled.overwrite(input);
  const std::string back = spilled.read();
  const bool whole = input.size() >= object_bytes && text_of(input.first(object_bytes)) == original();
  require(whole ? back == original() : back.empty());
}

std::vector<Input> seeds() {
  const std::string bytes = original();
  return {bytes_of(bytes), bytes_of(bytes + "more"), bytes_of(bytes.substr(1)), {}};
}

}  // namespace mobula::fuzz
