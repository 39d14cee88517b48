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
// Members on one node meet in shared memory, and large values pass through it in pieces that stay in the caches.
// Between nodes one member of each node meets the others' in an actor; large values are objects, of which each member
// fetches only the part that it combines.
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
#include <functional>
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
  Options actor{};  // of the actor that knows the members: a placement
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

// out[i] = parts[0][i] op parts[1][i] op ...: in this order, so that the bytes do not depend on anything else.
template <Number T>
void combine(T* out, std::span<const std::byte* const> parts, std::size_t count, Reduce how) {
  constexpr std::size_t block = 4096;  // stays in the cache while all parts are added
  for (std::size_t from = 0; from < count; from += block) {
    const std::size_t n = std::min(count - from, block);
    T* const acc = out + from;
    std::copy_n(reinterpret_cast<const T*>(parts[0]) + from, n, acc);
    for (std::size_t p = 1; p < parts.size(); ++p) {
      const T* const in = reinterpret_cast<const T*>(parts[p]) + from;
      switch (how) {
        case Reduce::sum:
        case Reduce::mean:
          for (std::size_t i = 0; i < n; ++i) acc[i] = static_cast<T>(acc[i] + in[i]);
          break;
        case Reduce::product:
          for (std::size_t i = 0; i < n; ++i) acc[i] = static_cast<T>(acc[i] * in[i]);
          break;
        case Reduce::min:
          for (std::size_t i = 0; i < n; ++i) acc[i] = in[i] < acc[i] ? in[i] : acc[i];
          break;
        case Reduce::max:
          for (std::size_t i = 0; i < n; ++i) acc[i] = acc[i] < in[i] ? in[i] : acc[i];
          break;
      }
    }
    if (how != Reduce::mean) continue;
    for (std::size_t i = 0; i < n; ++i) acc[i] = static_cast<T>(acc[i] / static_cast<T>(parts.size()));
  }
}
// The same, of numbers of some type. None of the parts is the result.
using Combine = void (*)(std::byte* out, std::span<const std::byte* const> parts, std::size_t count, Reduce how);
template <Number T>
void combine_bytes(std::byte* out, std::span<const std::byte* const> parts, std::size_t count, Reduce how) {
  combine(reinterpret_cast<T*>(out), parts, count, how);
}
// Where so many bytes of the member of this rank are to be copied to.
using CollectiveRoom = std::function<std::byte*(int rank, std::size_t bytes)>;

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
    reduce_in_place(ask<T>(Operation::all_reduce, values.size(), how), std::as_writable_bytes(values),
                    &detail::combine_bytes<T>);
  }
  template <detail::Dense M>
  void all_reduce(M& matrix, Reduce how = Reduce::sum) {
    all_reduce(span_of(matrix), how);
  }

  // The same, but only `root` gets the result; the others keep what they had.
  template <detail::Number T>
  void reduce(std::span<T> values, int root, Reduce how = Reduce::sum) {
    auto what = ask<T>(Operation::reduce, values.size(), how);
    what.root = root, what.deliver = Deliver::all_to_root;
    reduce_in_place(what, std::as_writable_bytes(values), &detail::combine_bytes<T>);
  }
  template <detail::Dense M>
  void reduce(M& matrix, int root, Reduce how = Reduce::sum) {
    reduce(span_of(matrix), root, how);
  }

  // In place: what `root` has, everywhere. The same length everywhere.
  template <detail::Number T>
  void broadcast(std::span<T> values, int root) {
    auto what = ask<T>(Operation::broadcast, values.size());
    what.root = root, what.deliver = Deliver::root_to_all;
    broadcast_bytes(what, std::as_writable_bytes(values));
  }
  template <detail::Dense M>
  void broadcast(M& matrix, int root) {
    broadcast(span_of(matrix), root);
  }

  // What each member has, in the order of the ranks; lengths may differ. Everywhere, or (gather) at `root` only, and
  // nothing elsewhere.
  template <detail::Number T>
  std::vector<std::vector<T>> all_gather(std::span<const T> values) {
    return gathered(ask<T>(Operation::all_gather, values.size()), values);
  }
  template <detail::Number T>
  std::vector<std::vector<T>> gather(std::span<const T> values, int root) {
    auto what = ask<T>(Operation::gather, values.size());
    what.root = root, what.deliver = Deliver::all_to_root;
    return gathered(what, values);
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
    std::vector<T> part(share_begin(values.size(), rank() + 1) - share_begin(values.size()));
    reduce_to_parts(ask<T>(Operation::reduce_scatter, values.size(), how), std::as_bytes(values),
                    std::as_writable_bytes(std::span<T>(part)), &detail::combine_bytes<T>);
    return part;
  }
  template <class R>
  auto reduce_scatter(const R& values, Reduce how = Reduce::sum) {
    return reduce_scatter(const_span_of(values), how);
  }
  // This member's part of what `root` has; the others' arguments are not looked at.
  template <detail::Number T>
  std::vector<T> scatter(std::span<const T> values, int root) {
    auto what = ask<T>(Operation::scatter, 0);
    what.root = root, what.deliver = Deliver::mine_of_root;
    std::vector<T> mine;
    scatter_bytes(what, std::as_bytes(values), [&](int, std::size_t bytes) {
      mine.resize(bytes / sizeof(T));
      return reinterpret_cast<std::byte*>(mine.data());
    });
    return mine;
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
  using Operation = detail::CollectiveAsk::Operation;
  using Deliver = detail::CollectiveAsk::Deliver;
  explicit Communicator(std::unique_ptr<detail::CollectiveMember> member);

  void reduce_in_place(const detail::CollectiveAsk& what, std::span<std::byte> values, detail::Combine combine);
  void reduce_to_parts(const detail::CollectiveAsk& what, std::span<const std::byte> values, std::span<std::byte> part,
                       detail::Combine combine);
  void broadcast_bytes(const detail::CollectiveAsk& what, std::span<std::byte> values);
  void gather_bytes(const detail::CollectiveAsk& what, std::span<const std::byte> mine,
                    const detail::CollectiveRoom& room);
  void scatter_bytes(const detail::CollectiveAsk& what, std::span<const std::byte> all,
                     const detail::CollectiveRoom& room);

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
  std::vector<std::vector<T>> gathered(detail::CollectiveAsk what, std::span<const T> values) {
    what.same_count = false;
    std::vector<std::vector<T>> out;
    gather_bytes(what, std::as_bytes(values), [&](int of_rank, std::size_t bytes) {
      out.resize(static_cast<std::size_t>(size()));
      std::vector<T>& part = out[static_cast<std::size_t>(of_rank)];
      part.resize(bytes / sizeof(T));
      return reinterpret_cast<std::byte*>(part.data());
    });
    return out;
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
    a(hub_, size_, timeout_);
  }

 private:
  Actor<detail::CollectiveHub> hub_;
  std::uint32_t size_ = 0;
  std::int64_t timeout_ = 0;  // nanoseconds
};

}  // namespace mobula
