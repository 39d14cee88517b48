// After any number of random creations, borrowings and drops, with processes killed in between, nothing is left. The
// number is MOBULA_LEAK_OPERATIONS (20,000), the seed MOBULA_LEAK_SEED; the CTest test `leaks_million` runs a million.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include <mobula/runtime.h>

#include "runtime/client/process_core.h"
#include "runtime/object/arena.h"

namespace mobula {
namespace {

using namespace std::chrono_literals;
using Blob = std::vector<char>;
using Blobs = std::vector<Ref<Blob>>;

constexpr std::size_t large = 70'000;  // an object; small ones travel inline

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

Blob make(std::size_t size) {
  return Blob(size, 'x');
}
Blob grow(const Blob& from) {
  return Blob(from.size() + 1, 'y');
}
// The refs come back, borrowed by the worker on the way.
Blobs pass(Blobs refs) {
  return refs;
}
// Refs that the worker owns: a value, the result of a task of its own, and what it was given.
Blobs make_refs(Blobs given, std::size_t size) {
  auto rt = Runtime::current();
  given.push_back(rt.put(Blob(size, 'z')));
  given.push_back(rt.remote<make>(size / 2 + 1));
  return given;
}
int die() {
  kill(getpid(), SIGKILL);
  return 0;
}
int nothing() {
  return 0;
}

struct Holder {
  std::vector<Blobs> kept;
  int keep(Blobs refs) {
    kept.push_back(std::move(refs));
    if (kept.size() > 20) kept.erase(kept.begin(), kept.begin() + 10);
    return static_cast<int>(kept.size());
  }
  Blobs share() { return kept.empty() ? Blobs{} : kept.back(); }
  int die() { return mobula::die(); }
};

// The arena of this process's node, by its descriptor.
std::optional<object::ArenaUsage> usage_of_arena() {
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string target = std::filesystem::read_symlink(entry.path(), gone);
    if (gone || target.find("memfd:mobula-arena") == std::string::npos) continue;
    object::Arena arena(fcntl(std::stoi(entry.path().filename()), F_DUPFD_CLOEXEC, 0), 0);
    return arena.usage();
  }
  return std::nullopt;
}

class RandomWork {
 public:
  RandomWork(const Runtime& rt, std::uint64_t seed) : rt_(rt), random_(seed) {
    for (int i = 0; i < 3; ++i) holders_.push_back(spawn());
  }

  void step() {
    switch (below(16)) {
      case 0:
        return add(rt_.put(Blob(size(), 'a')));
      case 1:
      case 2:
        return add(rt_.remote<make>(size()));
      case 3:
        if (!refs_.empty()) add(rt_.remote<grow>(some()));
        return;
      case 4:
      case 5:
        lists_.push_back(rt_.remote<pass>(some_refs()));
        return;
      case 6:
        lists_.push_back(rt_.remote<make_refs>(some_refs(), size()));
        return;
      case 7:
        holders_[below(holders_.size())].call<&Holder::keep>(some_refs());
        return;
      case 8:
        lists_.push_back(holders_[below(holders_.size())].call<&Holder::share>());
        return;
      case 9:
        return open_one();
      case 10:
        if (below(100) == 0) holders_[below(holders_.size())] = spawn();
        return;
      case 11:
        if (below(300) == 0) kill_one();
        return;
      default:
        drop();
    }
  }

 private:
  std::size_t below(std::size_t n) { return std::uniform_int_distribution<std::size_t>(0, n - 1)(random_); }
  std::size_t size() { return below(8) == 0 ? large : 100; }
  Actor<Holder> spawn() { return rt_.with({.max_restarts = -1}).spawn<Holder>(); }
  Ref<Blob> some() { return refs_[below(refs_.size())]; }
  Blobs some_refs() {
    Blobs out;
    for (std::size_t i = below(3); i > 0 && !refs_.empty(); --i) out.push_back(some());
    return out;
  }
  void add(Ref<Blob> ref) {
    refs_.push_back(std::move(ref));
    if (refs_.size() > 400) drop();
  }
  // A list that came back: what is in it is held on its own.
  void open_one() {
    if (lists_.empty()) return;
    const std::size_t which = below(lists_.size());
    const auto list = std::move(lists_[which]);
    lists_.erase(lists_.begin() + static_cast<std::ptrdiff_t>(which));
    if (const auto refs = list.try_get(100ms)) {
      for (const Ref<Blob>& ref : *refs) add(ref);
    }
  }
  void drop() {
    if (!refs_.empty()) {
      std::swap(refs_[below(refs_.size())], refs_.back());
      refs_.pop_back();
    }
    if (lists_.size() > 60) lists_.erase(lists_.begin(), lists_.begin() + 30);
  }
  void kill_one() {
    if (below(2) == 0) {
      rt_.with({.max_retries = 0}).remote<die>();
    } else {
      holders_[below(holders_.size())].call<&Holder::die>();
    }
  }

  const Runtime& rt_;
  std::mt19937_64 random_;
  Blobs refs_;
  std::vector<Ref<Blobs>> lists_;
  std::vector<Actor<Holder>> holders_;
};

TEST(Leaks, NothingIsLeftOfRandomWorkWithKilledProcesses) {
  const std::uint64_t operations = from_environment("MOBULA_LEAK_OPERATIONS", 20'000);
  const std::uint64_t seed = from_environment("MOBULA_LEAK_SEED", std::random_device()());
  SCOPED_TRACE("replay with MOBULA_LEAK_SEED=" + std::to_string(seed));
  const Runtime rt = Runtime::start({.workers = 3, .object_memory = std::size_t{1} << 30});
  ASSERT_TRUE(usage_of_arena().has_value()) << "the arena of this process was not found";
  {
    RandomWork work(rt, seed);
    for (std::uint64_t i = 0; i < operations; ++i) work.step();
    EXPECT_GT(usage_of_arena()->objects, 0u) << "the work made no objects, so it shows nothing";
  }
  auto& core = dynamic_cast<client::ProcessCore&>(rt.core());
  const auto until = std::chrono::steady_clock::now() + 60s;
  const auto left = [&] {
    Owner::Counts counts = core.counts();
    counts.leases = counts.lease_requests = 0;  // kept for a while
    return counts;
  };
  while (!(left() == Owner::Counts{} && usage_of_arena()->objects == 0)) {
    if (std::chrono::steady_clock::now() > until) break;
    // What is freed travels with the next calls.
    const Ref<int> next = rt.remote<nothing>();
    ASSERT_TRUE(next.try_get(20s)) << rt.explain(next);
  }
  const Owner::Counts counts = left();
  EXPECT_EQ(counts.owned, 0u);
  EXPECT_EQ(counts.borrowed, 0u);
  EXPECT_EQ(counts.tasks, 0u);
  EXPECT_EQ(counts.held, 0u);
  EXPECT_EQ(usage_of_arena()->objects, 0u) << "of " << operations << " operations";
}

}  // namespace
}  // namespace mobula
