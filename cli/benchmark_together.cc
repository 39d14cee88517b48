// Rows of actors that compute together.
#include <fmt/format.h>

#include <span>
#include <vector>

#include <mobula/collective.h>

#include "cli/benchmark_cases.h"

namespace mobula::cli {

namespace {

using bench::Case;
using bench::Measure;

class Member {
 public:
  explicit Member(std::size_t numbers) : values_(numbers, 1.0F) {}
  void join(Collective group, int rank) { ring_ = group.join(rank); }
  void all_reduce() { ring_.all_reduce(std::span(values_), Reduce::max); }
  void barriers(int count) {
    for (int i = 0; i < count; ++i) ring_.barrier();
  }
  void small(int count) {
    for (int i = 0; i < count; ++i) ring_.all_reduce(std::span(values_).first(256), Reduce::max);
  }

 private:
  std::vector<float> values_;
  Communicator ring_;
};

}  // namespace

void add_together_cases(BenchmarkBed& bed, std::vector<Case>& cases) {
  const std::size_t bytes = bed.many(100'000'000);
  const Lazily members([&bed, bytes] {
    std::vector<Actor<Member>> out;
    std::vector<Ref<void>> joined;
    const Collective group(*bed.runtime, 2);
    for (int rank = 0; rank < 2; ++rank) {
      out.push_back(bed.runtime->spawn<Member>(bytes / sizeof(float)));
      joined.push_back(out.back().call<&Member::join>(group, rank));
    }
    for (const auto& one : joined) one.get();
    return out;
  });
  const auto together = [members](auto call) {
    const Ref<void> first = call((*members)[0]), second = call((*members)[1]);
    first.get();
    second.get();
  };
  cases.push_back(measured("all_reduce_100mb", fmt::format("all_reduce of {} MB of two actors", bytes / 1'000'000),
                           Measure::speed, "memcpy_touched", 1, [together] {
                             together([](Actor<Member>& member) { return member.call<&Member::all_reduce>(); });
                           }));
  const auto count = static_cast<int>(bed.many(10'000));
  cases.push_back(measured(
      "barriers", fmt::format("{} barriers of two actors", count), Measure::rate, "", count,
      [together, count] { together([&](Actor<Member>& member) { return member.call<&Member::barriers>(count); }); }));
  cases.push_back(measured(
      "all_reduce_1kb", fmt::format("{} times all_reduce of 1 KiB of two actors", count), Measure::rate, "", count,
      [together, count] { together([&](Actor<Member>& member) { return member.call<&Member::small>(count); }); }));
}

}  // namespace mobula::cli
