// What actors compute together: each operation on worker processes, and how it ends when one of them dies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include <mobula/codec/eigen.h>
#include <mobula/collective.h>
#include <mobula/runtime.h>

#include "tests/support/marks.h"

namespace mobula {
namespace {

using namespace std::chrono_literals;
using test::Marks;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// Numbers of which sums in another order have other bytes.
template <class T>
std::vector<T> numbers_of(int rank, std::size_t n) {
  std::mt19937 random(static_cast<std::uint32_t>(rank));
  std::vector<T> out(n);
  for (T& x : out) {
    x = static_cast<T>(static_cast<double>(random()) / 1000.0 - (std::is_unsigned_v<T> ? 0.0 : 2e6));
  }
  return out;
}
template <class T>
std::vector<T> sum_in_order(int size, std::size_t n) {
  std::vector<T> sum = numbers_of<T>(0, n);
  for (int r = 1; r < size; ++r) {
    const std::vector<T> next = numbers_of<T>(r, n);
    for (std::size_t i = 0; i < n; ++i) sum[i] = static_cast<T>(sum[i] + next[i]);
  }
  return sum;
}

class Member {
 public:
  bool join(Collective group, int rank) {
    ring_ = group.join(rank);
    return ring_.rank() == rank && ring_.size() == group.size();
  }
  template <class T>
  std::vector<T> all_reduce(std::size_t n) {
    std::vector<T> values = numbers_of<T>(ring_.rank(), n);
    ring_.all_reduce(std::span(values));
    return values;
  }
  std::vector<int> how(int a, Reduce reduce) {
    std::vector<int> values{a * (ring_.rank() + 1), 10};
    ring_.all_reduce(std::span(values), reduce);
    return values;
  }
  Eigen::MatrixXd eigen(int rows) {
    Eigen::MatrixXd m = Eigen::MatrixXd::Constant(rows, 3, ring_.rank() + 1.0);
    ring_.all_reduce(m, Reduce::mean);
    Eigen::VectorXf v = Eigen::VectorXf::Constant(rows, static_cast<float>(ring_.rank()));
    ring_.broadcast(v, 1);
    return m.array() * v[0];
  }
  std::vector<int> reduce(std::size_t n, int root) {
    std::vector<int> values(n, ring_.rank() + 1);
    ring_.reduce(std::span(values), root);
    return values;
  }
  std::vector<double> broadcast(std::size_t n, int root) {
    std::vector<double> values = numbers_of<double>(ring_.rank(), n);
    ring_.broadcast(std::span(values), root);
    return values;
  }
  std::vector<std::vector<int>> gather(int root) {
    const std::vector<int> mine(static_cast<std::size_t>(ring_.rank()) * 1000 + 1, ring_.rank());
    return root < 0 ? ring_.all_gather(mine) : ring_.gather(mine, root);
  }
  std::vector<int> scatter(std::size_t n, int root) {
    std::vector<int> all(n);
    std::iota(all.begin(), all.end(), ring_.rank() * 1'000'000);
    return ring_.scatter(all, root);
  }
  std::vector<float> reduce_scatter(std::size_t n) { return ring_.reduce_scatter(numbers_of<float>(ring_.rank(), n)); }
  void barrier(Marks::Name before, Marks::Name after, std::size_t all) {
    test::leave(before);
    ring_.barrier();
    if (test::count(before) == all) test::leave(after);
  }
  void waits(Marks::Name here) {
    test::leave(here);
    ring_.barrier();
  }
  // Until the collective ends.
  void for_ever(Marks::Name here, std::size_t n) {
    std::vector<float> values(n, 1.0F);
    for (int i = 0;; ++i) {
      ring_.all_reduce(std::span(values), Reduce::max);
      if (i == 3) test::leave(here);
    }
  }
  // Each calls something else.
  std::size_t gather_or_scatter() {
    const std::vector<int> mine(100'000, ring_.rank());
    if (ring_.rank() == 1) {
      ring_.scatter(mine, 0);
    } else {
      ring_.all_gather(mine);
    }
    return mine.size();
  }
  void dies() { raise(SIGKILL); }
  void leaves() { ring_ = Communicator(); }

 private:
  Communicator ring_;
};

class Collectives : public testing::Test {
 protected:
  const Marks marks;
  const Runtime rt = Runtime::start({.workers = 2});
  std::vector<Actor<Member>> members;

  void make(int size, const CollectiveOptions& options = {}) {
    const Collective group(rt, size, options);
    std::vector<Ref<bool>> joined;
    for (int rank = 0; rank < size; ++rank) {
      members.push_back(rt.spawn<Member>());
      joined.push_back(members.back().call<&Member::join>(group, rank));
    }
    for (const Ref<bool>& one : joined) ASSERT_TRUE(one.get(30s));
  }
  template <auto M, class... A>
  auto all(const A&... args) {
    std::vector<decltype(members[0].call<M>(args...))> calls;
    for (const auto& member : members) calls.push_back(member.call<M>(args...));
    std::vector<decltype(calls[0].get())> out;
    for (const auto& call : calls) out.push_back(call.get(30s));
    return out;
  }
};

template <class T>
void expect_same_bytes(const std::vector<T>& a, const std::vector<T>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.size() * sizeof(T)), 0);
}

TEST_F(Collectives, AllReduceAddsInTheOrderOfTheRanks) {
  make(3);
  for (const std::size_t n : {0, 1, 1000, 100'003}) {  // in messages, and as objects
    for (const auto& got : all<&Member::all_reduce<float>>(n)) expect_same_bytes(got, sum_in_order<float>(3, n));
    for (const auto& got : all<&Member::all_reduce<double>>(n)) expect_same_bytes(got, sum_in_order<double>(3, n));
    for (const auto& got : all<&Member::all_reduce<std::int64_t>>(n)) {
      expect_same_bytes(got, sum_in_order<std::int64_t>(3, n));
    }
    for (const auto& got : all<&Member::all_reduce<std::uint8_t>>(n)) {
      expect_same_bytes(got, sum_in_order<std::uint8_t>(3, n));
    }
  }
}

TEST_F(Collectives, EveryWayToReduce) {
  make(3);
  for (const auto& got : all<&Member::how>(2, Reduce::sum)) EXPECT_THAT(got, ElementsAre(12, 30));
  for (const auto& got : all<&Member::how>(2, Reduce::product)) EXPECT_THAT(got, ElementsAre(48, 1000));
  for (const auto& got : all<&Member::how>(2, Reduce::min)) EXPECT_THAT(got, ElementsAre(2, 10));
  for (const auto& got : all<&Member::how>(2, Reduce::max)) EXPECT_THAT(got, ElementsAre(6, 10));
  for (const auto& got : all<&Member::how>(2, Reduce::mean)) EXPECT_THAT(got, ElementsAre(4, 10));
  for (const std::size_t n : {3, 50'000}) {
    const auto got = all<&Member::reduce>(n, 1);
    EXPECT_EQ(got[1], std::vector<int>(n, 6));
    EXPECT_EQ(got[0], std::vector<int>(n, 1));  // the others keep theirs
  }
}

TEST_F(Collectives, MatricesAreReducedInPlace) {
  make(2);
  for (const int rows : {2, 5000}) {
    for (const auto& got : all<&Member::eigen>(rows)) {
      EXPECT_EQ(got.rows(), rows);
      EXPECT_TRUE((got.array() == 1.5).all());
    }
  }
}

TEST_F(Collectives, BroadcastGatherAndScatter) {
  make(3);
  for (const std::size_t n : {5, 100'000}) {
    for (const auto& got : all<&Member::broadcast>(n, 2)) expect_same_bytes(got, numbers_of<double>(2, n));
  }
  for (const auto& got : all<&Member::gather>(-1)) {
    ASSERT_EQ(got.size(), 3u);
    for (int r = 0; r < 3; ++r) {
      EXPECT_EQ(got[static_cast<std::size_t>(r)], std::vector<int>(static_cast<std::size_t>(r) * 1000 + 1, r));
    }
  }
  const auto gathered = all<&Member::gather>(1);
  EXPECT_EQ(gathered[1].size(), 3u);
  EXPECT_TRUE(gathered[0].empty());
  for (const std::size_t n : {2, 7, 100'000}) {  // also where some get nothing
    std::vector<int> together;
    for (const auto& got : all<&Member::scatter>(n, 1)) together.insert(together.end(), got.begin(), got.end());
    std::vector<int> wanted(n);
    std::iota(wanted.begin(), wanted.end(), 1'000'000);
    EXPECT_EQ(together, wanted);
  }
  for (const std::size_t n : {10, 50'000}) {
    std::vector<float> together;
    for (const auto& got : all<&Member::reduce_scatter>(n)) together.insert(together.end(), got.begin(), got.end());
    expect_same_bytes(together, sum_in_order<float>(3, n));
  }
}

TEST_F(Collectives, NobodyPassesABarrierBeforeAllHaveCome) {
  make(4);
  const auto before = marks.name("before"), after = marks.name("after");
  std::vector<Ref<void>> calls;
  for (const auto& member : members) calls.push_back(member.call<&Member::barrier>(before, after, std::size_t{4}));
  for (const auto& call : calls) call.get(30s);
  EXPECT_EQ(test::count(after), 4u);
}

TEST_F(Collectives, TheDeathOfAMemberEndsItForAll) {
  make(3);
  const auto here = marks.name("here");
  const auto first = members[0].call<&Member::waits>(here);
  const auto second = members[1].call<&Member::waits>(here);
  test::await(here, 2);
  const auto began = std::chrono::steady_clock::now();
  members[2].call<&Member::dies>();  // in the middle of something else
  for (const auto& call : {first, second}) {
    const Error error = call.try_get(30s).error();
    EXPECT_THAT(error.describe(), AllOf(HasSubstr("collective_broken"), HasSubstr("rank 2 has died")));
  }
  EXPECT_LT(std::chrono::steady_clock::now() - began, 5s);
  // Later calls are told as well.
  EXPECT_THAT(members[0].call<&Member::waits>(here).try_get(30s).error().describe(), HasSubstr("rank 2 has died"));
}

TEST_F(Collectives, ADeathInTheMiddleOfAnOperationEndsItToo) {
  make(3);
  const auto here = marks.name("here");
  const auto waiting = members[1].call<&Member::waits>(here);
  test::await(here);
  rt.kill(members[1]);
  EXPECT_EQ(waiting.try_get(30s).error().code, ErrorCode::actor_died);
  EXPECT_THAT(members[0].call<&Member::waits>(here).try_get(30s).error().describe(), HasSubstr("rank 1 has died"));
}

TEST_F(Collectives, ADeathBetweenThePiecesOfALargeValueEndsItToo) {
  for (const std::size_t n : {std::size_t{10}, std::size_t{3'000'000}}) {
    members.clear();
    make(3);
    const auto here = marks.name(n == 10 ? "small" : "large");
    std::vector<Ref<void>> running;
    for (const auto& member : members) running.push_back(member.call<&Member::for_ever>(here, n));
    test::await(here, 3);
    rt.kill(members[0]);
    for (int rank : {1, 2}) {
      EXPECT_THAT(running[static_cast<std::size_t>(rank)].try_get(30s).error().describe(),
                  AllOf(HasSubstr("collective_broken"), HasSubstr("rank 0 has died")));
    }
  }
}

TEST_F(Collectives, AMemberWhoseCallIsCancelledEndsIt) {
  make(2);
  const auto here = marks.name("here");
  const auto waits = members[0].call<&Member::waits>(here);
  test::await(here);
  rt.cancel(waits);
  EXPECT_FALSE(waits.try_get(30s).ok());
  EXPECT_THAT(members[1].call<&Member::waits>(here).try_get(30s).error().describe(),
              AllOf(HasSubstr("collective_broken"), HasSubstr("rank 0")));
}

TEST_F(Collectives, MoreMembersThanProcessorsMeetAgainAndAgain) {
  make(7);
  for (int turn = 0; turn < 20; ++turn) {
    for (const std::size_t n : {7, 20'000}) {
      for (const auto& got : all<&Member::all_reduce<float>>(n)) expect_same_bytes(got, sum_in_order<float>(7, n));
    }
  }
}

TEST_F(Collectives, LeavingAndCallingDifferentThingsEndItToo) {
  make(2);
  const auto waiting = members[0].call<&Member::reduce>(std::size_t{4}, 0);
  const auto other = members[1].call<&Member::reduce>(std::size_t{5}, 0);
  for (const auto& call : {waiting, other}) {
    EXPECT_THAT(call.try_get(30s).error().describe(),
                AllOf(HasSubstr("reduce of 4 signed numbers of 4 bytes (sum) with root 0"),
                      HasSubstr("reduce of 5 signed numbers of 4 bytes (sum) with root 0")));
  }
  members.clear();
  make(2);
  const auto gathers = members[0].call<&Member::gather_or_scatter>();
  const auto scatters = members[1].call<&Member::gather_or_scatter>();
  for (const auto& call : {gathers, scatters}) {
    EXPECT_THAT(call.try_get(30s).error().describe(),
                AllOf(HasSubstr("rank 0 called all_gather"), HasSubstr("rank 1 called scatter")));
  }
  members.clear();
  make(2);
  const auto here = marks.name("here");
  const auto stays = members[0].call<&Member::waits>(here);
  members[1].call<&Member::leaves>().get();
  EXPECT_THAT(stays.try_get(30s).error().describe(), HasSubstr("rank 1 has left"));
}

TEST_F(Collectives, AMemberThatDoesNotComeInTimeIsNamed) {
  make(2, {.timeout = 50ms});
  const auto here = marks.name("here");
  EXPECT_THAT(members[0].call<&Member::waits>(here).try_get(30s).error().describe(),
              AllOf(HasSubstr("rank 0 waited 50 ms in barrier"), HasSubstr("rank 1 did not come")));
}

TEST_F(Collectives, WrongUseIsRefused) {
  EXPECT_THROW(Collective(rt, 0), TaskError);
  const Collective group(rt, 2);
  EXPECT_THROW(group.join(2), TaskError);
  EXPECT_THROW(Communicator().barrier(), TaskError);
  make(1);
  EXPECT_THAT(members[0].call<&Member::broadcast>(std::size_t{2}, 1).try_get(30s).error().describe(),
              HasSubstr("broadcast with root 1: the ranks are 0 to 0"));
}

TEST(CollectiveInProcess, OneMemberIsEnoughForItself) {
  const Runtime rt = Runtime::start({.workers = 0});
  Communicator alone = Collective(rt, 1).join(0);
  std::vector<float> values(10'000, 2.0F);
  alone.all_reduce(std::span(values), Reduce::mean);
  EXPECT_EQ(values, std::vector<float>(10'000, 2.0F));
}

}  // namespace
}  // namespace mobula
