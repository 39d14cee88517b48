// From a typed call to bytes and back. The arguments' bytes are, for each parameter in order: one byte 0 and the
// encoded value (alignment counted from the value's first byte), or one byte 1 for the next dependency, whose bytes
// come apart.
#pragma once

#include <array>
#include <cstddef>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "mobula/array.h"
#include "mobula/codec.h"
#include "mobula/coroutine.h"
#include "mobula/detail/core.h"
#include "mobula/detail/registry.h"
#include "mobula/detail/signature.h"
#include "mobula/ref.h"
#include "mobula/stream.h"

namespace mobula::detail {

// Buffers of one thread, reused from call to call. They are filled and handed over without running code of the user's
// other than codecs, which must not submit or get.
struct Scratch {
  static constexpr std::size_t max_arguments = 64;
  std::unique_ptr<std::byte[]> buffer{new std::byte[inline_limit + max_arguments]};
  std::vector<Slot> dependencies, contained, contained_actors;
  std::vector<RefBase> temporaries;  // large arguments turned into objects, held until the call has been submitted
  void clear() {
    dependencies.clear();
    contained.clear();
    contained_actors.clear();
    temporaries.clear();
  }
};
Scratch& scratch();

// Encodes `write(encoder)` into the scratch buffer, or into an object of its own when it is larger.
template <class Write>
Encoded encode_with(Core& core, Scratch& s, std::byte* at, std::size_t room, const Write& write) {
  const std::size_t refs = s.contained.size(), actors = s.contained_actors.size();
  Encoder small(at, room, &core, &s.contained, &s.contained_actors);
  write(small);
  Encoded out;
  if (small.fits()) {
    out.bytes = {at, small.size()};
  } else {
    s.contained.resize(refs);
    s.contained_actors.resize(actors);
    out.object = core.allocate(small.size());
    Encoder large(out.object->data(), out.object->size(), &core, &s.contained, &s.contained_actors);
    write(large);
    if (large.size() != small.size()) {
      throw TaskError({.code = ErrorCode::bad_message,
                       .message = "a codec wrote another number of bytes the second time it encoded the same value"});
    }
  }
  out.contained = std::span<const Slot>(s.contained).subspan(refs);
  out.contained_actors = std::span<const Slot>(s.contained_actors).subspan(actors);
  return out;
}

template <class T>
std::shared_ptr<Object> whole_object(const T&) {
  return nullptr;
}
template <class T>
std::shared_ptr<Object> whole_object(const Array<T>& array) {
  return array.object() && !array.object()->given() ? array.object() : nullptr;
}

// A value by itself: of a put or a result. The spans point into the thread's scratch and into `value`.
template <class T>
Encoded encode_value(Core& core, Scratch& s, const T& value) {
  s.clear();
  if (std::shared_ptr<Object> object = whole_object(value))
    return {.bytes = {}, .object = std::move(object), .contained = {}, .contained_actors = {}};
  return encode_with(core, s, s.buffer.get(), inline_limit, [&](Encoder& e) { Codec<T>::encode(e, value); });
}

class ArgumentWriter {
 public:
  ArgumentWriter(Core& core, Scratch& s) : core_(core), scratch_(s), cursor_(s.buffer.get()) { s.clear(); }
  ~ArgumentWriter() { scratch_.temporaries.clear(); }
  ArgumentWriter(const ArgumentWriter&) = delete;
  ArgumentWriter& operator=(const ArgumentWriter&) = delete;

  template <class P, class A>
  void write(A&& argument) {
    using S = Stored<P>;
    using D = std::remove_cvref_t<A>;
    check_parameter<P>();
    if constexpr (IsRef<D>::value && !std::is_convertible_v<A&&, S>) {
      using V = typename D::value_type;
      static_assert(
          std::is_same_v<typename WireForm<V>::type, typename WireForm<S>::type>,
          "mobula: a Ref<T> is given for a parameter of another type. The value arrives as it was stored, without "
          "conversions: make the types equal, or convert in a task of its own");
      argument.base().checked_core();
      dependency(argument.base().slot());
    } else {
      static_assert(std::is_convertible_v<A&&, std::remove_cvref_t<P>>,
                    "mobula: an argument cannot be converted to the parameter's type");
      if constexpr (!std::is_same_v<S, std::remove_cvref_t<P>>) {
        const std::remove_cvref_t<P> view = argument;
        value(nullptr, [&](Encoder& e) { e.block(view.data(), view.size(), sizeof(*view.data())); });
      } else if constexpr (std::is_same_v<S, D>) {
        value(whole_object(argument), [&](Encoder& e) { Codec<S>::encode(e, argument); });
      } else {
        const S converted = std::forward<A>(argument);
        value(whole_object(converted), [&](Encoder& e) { Codec<S>::encode(e, converted); });
      }
    }
  }

  Submission submission(const FunctionEntry& entry, const Options* options) const {
    return {.function = &entry,
            .args = {scratch_.buffer.get(), cursor_},
            .dependencies = scratch_.dependencies,
            .contained = scratch_.contained,
            .contained_actors = scratch_.contained_actors,
            .options = options};
  }

 private:
  void dependency(Slot slot) {
    *cursor_++ = std::byte{1};
    scratch_.dependencies.push_back(slot);
  }
  template <class Write>
  void value(std::shared_ptr<Object> whole, const Write& write) {
    Encoded encoded;
    if (whole) {
      encoded.object = std::move(whole);
    } else {
      // The buffer has one byte a parameter more than the limit, so a tag always has room.
      const std::size_t used = static_cast<std::size_t>(cursor_ - scratch_.buffer.get());
      const std::size_t room = used < inline_limit ? inline_limit - used : 0;
      encoded = encode_with(core_, scratch_, cursor_ + 1, room, write);
    }
    if (!encoded.object) {
      *cursor_ = std::byte{0};
      cursor_ += 1 + encoded.bytes.size();
    } else {
      scratch_.temporaries.emplace_back(&core_, core_.put(encoded));
      scratch_.contained.resize(scratch_.contained.size() - encoded.contained.size());
      scratch_.contained_actors.resize(scratch_.contained_actors.size() - encoded.contained_actors.size());
      dependency(scratch_.temporaries.back().slot());
    }
  }
  Core& core_;
  Scratch& scratch_;
  std::byte* cursor_;
};

template <class... P, class... A>
void write_arguments(ArgumentWriter& writer, Types<P...>, A&&... args) {
  static_assert(
      sizeof...(P) == sizeof...(A),
      "mobula: the number of arguments differs from the number of the function's parameters (default arguments "
      "do not travel: give every one)");
  static_assert(sizeof...(P) <= Scratch::max_arguments, "mobula: a task has at most 64 parameters; pass a struct");
  if constexpr (sizeof...(P) == sizeof...(A)) (writer.write<P>(std::forward<A>(args)), ...);
}

// A coroutine that was started and has not ended, with its arguments.
class Suspension {
 public:
  virtual ~Suspension() = default;
  virtual bool done() const = 0;
  virtual void finish(Invocation& in) = 0;  // hands its value over, or throws what left it
};

// The receiving side. `finish` takes the result while the value still exists; before it come the parts of a result of
// several values (`part`), or the items of a stream (`item`, false: nobody reads any more).
struct Invocation {
  Core& core;
  std::span<const std::byte> args;
  std::span<const Bytes> dependencies;
  void* instance = nullptr;                   // the actor; set by actor_create
  void (*destroy)(void* instance) = nullptr;  // set by actor_create
  void (*finish)(Invocation&, const Encoded& result) = nullptr;
  void (*part)(Invocation&, const Encoded& value) = nullptr;
  bool (*item)(Invocation&, const Encoded& value) = nullptr;
  std::unique_ptr<Suspension> suspended{};  // set when a coroutine waits: finish() has not been called
};

class ArgumentReader {
 public:
  explicit ArgumentReader(const Invocation& in) : in_(in), decoder_(in.args, &in.core) {}
  template <class S>
  S read() {
    if (decoder_.read<std::uint8_t>() == 0) {
      decoder_.restart_at_cursor();
      return decoder_.read<S>();
    }
    if (next_ == in_.dependencies.size()) missing();
    return decode_value<S>(in_.core, in_.dependencies[next_++]);
  }

 private:
  [[noreturn]] static void missing();
  const Invocation& in_;
  Decoder decoder_;
  std::size_t next_ = 0;
};

// One value, or each of a tuple.
template <class V>
void finish_value(Invocation& in, const V& value) {
  in.finish(in, encode_value(in.core, scratch(), value));
}
template <class... T>
requires(sizeof...(T) > 0) void finish_value(Invocation& in, const std::tuple<T...>& values) {
  std::apply([&](const T&... each) { (in.part(in, encode_value<Stored<T>>(in.core, scratch(), each)), ...); }, values);
  in.finish(in, Encoded{});
}

template <class R, class Call>
void finish_with(Invocation& in, const Call& call) {
  if constexpr (std::is_void_v<R>) {
    call();
    in.finish(in, Encoded{});
  } else {
    const Stored<R> result(call());
    finish_value(in, result);
  }
}

template <class T>
bool give_item_of(Invocation& in, const T& value) {
  return in.item(in, encode_value<Stored<T>>(in.core, scratch(), value));
}

template <class V, class... P>
struct CoroutineCall final : Suspension {
  explicit CoroutineCall(std::tuple<Stored<P>...>&& args) : stored(std::move(args)) {}
  std::tuple<Stored<P>...> stored;
  std::optional<Task<V>> task;
  bool done() const override { return task->done(); }
  void finish(Invocation& in) override {
    finish_with<V>(in, [this]() -> V { return task->promise().take(); });
  }
};

template <class R, class... P, class Callee>
void run_with(Invocation& in, Types<P...>, const Callee& callee) {
  ArgumentReader reader(in);
  // Braces: the elements are read in order.
  std::tuple<Stored<P>...> stored{reader.template read<Stored<P>>()...};
  if constexpr (ResultShape<R>::coroutine) {
    using Call = CoroutineCall<typename ResultShape<R>::Value, P...>;
    auto call = std::make_unique<Call>(std::move(stored));
    call->task.emplace(std::apply([&](Stored<P>&... values) -> R { return callee(pass<P>(values)...); }, call->stored));
    call->task->start();
    if (call->done()) return call->finish(in);
    in.suspended = std::move(call);
  } else if constexpr (IsGenerator<R>::value) {
    R generator = std::apply([&](Stored<P>&... values) -> R { return callee(pass<P>(values)...); }, stored);
    while (const auto* item = generator.next()) {
      if (!give_item_of(in, *item)) break;
    }
    in.finish(in, Encoded{});
  } else {
    finish_with<R>(in, [&]() -> R {
      return std::apply([&](Stored<P>&... values) -> R { return callee(pass<P>(values)...); }, stored);
    });
  }
}

template <auto F>
struct TaskEntry {
  using S = Signature<std::remove_cv_t<decltype(F)>>;
  static void run(Invocation& in) {
    run_with<typename S::Result>(in, typename S::Parameters{}, [](auto&&... args) -> typename S::Result {
      return F(std::forward<decltype(args)>(args)...);
    });
  }
  static inline const FunctionEntry entry{
      FunctionEntry::Kind::task, spelled_value<F>(), {}, &run, nullptr, ResultShape<typename S::Result>::coroutine};
};

// The parameters of a function that makes a stream, and what its items are: a Generator<T> is returned, or a Writer<T>&
// comes first.
template <class R, class Parameters>
struct StreamShape {
  static constexpr bool written = false;
  using Item = void;
  using Rest = Parameters;
};
template <class T, class... P>
struct StreamShape<Generator<T>, Types<P...>> {
  static constexpr bool written = false;
  using Item = T;
  using Rest = Types<P...>;
};
template <class T, class... P>
struct StreamShape<void, Types<Writer<T>&, P...>> {
  static constexpr bool written = true;
  using Item = T;
  using Rest = Types<P...>;
};

template <class R, class Shape, class Callee>
void run_stream(Invocation& in, const Callee& callee) {
  if constexpr (Shape::written) {
    Writer<typename Shape::Item> writer(in);
    run_with<void>(in, typename Shape::Rest{},
                   [&](auto&&... args) { callee(writer, std::forward<decltype(args)>(args)...); });
  } else {
    run_with<R>(in, typename Shape::Rest{},
                [&](auto&&... args) -> R { return callee(std::forward<decltype(args)>(args)...); });
  }
}

template <auto F>
struct StreamEntry {
  using S = Signature<std::remove_cv_t<decltype(F)>>;
  using Shape = StreamShape<typename S::Result, typename S::Parameters>;
  static void run(Invocation& in) {
    run_stream<typename S::Result, Shape>(
        in, [](auto&&... args) -> typename S::Result { return F(std::forward<decltype(args)>(args)...); });
  }
  static inline const FunctionEntry entry{FunctionEntry::Kind::task, spelled_value<F>(), {}, &run};
};

// A method of T or of a base of T, or a function whose first parameter is a T&.
template <class T, auto M>
struct MethodEntry {
  using S = Signature<std::remove_cv_t<decltype(M)>>;
  static constexpr bool is_member = !std::is_void_v<typename S::Object>;
  static auto parameters() {
    if constexpr (is_member) {
      static_assert(std::is_base_of_v<typename S::Object, T>,
                    "mobula: this is a method of another class than the actor's");
      return typename S::Parameters{};
    } else {
      using Split = SplitFirst<typename S::Parameters>;
      static_assert(
          std::is_convertible_v<T&, typename Split::First>,
          "mobula: a function called on an actor takes the actor's class by reference as its first parameter");
      return typename Split::Rest{};
    }
  }
  static void run(Invocation& in) {
    T& object = *static_cast<T*>(in.instance);
    run_with<typename S::Result>(in, parameters(), [&](auto&&... args) -> typename S::Result {
      return std::invoke(M, object, std::forward<decltype(args)>(args)...);
    });
  }
  static inline const FunctionEntry entry{
      FunctionEntry::Kind::actor_call,           spelled_value<M>(), {}, &run, nullptr,
      ResultShape<typename S::Result>::coroutine};
};

template <class T, auto M>
struct MethodStreamEntry {
  using S = typename MethodEntry<T, M>::S;
  using Shape = StreamShape<typename S::Result, decltype(MethodEntry<T, M>::parameters())>;
  static void run(Invocation& in) {
    T& object = *static_cast<T*>(in.instance);
    run_stream<typename S::Result, Shape>(in, [&](auto&&... args) -> typename S::Result {
      return std::invoke(M, object, std::forward<decltype(args)>(args)...);
    });
  }
  static inline const FunctionEntry entry{FunctionEntry::Kind::actor_call, spelled_value<M>(), {}, &run};
};

// An actor whose restarts go on from its latest state: state = object.save(), object.load(state).
template <class T>
concept KeepsState = requires(T& object, const T& same) {
  same.save();
  object.load(same.save());
};
template <class T>
concept TriesToKeepState = requires(T& object) {
  object.load(object.save());
};

template <class T>
struct StateEntry {
  static constexpr void (*save)(Invocation&) = nullptr;
  static constexpr void (*load)(Invocation&, const Bytes&) = nullptr;
};
template <KeepsState T>
struct StateEntry<T> {
  using State = std::remove_cvref_t<decltype(std::declval<const T&>().save())>;
  static void save(Invocation& in) {
    const T& object = *static_cast<const T*>(in.instance);
    const Stored<State> state(object.save());
    in.finish(in, encode_value(in.core, scratch(), state));
  }
  static void load(Invocation& in, const Bytes& bytes) {
    static_cast<T*>(in.instance)->load(decode_value<Stored<State>>(in.core, bytes));
  }
};

template <class T, class... S>
struct CreateEntry {
  static void run(Invocation& in) {
    ArgumentReader reader(in);
    std::tuple<S...> stored{reader.template read<S>()...};
    in.instance = std::apply([](S&... values) { return new T(std::move(values)...); }, stored);
    in.destroy = [](void* instance) { delete static_cast<T*>(instance); };
    in.finish(in, Encoded{});
  }
  static_assert(KeepsState<T> || !TriesToKeepState<T>,
                "mobula: the actor's class has save() and load(), which restarts would use if save() were const");
  static inline const FunctionEntry entry{FunctionEntry::Kind::actor_create,
                                          spelled_type<T>(),
                                          {},
                                          &run,
                                          nullptr,
                                          false,
                                          StateEntry<T>::save,
                                          StateEntry<T>::load};
};

// Constructor arguments have no parameter types to convert to: they travel as what they are, text as std::string.
template <class A>
struct ConstructorStored {
  using type = Stored<A>;
};
template <class A>
requires std::is_convertible_v<A, const char*>
struct ConstructorStored<A> {
  using type = std::string;
};
template <class S>
struct WithoutRef {
  using type = S;
};
template <class T>
struct WithoutRef<Ref<T>> {
  using type = T;
};

// Several results: one slot each.
template <class... T>
Refs<T...> refs_from(Core& core, std::span<const Slot> slots, const Refs<T...>*) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return Refs<T...>{Ref<T>(&core, slots[I])...};
  }
  (std::index_sequence_for<T...>{});
}

// The Ref, or the Refs, of one call; `actor` is none for a task.
template <class R>
auto submit_typed(Core& core, Slot actor, const Submission& submission) {
  using Value = typename ResultShape<R>::Value;
  using Out = typename RefsOf<Value>::type;
  static_assert(!IsGenerator<R>::value,
                "mobula: a function that returns a Generator makes a stream: rt.stream<f>(args...), or "
                "actor.stream<&T::method>(args...)");
  if constexpr (RefsOf<Value>::count == 1 && !requires { typename std::tuple_size<Out>::type; }) {
    return Out(&core, actor ? core.call(actor, submission) : core.submit(submission));
  } else {
    std::array<Slot, RefsOf<Value>::count> slots;
    core.submit_many(actor, submission, slots);
    return refs_from(core, slots, static_cast<const Out*>(nullptr));
  }
}

template <auto F, class... A>
auto submit_task(Core& core, const Options* options, A&&... args) {
  using S = Signature<std::remove_cv_t<decltype(F)>>;
  static_assert(std::is_void_v<typename S::Object>,
                "mobula: remote<f> takes a function; a method is called on an actor: actor.call<&T::method>(args...)");
  ArgumentWriter writer(core, scratch());
  write_arguments(writer, typename S::Parameters{}, std::forward<A>(args)...);
  return submit_typed<typename S::Result>(core, {}, writer.submission(TaskEntry<F>::entry, options));
}

template <class Shape, class... A>
auto submit_stream(Core& core, Slot actor, const FunctionEntry& entry, const Options* options, A&&... args) {
  static_assert(!std::is_void_v<typename Shape::Item>,
                "mobula: a stream is made by a coroutine that returns a mobula::Generator<T>, or by a void function "
                "whose first parameter is a mobula::Writer<T>&");
  ArgumentWriter writer(core, scratch());
  write_arguments(writer, typename Shape::Rest{}, std::forward<A>(args)...);
  return Items<Stored<typename Shape::Item>>(&core, core.open_stream(actor, writer.submission(entry, options)));
}

template <class T, auto M, class... A>
auto submit_call(Core& core, Slot actor, const Options* options, A&&... args) {
  using Entry = MethodEntry<T, M>;
  ArgumentWriter writer(core, scratch());
  write_arguments(writer, decltype(Entry::parameters()){}, std::forward<A>(args)...);
  return submit_typed<typename Entry::S::Result>(core, actor, writer.submission(Entry::entry, options));
}

template <class T, class... S, class... A>
Slot submit_create_as(Core& core, const Options* options, Types<S...> parameters, A&&... args) {
  ArgumentWriter writer(core, scratch());
  write_arguments(writer, parameters, std::forward<A>(args)...);
  return core.create_actor(writer.submission(CreateEntry<T, S...>::entry, options));
}

template <class T, class... A>
Slot submit_create(Core& core, const Options* options, A&&... args) {
  static_assert(std::is_class_v<T> && !std::is_abstract_v<T>, "mobula: an actor is an object of a concrete class");
  using Values = Types<typename WithoutRef<typename ConstructorStored<A>::type>::type...>;
  using Handles = Types<typename ConstructorStored<A>::type...>;
  constexpr bool by_value =
      std::is_constructible_v<T, typename WithoutRef<typename ConstructorStored<A>::type>::type...>;
  constexpr bool by_handle = std::is_constructible_v<T, typename ConstructorStored<A>::type...>;
  static_assert(
      by_value || by_handle,
      "mobula: the actor's class has no constructor for these arguments (a Ref<U> counts as a U, or, if all Refs are "
      "taken so, as a Ref<U>)");
  if constexpr (by_value) {
    return submit_create_as<T>(core, options, Values{}, std::forward<A>(args)...);
  } else if constexpr (by_handle) {
    return submit_create_as<T>(core, options, Handles{}, std::forward<A>(args)...);
  }
}

}  // namespace mobula::detail
