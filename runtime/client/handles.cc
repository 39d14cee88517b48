// What the public handles and codecs need from the library.
#include <mobula/actor.h>
#include <mobula/codec.h>
#include <mobula/detail/call.h>
#include <mobula/ref.h>
#include <mobula/runtime.h>

#include <fmt/format.h>

namespace mobula {
namespace detail {
namespace {

void check_same_core(Core* encoding, Core* handle) {
  if (encoding == nullptr) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message =
                         "a value that holds a Ref or an Actor means something only inside a runtime: pass it to a "
                         "task or put() it, do not encode it to plain bytes"});
  }
  if (encoding != handle) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = "a Ref or Actor of one runtime was passed to another; get() the value and pass that"});
  }
}

Core& checked(Core* core, const char* what) {
  if (core != nullptr) return *core;
  throw TaskError(
      {.code = ErrorCode::invalid,
       .message = fmt::format("an empty {} was used; it refers to nothing until one that a runtime returned is "
                              "assigned to it",
                              what)});
}

}  // namespace

Core& RefBase::checked_core() const {
  return checked(core_, "Ref");
}
Core& ActorBase::checked_core() const {
  return checked(core_, "Actor");
}

bool give_item(Invocation& in, const Encoded& item) {
  return in.item(in, item);
}
Encoded encode_item(Invocation& in, const void* value, void (*encode)(Encoder&, const void*)) {
  Scratch& s = scratch();
  s.clear();
  return encode_with(in.core, s, s.buffer.get(), inline_limit, [&](Encoder& e) { encode(e, value); });
}
void nobody_reads() {
  throw TaskError({.code = ErrorCode::cancelled, .message = "writing to a stream that nobody reads any more"});
}
void completions_late(std::size_t pending) {
  throw TaskError({.code = ErrorCode::timed_out,
                   .message = fmt::format(
                       "as_completed: {} values were not there within the time given; their tasks go on", pending)});
}

Scratch& scratch() {
  thread_local Scratch buffers;
  return buffers;
}

void ArgumentReader::missing() {
  throw TaskError({.code = ErrorCode::bad_message, .message = "decoding arguments: a dependency's value is missing"});
}

}  // namespace detail

void Encoder::ref(const detail::RefBase& ref) {
  detail::WireId id;
  if (ref) {
    detail::check_same_core(core_, ref.core());
    id = core_->export_ref(ref.slot());
    refs_->push_back(ref.slot());
  }
  raw(&id, sizeof id);
}

void Encoder::actor(const detail::ActorBase& actor) {
  detail::WireId id;
  if (actor) {
    detail::check_same_core(core_, actor.core());
    id = core_->export_actor(actor.slot());
    actors_->push_back(actor.slot());
  }
  raw(&id, sizeof id);
}

namespace {
detail::Core& decoding_core(detail::Core* core) {
  if (core != nullptr) return *core;
  throw TaskError({.code = ErrorCode::invalid, .message = "decoding a Ref or an Actor outside of a runtime"});
}
}  // namespace

detail::Slot Decoder::ref() {
  detail::WireId id;
  raw(&id, sizeof id);
  return id.words == decltype(id.words){} ? detail::Slot{} : decoding_core(core_).import_ref(id, cover_);
}

detail::Slot Decoder::actor() {
  detail::WireId id;
  raw(&id, sizeof id);
  return id.words == decltype(id.words){} ? detail::Slot{} : decoding_core(core_).import_actor(id, cover_);
}

void Decoder::fail(std::size_t wanted) const {
  throw TaskError(
      {.code = ErrorCode::bad_message,
       .message = fmt::format("decoding a value: {} more bytes or elements were announced, {} bytes are left; "
                              "do encode() and decode() (or serialize()) of the type agree?",
                              wanted, left())});
}

}  // namespace mobula
