// What the parameters and the result of a function, member function or captureless lambda are, and in which form each
// is stored between decoding and the call.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "mobula/array.h"
#include "mobula/codec.h"
#include "mobula/coroutine.h"
#include "mobula/ref.h"
#include "mobula/stream.h"

namespace mobula::detail {

template <class... T>
struct Types {
  static constexpr std::size_t size = sizeof...(T);
};

// Object is void for a function. Closures (template parameters of class type) count as functions.
template <class R, class O, class... P>
struct SignatureOf {
  using Result = R;
  using Object = O;
  using Parameters = Types<P...>;
};
template <class F>
struct Signature;
template <class R, class... P>
struct Signature<R (*)(P...)> : SignatureOf<R, void, P...> {};
template <class R, class... P>
struct Signature<R (*)(P...) noexcept> : SignatureOf<R, void, P...> {};
template <class R, class C, class... P>
struct Signature<R (C::*)(P...)> : SignatureOf<R, C, P...> {};
template <class R, class C, class... P>
struct Signature<R (C::*)(P...) noexcept> : SignatureOf<R, C, P...> {};
template <class R, class C, class... P>
struct Signature<R (C::*)(P...) const> : SignatureOf<R, C, P...> {};
template <class R, class C, class... P>
struct Signature<R (C::*)(P...) const noexcept> : SignatureOf<R, C, P...> {};
template <class M>
struct CallOperator;
template <class R, class C, class... P>
struct CallOperator<R (C::*)(P...) const> : SignatureOf<R, void, P...> {};
template <class R, class C, class... P>
struct CallOperator<R (C::*)(P...) const noexcept> : SignatureOf<R, void, P...> {};
template <class F>
requires std::is_class_v<F>
struct Signature<F> : CallOperator<decltype(&F::operator())> {
};

// The first parameter of a function that is called with the actor, and the rest.
template <class P>
struct SplitFirst;
template <class F, class... P>
struct SplitFirst<Types<F, P...>> {
  using First = F;
  using Rest = Types<P...>;
};

template <class T>
struct StoredAs {
  using type = T;
};
template <class C, class R>
struct StoredAs<std::basic_string_view<C, R>> {
  using type = std::basic_string<C, R>;
};
template <class T>
struct StoredAs<std::span<const T>> {
  using type = Array<T>;
};
template <class T>
struct StoredAs<std::span<T>> {
  static_assert(never<T>,
                "mobula: a task cannot write into its caller's memory; take std::span<const T> and return the result");
};
// A parameter or result of type P as a value of its own: no references, no views.
template <class P>
using Stored = typename StoredAs<std::remove_cvref_t<P>>::type;

template <class P>
constexpr void check_parameter() {
  static_assert(!std::is_lvalue_reference_v<P> || std::is_const_v<std::remove_reference_t<P>>,
                "mobula: a parameter of a task or actor call is a copy in another process, so what is written to a "
                "non-const reference never comes back; take it by value or const&, and return the result");
}

// Hands a stored argument to the parameter.
template <class P>
decltype(auto) pass(Stored<P>& stored) {
  if constexpr (!std::is_same_v<Stored<P>, std::remove_cvref_t<P>>) {
    return std::remove_cvref_t<P>(stored);  // a view of it
  } else if constexpr (std::is_lvalue_reference_v<P>) {
    return static_cast<const Stored<P>&>(stored);
  } else {
    return std::move(stored);
  }
}

// What becomes of a result: Task<T> counts as T, a tuple as several.
template <class R>
struct ResultShape {
  static constexpr bool coroutine = false;
  using Value = R;
};
template <class T>
struct ResultShape<Task<T>> {
  static constexpr bool coroutine = true;
  using Value = T;
};
template <class V>
struct RefsOf {
  using type = Ref<Stored<V>>;
  static constexpr std::size_t count = 1;
};
template <class... T>
struct RefsOf<std::tuple<T...>> {
  using type = Refs<Stored<T>...>;
  static constexpr std::size_t count = sizeof...(T);
};
template <>
struct RefsOf<std::tuple<>> : RefsOf<void> {};

template <class T>
struct IsGenerator : std::false_type {};
template <class T>
struct IsGenerator<Generator<T>> : std::true_type {};
template <class T>
struct IsWriter : std::false_type {};
template <class T>
struct IsWriter<Writer<T>> : std::true_type {};

template <class T>
struct IsRef : std::false_type {};
template <class T>
struct IsRef<Ref<T>> : std::true_type {};

// Types whose encodings are the same bytes: an array can be read as a vector and the other way round.
template <class T>
struct WireForm {
  using type = T;
};
template <class T, class A>
requires(Codec<std::vector<T, A>>::is_block) struct WireForm<std::vector<T, A>> {
  using type = Array<T>;
};

}  // namespace mobula::detail
