// Codecs for Eigen's dense matrices, vectors and arrays, of fixed and of dynamic size. Large ones are written at a
// multiple of 64 bytes and can be read where they lie, without a copy:
//
//   double trace(mobula::MatrixView<Eigen::MatrixXd> m) { return m->trace(); }   // a Ref<Eigen::MatrixXd> fits here
//   mobula::MatrixView<Eigen::MatrixXd> m = mobula::view(ref);                   // and this process reads it in place
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include <Eigen/Core>

#include "mobula/codec.h"
#include "mobula/detail/signature.h"
#include "mobula/ref.h"

namespace mobula {
namespace detail {

template <class M>
struct DenseCodec {
  using Scalar = typename M::Scalar;
  static_assert(std::is_trivially_copyable_v<Scalar>, "mobula: a matrix of numbers can travel");

  static void encode(Encoder& e, const M& m) {
    e(static_cast<std::int64_t>(m.rows()), static_cast<std::int64_t>(m.cols()));
    e.block(m.data(), static_cast<std::size_t>(m.size()), sizeof(Scalar));
  }
  struct Shape {
    std::int64_t rows, cols;
    std::span<const std::byte> bytes;
  };
  static Shape shape(Decoder& d) {
    const auto rows = d.read<std::int64_t>(), cols = d.read<std::int64_t>();
    const auto bytes = d.block(sizeof(Scalar));
    const auto size = static_cast<std::int64_t>(bytes.size() / sizeof(Scalar));
    const bool fits = rows >= 0 && cols >= 0 && (cols == 0 ? size == 0 : size / cols == rows && size % cols == 0) &&
                      (M::RowsAtCompileTime == Eigen::Dynamic || rows == M::RowsAtCompileTime) &&
                      (M::ColsAtCompileTime == Eigen::Dynamic || cols == M::ColsAtCompileTime);
    if (!fits) {
      throw TaskError(
          {.code = ErrorCode::bad_message, .message = "decoding a matrix: its shape and its bytes disagree"});
    }
    return {rows, cols, bytes};
  }
  static M decode(Decoder& d) {
    const Shape found = shape(d);
    M m;
    m.resize(found.rows, found.cols);
    if (!found.bytes.empty()) std::memcpy(static_cast<void*>(m.data()), found.bytes.data(), found.bytes.size());
    return m;
  }
};

}  // namespace detail

template <class S, int R, int C, int O, int MR, int MC>
struct Codec<Eigen::Matrix<S, R, C, O, MR, MC>> : detail::DenseCodec<Eigen::Matrix<S, R, C, O, MR, MC>> {};
template <class S, int R, int C, int O, int MR, int MC>
struct Codec<Eigen::Array<S, R, C, O, MR, MC>> : detail::DenseCodec<Eigen::Array<S, R, C, O, MR, MC>> {};

// A matrix or array that is only read, where it lies: large ones in the node's arena, which keeps the memory as long as
// any copy of the view lives. The same bytes as an M. Cheap to copy.
template <class M>
class MatrixView {
 public:
  using Scalar = typename M::Scalar;
  using Map = Eigen::Map<const M>;
  MatrixView(const Scalar* data, std::int64_t rows, std::int64_t cols, std::shared_ptr<const void> keep)
      : data_(data), rows_(rows), cols_(cols), keep_(std::move(keep)) {}
  Map operator*() const { return Map(data_, rows_, cols_); }
  // m->sum(): the map lives to the end of the expression.
  struct Arrow {
    Map map;
    const Map* operator->() const { return &map; }
  };
  Arrow operator->() const { return {**this}; }
  const Scalar* data() const { return data_; }

 private:
  const Scalar* data_;
  std::int64_t rows_, cols_;
  std::shared_ptr<const void> keep_;
};

template <class M>
struct Codec<MatrixView<M>> {
  using Scalar = typename M::Scalar;
  static void encode(Encoder& e, const MatrixView<M>& view) {
    const auto map = *view;
    e(static_cast<std::int64_t>(map.rows()), static_cast<std::int64_t>(map.cols()));
    e.block(map.data(), static_cast<std::size_t>(map.size()), sizeof(Scalar));
  }
  static MatrixView<M> decode(Decoder& d) {
    const auto found = detail::DenseCodec<M>::shape(d);
    const auto* data = reinterpret_cast<const Scalar*>(found.bytes.data());
    if (d.keep() && reinterpret_cast<std::uintptr_t>(data) % alignof(Scalar) == 0) {
      return {data, found.rows, found.cols, d.keep()};
    }
    auto own = std::make_shared<std::vector<Scalar>>(found.bytes.size() / sizeof(Scalar));
    if (!found.bytes.empty()) std::memcpy(static_cast<void*>(own->data()), found.bytes.data(), found.bytes.size());
    return {own->data(), found.rows, found.cols, own};
  }
};

namespace detail {
template <class S, int R, int C, int O, int MR, int MC>
struct WireForm<Eigen::Matrix<S, R, C, O, MR, MC>> {
  using type = MatrixView<Eigen::Matrix<S, R, C, O, MR, MC>>;
};
template <class S, int R, int C, int O, int MR, int MC>
struct WireForm<Eigen::Array<S, R, C, O, MR, MC>> {
  using type = MatrixView<Eigen::Array<S, R, C, O, MR, MC>>;
};
}  // namespace detail

// Waits for the value, as ref.get() does, and views it.
template <class M>
MatrixView<M> view(const Ref<M>& ref) {
  detail::Core& core = ref.base().checked_core();
  return detail::decode_value<MatrixView<M>>(core, core.get(ref.base().slot(), detail::Deadline::max()).value());
}

}  // namespace mobula
