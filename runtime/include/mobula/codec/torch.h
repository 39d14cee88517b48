// Codec for LibTorch's dense tensors. The values travel, in the order of the indices: neither strides nor the history
// of autograd; from another device they arrive in memory. Large ones can be read where they lie, without a copy:
//
//   double mean(mobula::TensorView t) { return t->mean().item<double>(); }   // a Ref<at::Tensor> fits here
//   mobula::TensorView t = mobula::view(ref);                                // and this process reads it in place
//
// while ref.get() gives a tensor of one's own. To make one in place, fill at::from_blob(builder.data(), {n}) of a
// mobula::ArrayBuilder<float>.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "mobula/codec.h"
#include "mobula/detail/signature.h"
#include "mobula/ref.h"

namespace mobula {

// A tensor that is only read, where it lies: large ones in the node's arena. Copies of the view and of the tensor, and
// tensors that LibTorch makes as views of it, keep the memory. It is mapped for reading: an operation in place on a
// large one (add_, fill_) ends the process by SIGSEGV instead of changing what others read; clone() what shall change.
class TensorView {
 public:
  explicit TensorView(at::Tensor tensor) : tensor_(std::move(tensor)) {}
  const at::Tensor& operator*() const { return tensor_; }
  const at::Tensor* operator->() const { return &tensor_; }

 private:
  at::Tensor tensor_;
};

namespace detail {

struct EncodedTensor {
  at::ScalarType type = at::ScalarType::Undefined;
  std::vector<std::int64_t> sizes;
  std::span<const std::byte> bytes;
};

inline void encode_tensor(Encoder& e, const at::Tensor& tensor) {
  e(static_cast<std::int32_t>(tensor.defined() ? tensor.scalar_type() : at::ScalarType::Undefined));
  if (!tensor.defined()) return;
  if (tensor.layout() != at::kStrided || tensor.is_quantized()) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = "only dense tensors can travel, and this one is " +
                                std::string(tensor.is_quantized() ? "quantized: dequantize() it first"
                                                                  : "of another layout: to_dense() it first")});
  }
  const at::Tensor plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous();
  e(plain.sizes().vec());
  e.block(plain.data_ptr(), static_cast<std::size_t>(plain.numel()), plain.element_size());
}

inline EncodedTensor decode_tensor(Decoder& d) {
  const auto wrong = [] {
    return TaskError(
        {.code = ErrorCode::bad_message, .message = "decoding a tensor: its shape and its bytes disagree"});
  };
  const auto type = d.read<std::int32_t>();
  if (type < 0 || type > static_cast<std::int32_t>(at::ScalarType::Undefined)) throw wrong();
  EncodedTensor found{.type = static_cast<at::ScalarType>(type)};
  if (found.type == at::ScalarType::Undefined) return found;
  found.sizes = d.read<std::vector<std::int64_t>>();
  const std::size_t element = c10::elementSize(found.type);
  found.bytes = d.block(element);
  std::uint64_t count = 1;
  for (const std::int64_t size : found.sizes) {
    if (size < 0 || __builtin_mul_overflow(count, static_cast<std::uint64_t>(size), &count)) throw wrong();
  }
  if (count != found.bytes.size() / element) throw wrong();
  return found;
}

}  // namespace detail

template <>
struct Codec<at::Tensor> {
  static void encode(Encoder& e, const at::Tensor& tensor) { detail::encode_tensor(e, tensor); }
  static at::Tensor decode(Decoder& d) {
    const detail::EncodedTensor found = detail::decode_tensor(d);
    if (found.type == at::ScalarType::Undefined) return {};
    at::Tensor tensor = at::empty(found.sizes, at::TensorOptions().dtype(found.type));
    if (!found.bytes.empty()) std::memcpy(tensor.data_ptr(), found.bytes.data(), found.bytes.size());
    return tensor;
  }
};

template <>
struct Codec<TensorView> {
  static void encode(Encoder& e, const TensorView& view) { detail::encode_tensor(e, *view); }
  static TensorView decode(Decoder& d) {
    Decoder ahead = d;
    const detail::EncodedTensor found = detail::decode_tensor(ahead);
    const bool in_place = d.keep() && !found.bytes.empty() &&
                          reinterpret_cast<std::uintptr_t>(found.bytes.data()) % c10::elementSize(found.type) == 0;
    if (!in_place) return TensorView(d.read<at::Tensor>());
    d = ahead;
    return TensorView(at::from_blob(
        const_cast<std::byte*>(found.bytes.data()), found.sizes, [keep = d.keep()](void*) {},
        at::TensorOptions().dtype(found.type)));
  }
};

namespace detail {
template <>
struct WireForm<at::Tensor> {
  using type = TensorView;
};
}  // namespace detail

// Waits for the value, as ref.get() does, and views it.
inline TensorView view(const Ref<at::Tensor>& ref) {
  detail::Core& core = ref.base().checked_core();
  return detail::decode_value<TensorView>(core, core.get(ref.base().slot(), detail::Deadline::max()).value());
}

}  // namespace mobula
