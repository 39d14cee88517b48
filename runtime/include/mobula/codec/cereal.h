// Codecs for what cereal can archive and <mobula/codec.h> cannot: smart pointers, save/load pairs, name-value pairs,
// polymorphic types. Name the types once, with cereal's own headers included:
//
//   #include <cereal/types/memory.hpp>
//   #include <mobula/codec/cereal.h>
//   template <> struct mobula::Codec<Tree> : mobula::CerealCodec<Tree> {};
//
// Inside such a type everything is archived by cereal; Ref and Actor are not.
#pragma once

#include <cstddef>
#include <string>
#include <type_traits>

#include <cereal/cereal.hpp>

#include "mobula/codec.h"

namespace mobula {

class CerealOutput : public cereal::OutputArchive<CerealOutput, cereal::AllowEmptyClassElision> {
 public:
  explicit CerealOutput(Encoder& to) : OutputArchive(this), to_(to) {}
  void saveBinary(const void* data, std::streamsize size) { to_.raw(data, static_cast<std::size_t>(size)); }

 private:
  Encoder& to_;
};

class CerealInput : public cereal::InputArchive<CerealInput, cereal::AllowEmptyClassElision> {
 public:
  explicit CerealInput(Decoder& from) : InputArchive(this), from_(from) {}
  void loadBinary(void* const data, std::streamsize size) { from_.raw(data, static_cast<std::size_t>(size)); }
  // Of elements that follow: cereal makes room for all of them before it reads the first.
  template <class Size>
  void load_size(Size& size) {
    size = static_cast<Size>(from_.count(1));
  }

 private:
  Decoder& from_;
};

template <class T>
struct CerealCodec {
  static void encode(Encoder& e, const T& value) {
    CerealOutput archive(e);
    archive(value);
  }
  static T decode(Decoder& d) {
    T value{};
    CerealInput archive(d);
    try {
      archive(value);
    } catch (const cereal::Exception& error) {  // of a pointer to nothing that came before, of a type that is unknown
      throw TaskError({.code = ErrorCode::bad_message, .message = std::string("decoding a value: ") + error.what()});
    }
    return value;
  }
};

// What cereal asks of an archive (as its binary one does).
template <class T>
std::enable_if_t<std::is_arithmetic_v<T>> CEREAL_SAVE_FUNCTION_NAME(CerealOutput& ar, const T& t) {
  ar.saveBinary(std::addressof(t), sizeof(t));
}
template <class T>
std::enable_if_t<std::is_arithmetic_v<T>> CEREAL_LOAD_FUNCTION_NAME(CerealInput& ar, T& t) {
  ar.loadBinary(std::addressof(t), sizeof(t));
}
template <class A, class T>
requires(std::is_same_v<A, CerealOutput> ||
         std::is_same_v<A, CerealInput>) void CEREAL_SERIALIZE_FUNCTION_NAME(A& ar, cereal::NameValuePair<T>& t) {
  ar(t.value);
}
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(CerealOutput& ar, const cereal::SizeTag<T>& t) {
  ar(static_cast<cereal::size_type>(t.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(CerealInput& ar, cereal::SizeTag<T>& t) {
  ar.load_size(t.size);
}
template <class T>
void CEREAL_SAVE_FUNCTION_NAME(CerealOutput& ar, const cereal::BinaryData<T>& bd) {
  ar.saveBinary(bd.data, static_cast<std::streamsize>(bd.size));
}
template <class T>
void CEREAL_LOAD_FUNCTION_NAME(CerealInput& ar, cereal::BinaryData<T>& bd) {
  ar.loadBinary(bd.data, static_cast<std::streamsize>(bd.size));
}

}  // namespace mobula

CEREAL_REGISTER_ARCHIVE(mobula::CerealOutput)
CEREAL_REGISTER_ARCHIVE(mobula::CerealInput)
CEREAL_SETUP_ARCHIVE_TRAITS(mobula::CerealInput, mobula::CerealOutput)
