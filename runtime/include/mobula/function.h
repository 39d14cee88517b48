// Function<R(A...)>: code as a value that travels between the processes of one program. It is made from a function
// named at compile time and can be called wherever it arrives:
//
//   mobula::Function<double(double)> f = mobula::function<halve>();
//   rt.remote<apply>(f, 3.0);       // double apply(mobula::Function<double(double)> f, double x) { return f(x); }
//
// What travels is the build-id of the module and an offset, looked up in the table of registered functions there: a
// process of another build answers with ErrorCode::build_mismatch.
#pragma once

#include <string_view>
#include <utility>

#include "mobula/codec.h"
#include "mobula/detail/registry.h"
#include "mobula/detail/signature.h"

namespace mobula {

template <class S>
class Function;

template <class R, class... A>
class Function<R(A...)> {
 public:
  Function() = default;
  explicit Function(const detail::FunctionEntry& entry) : entry_(&entry) {}
  // Not trivial, although they could be: inside a container or a struct it would else be copied as bytes, and the
  // address means nothing to another process.
  Function(const Function& other) : entry_(other.entry_) {}
  Function& operator=(const Function&) = default;

  R operator()(A... args) const { return reinterpret_cast<R (*)(A...)>(entry_->target)(std::forward<A>(args)...); }
  explicit operator bool() const { return entry_ != nullptr; }
  std::string_view name() const { return entry_ ? entry_->name : std::string_view(); }
  const detail::FunctionEntry* entry() const { return entry_; }
  friend bool operator==(const Function&, const Function&) = default;

 private:
  const detail::FunctionEntry* entry_ = nullptr;
};

namespace detail {

template <class R, class... P>
auto plain_pointer(SignatureOf<R, void, P...>) -> R (*)(P...);
template <class S>
struct FunctionOf;
template <class R, class... P>
struct FunctionOf<R (*)(P...)> {
  using type = Function<R(P...)>;
};

template <auto F>
struct ValueEntry {
  using Pointer = decltype(plain_pointer(Signature<std::remove_cv_t<decltype(F)>>{}));
  static inline const FunctionEntry entry{FunctionEntry::Kind::value, spelled_value<F>(), spelled_type<Pointer>(),
                                          nullptr, reinterpret_cast<void (*)()>(static_cast<Pointer>(F))};
};

void encode_function(Encoder& e, const FunctionEntry* entry);
// Throws TaskError(build_mismatch) for an unknown id or code of another type.
const FunctionEntry* decode_function(Decoder& d, std::string_view type);

}  // namespace detail

// The code value of a function or captureless lambda.
template <auto F>
typename detail::FunctionOf<typename detail::ValueEntry<F>::Pointer>::type function() {
  return typename detail::FunctionOf<typename detail::ValueEntry<F>::Pointer>::type(detail::ValueEntry<F>::entry);
}

template <class R, class... A>
struct Codec<Function<R(A...)>> {
  static void encode(Encoder& e, const Function<R(A...)>& f) { detail::encode_function(e, f.entry()); }
  static Function<R(A...)> decode(Decoder& d) {
    const detail::FunctionEntry* entry = detail::decode_function(d, detail::spelled_type<R (*)(A...)>());
    return entry ? Function<R(A...)>(*entry) : Function<R(A...)>();
  }
};

}  // namespace mobula
