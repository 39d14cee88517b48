// Codecs for Eigen's dense matrices, vectors and arrays, of fixed and of dynamic size. Large ones are written at a
// multiple of 64 bytes; to read them where they lie take mobula::Array and map it: Eigen::Map<const
// Eigen::MatrixXf>(a.data(), r, c).
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>

#include <Eigen/Core>

#include "mobula/codec.h"

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
  static M decode(Decoder& d) {
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
    M m;
    m.resize(rows, cols);
    if (!bytes.empty()) std::memcpy(static_cast<void*>(m.data()), bytes.data(), bytes.size());
    return m;
  }
};

}  // namespace detail

template <class S, int R, int C, int O, int MR, int MC>
struct Codec<Eigen::Matrix<S, R, C, O, MR, MC>> : detail::DenseCodec<Eigen::Matrix<S, R, C, O, MR, MC>> {};
template <class S, int R, int C, int O, int MR, int MC>
struct Codec<Eigen::Array<S, R, C, O, MR, MC>> : detail::DenseCodec<Eigen::Array<S, R, C, O, MR, MC>> {};

}  // namespace mobula
