// What several actors (or tasks) compute together: barrier, all-reduce, reduce, broadcast, gather, scatter, all-gather,
// reduce-scatter.
//
//   mobula::Collective group(rt, 4);                                 // four members, on whatever nodes
//   for (int rank = 0; rank < 4; ++rank) learners[rank].call<&Learner::join>(group, rank);
//
//   void Learner::join(mobula::Collective group, int rank) { ring_ = group.join(rank); }     // waits for all
//   void Learner::step() {
//     ring_.all_reduce(std::span(gradients_), mobula::Reduce::mean); // in place; a Eigen matrix or vector fits too
//   }
//
// Every member calls the same operations in the same order; each call returns when all have made it. Results are the
// same bytes on every member and in every run: elements are combined in the order of the ranks, however they travel.
//
// Small values travel in messages, large ones as objects in shared memory, which members on one node read where they
// lie; between nodes each member fetches only the part that it combines.
//
// When a member dies, or leaves (its Communicator is destroyed, or join()ed again), or members call different things,
// the collective ends for all: calls that wait and later ones throw ErrorCode::collective_broken, which names the rank
// and why. Make a new Collective then. A member waits at most `timeout` for the others.
//
// A Communicator belongs to one thread at a time. The others' calls must be able to run: members are in processes of
// their own (in-process, workers = 0, only a collective of one makes sense).
#pragma once

#include <algorithm>
#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "mobula/runtime.h"

namespace mobula {

enum class Reduce : std::uint8_t { sum, product, min, max, mean };

struct CollectiveOptions {
  std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max();  // of one operation, and of join()
  Options actor{};                                                     // of the actor where members meet: a placement
};

namespace detail {

class CollectiveHub;
class CollectiveMember;

// What a member brings to an operation: all must ask for the same.
struct CollectiveAsk {
  enum class Deliver : std::uint8_t { all_to_all, all_to_root, root_to_all, mine_of_each, mine_of_root };
  enum class Operation : std::uint8_t {
    barrier,
    all_reduce,
    reduce,
    broadcast,
    all_gather,
    gather,
    reduce_scatter,
    scatter
  };
  std::uint64_t count = 0;    // elements; compared where `same_count`
  std::uint32_t element = 0;  // bytes
  std::int32_t root = -1;
  Operation operation = Operation::barrier;
  std::uint8_t kind = 0;  // of the element's type
  std::uint8_t reduce = 0;
  Deliver deliver = Deliver::all_to_all;
  bool same_count = true;
};

// Numbers that were brought, as they came: by rank.
using CollectiveParts = std::vector<Array<std::byte>>;

template <class T>
constexpr std::uint8_t number_kind() {
  return std::is_floating_point_v<T> ? 1 : std::is_signed_v<T> ? 2 : 3;
}
template <class T>
concept Number = std::is_arithmetic_v<T> && !std::is_same_v<T, bool>;
// Dense Eigen objects, and whatever else has this form.
template <class M>
concept Dense = Number<typename M::Scalar> && requires(M& m) {
  { m.data() } -> std::convertible_to<const typename M::Scalar*>;
  m.size();
};

// Where the part of `rank` begins when `count` elements are shared among `size`.
constexpr std::size_t part_begin(std::size_t count, int size, int rank) {
  return count * static_cast<std::size_t>(rank) / static_cast<std::size_t>(size);
}

template <class T>
std::span<const T> numbers(const Array<std::byte>& bytes) {
  return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}
template <Number T>
std::span<const std::byte> bytes_of(std::span<const T> values) {
  return std::as_bytes(values);
}

// out[i] = parts[0][i] op parts[1][i] op ...: in this order, so that the bytes do not depend on anything else.
template <Number T>
void combine(std::span<T> out, const std::vector<std::span<const T>>& parts, Reduce how) {
  constexpr std::size_t block = 4096;  // stays in the cache while all parts are added
  for (std::size_t from = 0; from < out.size(); from += block) {
    const std::size_t to = std::min(out.size(), from + block);
    std::copy(parts[0].begin() + static_cast<std::ptrdiff_t>(from), parts[0].begin() + static_cast<std::ptrdiff_t>(to),
              out.begin() + static_cast<std::ptrdiff_t>(from));
    for (std::size_t p = 1; p < parts.size(); ++p) {
      const T* const in = parts[p].data();
      T* const acc = out.data();
      switch (how) {
        case Reduce::sum:
        case Reduce::mean:
          for (std::size_t i = from; i < to; ++i) acc[i] = static_cast<T>(acc[i] + in[i]);
          break;
        case Reduce::product:
          for (std::size_t i = from; i < to; ++i) acc[i] = static_cast<T>(acc[i] * in[i]);
          break;
        case Reduce::min:
          for (std::size_t i = from; i < to; ++i) acc[i] = in[i] < acc[i] ? in[i] : acc[i];
          break;
        case Reduce::max:
          for (std::size_t i = from; i < to; ++i) acc[i] = acc[i] < in[i] ? in[i] : acc[i];
          break;
      }
    }
    if (how != Reduce::mean) continue;
    for (std::size_t i = from; i < to; ++i) out[i] = static_cast<T>(out[i] / static_cast<T>(parts.size()));
  }
}

}  // namespace detail

// One member's part in a collective.
class Communicator {
 public:
  Communicator();  // belongs to none: every operation throws TaskError(invalid)
  Communicator(Communicator&&) noexcept;
  Communicator& operator=(Communicator&&) noexcept;
  ~Communicator();  // leaves

  int rank() const;
  int size() const;

  void barrier();

  // In place, the same length everywhere.
  template <detail::Number T>
  void all_reduce(std::span<T> values, Reduce how = Reduce::sum) {
    if (small(values.size_bytes())) {
      const auto parts = exchange(ask<T>(Operation::all_reduce, values.size(), how), {values_of(values)});
      return detail::combine(values, spans<T>(parts), how);
    }
    const Array<T> mine = combined_part(std::span<const T>(values), how, Operation::all_reduce);
    const auto parts = exchange(ask<T>(Operation::all_reduce, values.size(), how), {values_of(mine.span())});
    for (int r = 0; r < size(); ++r) put_part(values, r, detail::numbers<T>(parts[static_cast<std::size_t>(r)]));
  }
  template <detail::Dense M>
  void all_reduce(M& matrix, Reduce how = Reduce::sum) {
    all_reduce(span_of(matrix), how);
  }

  // The same, but only `root` gets the result; the others keep what they had.
  template <detail::Number T>
  void reduce(std::span<T> values, int root, Reduce how = Reduce::sum) {
    if (small(values.size_bytes())) {
      auto what = ask<T>(Operation::reduce, values.size(), how);
      what.root = root, what.deliver = detail::CollectiveAsk::Deliver::all_to_root;
      const auto parts = exchange(what, {values_of(values)});
      if (rank() == root) detail::combine(values, spans<T>(parts), how);
      return;
    }
    const Array<T> mine = combined_part(std::span<const T>(values), how, Operation::reduce);
    auto what = ask<T>(Operation::reduce, values.size(), how);
    what.root = root, what.deliver = detail::CollectiveAsk::Deliver::all_to_root;
    const auto parts = exchange(what, {values_of(mine.span())});
    if (rank() != root) return;
    for (int r = 0; r < size(); ++r) put_part(values, r, detail::numbers<T>(parts[static_cast<std::size_t>(r)]));
  }
  template <detail::Dense M>
  void reduce(M& matrix, int root, Reduce how = Reduce::sum) {
    reduce(span_of(matrix), root, how);
  }

  // In place: what `root` has, everywhere. The same length everywhere.
  template <detail::Number T>
  void broadcast(std::span<T> values, int root) {
    auto what = ask<T>(Operation::broadcast, values.size());
    what.root = root, what.deliver = detail::CollectiveAsk::Deliver::root_to_all;
    std::vector<std::span<const std::byte>> mine;
    if (rank() == root) mine.push_back(values_of(values));
    const auto parts = exchange(what, mine);
    if (rank() != root) std::ranges::copy(detail::numbers<T>(parts.at(0)), values.begin());
  }
  template <detail::Dense M>
  void broadcast(M& matrix, int root) {
    broadcast(span_of(matrix), root);
  }

  // What each member has, in the order of the ranks; lengths may differ. Everywhere, or (gather) at `root` only, and
  // nothing elsewhere.
  template <detail::Number T>
  std::vector<std::vector<T>> all_gather(std::span<const T> values) {
    auto what = ask<T>(Operation::all_gather, values.size());
    what.same_count = false;
    return copies<T>(exchange(what, {values_of(values)}));
  }
  template <detail::Number T>
  std::vector<std::vector<T>> gather(std::span<const T> values, int root) {
    auto what = ask<T>(Operation::gather, values.size());
    what.same_count = false, what.root = root, what.deliver = detail::CollectiveAsk::Deliver::all_to_root;
    return copies<T>(exchange(what, {values_of(values)}));
  }
  template <class R>
  auto all_gather(const R& values) {
    return all_gather(const_span_of(values));
  }
  template <class R>
  auto gather(const R& values, int root) {
    return gather(const_span_of(values), root);
  }

  // This member's part of the combination: elements [share_begin(n), share_begin(n, rank() + 1)) of n.
  template <detail::Number T>
  std::vector<T> reduce_scatter(std::span<const T> values, Reduce how = Reduce::sum) {
    const Array<T> mine = combined_part(values, how, Operation::reduce_scatter);
    return {mine.begin(), mine.end()};
  }
  template <class R>
  auto reduce_scatter(const R& values, Reduce how = Reduce::sum) {
    return reduce_scatter(const_span_of(values), how);
  }
  // This member's part of what `root` has; the others' arguments are not looked at.
  template <detail::Number T>
  std::vector<T> scatter(std::span<const T> values, int root) {
    auto what = ask<T>(Operation::scatter, 0);
    what.root = root, what.deliver = detail::CollectiveAsk::Deliver::mine_of_root;
    const auto parts = exchange(what, rank() == root ? in_parts(values) : Spans{});
    const auto mine = detail::numbers<T>(parts.at(0));
    return {mine.begin(), mine.end()};
  }
  template <class R>
  auto scatter(const R& values, int root) {
    return scatter(const_span_of(values), root);
  }

  // Where the part of a member begins when `count` elements are shared.
  std::size_t share_begin(std::size_t count, int of_rank) const { return detail::part_begin(count, size(), of_rank); }
  std::size_t share_begin(std::size_t count) const { return share_begin(count, rank()); }

 private:
  friend class Collective;
  using Spans = std::vector<std::span<const std::byte>>;
  using Operation = detail::CollectiveAsk::Operation;
  explicit Communicator(std::unique_ptr<detail::CollectiveMember> member);

  static bool small(std::size_t bytes);
  bool one_node() const;
  detail::CollectiveParts exchange(detail::CollectiveAsk what, const Spans& mine);

  template <class T>
  static detail::CollectiveAsk ask(Operation operation, std::size_t count, Reduce how = Reduce::sum) {
    detail::CollectiveAsk what;
    what.operation = operation;
    what.count = count;
    what.element = sizeof(T);
    what.kind = detail::number_kind<T>();
    what.reduce = static_cast<std::uint8_t>(how);
    return what;
  }
  template <class T>
  static std::span<const std::byte> values_of(std::span<T> values) {
    return std::as_bytes(std::span<const T>(values));
  }
  template <class T>
  static std::vector<std::span<const T>> spans(const detail::CollectiveParts& parts) {
    std::vector<std::span<const T>> out;
    for (const auto& part : parts) out.push_back(detail::numbers<T>(part));
    return out;
  }
  template <class T>
  static std::vector<std::vector<T>> copies(const detail::CollectiveParts& parts) {
    std::vector<std::vector<T>> out;
    for (const std::span<const T> part : spans<T>(parts)) out.emplace_back(part.begin(), part.end());
    return out;
  }
  template <class T>
  Spans in_parts(std::span<const T> values) const {
    Spans out;
    for (int r = 0; r < size(); ++r) {
      const std::size_t begin = share_begin(values.size(), r), end = share_begin(values.size(), r + 1);
      out.push_back(values_of(values.subspan(begin, end - begin)));
    }
    return out;
  }
  // The first half of a reduction: this member's part of all that was brought.
  template <class T>
  Array<T> combined_part(std::span<const T> values, Reduce how, Operation operation) {
    const std::size_t begin = share_begin(values.size()), end = share_begin(values.size(), rank() + 1);
    auto what = ask<T>(operation, values.size(), how);
    detail::CollectiveParts parts;
    std::vector<std::span<const T>> mine;
    if (one_node()) {  // one object each, of which every member reads its part
      parts = exchange(what, {values_of(values)});
      for (const std::span<const T> part : spans<T>(parts)) mine.push_back(part.subspan(begin, end - begin));
    } else {
      what.deliver = detail::CollectiveAsk::Deliver::mine_of_each;
      parts = exchange(what, in_parts(values));
      mine = spans<T>(parts);
    }
    ArrayBuilder<T> out(end - begin);
    detail::combine(out.span(), mine, how);
    return std::move(out).finish();
  }
  template <class T>
  void put_part(std::span<T> values, int r, std::span<const T> part) const {
    std::ranges::copy(part, values.begin() + static_cast<std::ptrdiff_t>(share_begin(values.size(), r)));
  }
  template <class M>
  static std::span<typename M::Scalar> span_of(M& matrix) {
    return {matrix.data(), static_cast<std::size_t>(matrix.size())};
  }
  template <class R>
  static auto const_span_of(const R& values) {
    using T = std::remove_cvref_t<decltype(*values.data())>;
    return std::span<const T>(values.data(), static_cast<std::size_t>(values.size()));
  }

  std::unique_ptr<detail::CollectiveMember> member_;
};

// A handle on a collective, copied and passed to its members.
class Collective {
 public:
  Collective() = default;
  // Of `size` members with the ranks 0 to size - 1.
  Collective(const Runtime& rt, int size, const CollectiveOptions& options = {});

  // Becomes the member of this rank: waits until all have joined. Throws TaskError(invalid) for a rank that there is
  // not and collective_broken where a member died, or the rank was taken before.
  Communicator join(int rank) const;

  int size() const { return static_cast<int>(size_); }
  explicit operator bool() const { return static_cast<bool>(hub_); }
  template <class A>
  void serialize(A& a) {
    a(hub_, size_);
  }

 private:
  Actor<detail::CollectiveHub> hub_;
  std::uint32_t size_ = 0;
};

}  // namespace mobula
