// What can be called from another process. Each remote<f>, spawn<T>, call<&T::m> and function<f> instantiates one
// static entry, which registers itself before main. An entry is known elsewhere by (build-id of its module, offset in
// it), never by name: names collide. Ids that arrive are looked up in the table; nothing is ever jumped to.
#pragma once

#include <cstdint>
#include <string_view>

namespace mobula::detail {

struct Invocation;
struct Bytes;

struct FunctionId {
  std::uint64_t module = 0;  // hash of the module's build-id
  std::uint64_t offset = 0;  // of the entry, from the module's load address
  friend bool operator==(const FunctionId&, const FunctionId&) = default;
};

struct FunctionEntry {
  enum class Kind : std::uint8_t { task, actor_create, actor_call, value };

  FunctionEntry(Kind entry_kind, std::string_view entry_name, std::string_view entry_type,
                void (*entry_run)(Invocation&), void (*entry_target)() = nullptr, bool is_coroutine = false,
                void (*entry_save)(Invocation&) = nullptr, void (*entry_load)(Invocation&, const Bytes&) = nullptr);
  FunctionEntry(const FunctionEntry&) = delete;

  Kind kind;
  std::string_view name;     // for people: "square", "Counter::add"
  std::string_view type;     // spelled type of the code, checked when a Function<> arrives
  void (*run)(Invocation&);  // decodes the arguments, calls, encodes the result
  void (*target)();          // the function itself, for Kind::value
  bool coroutine;            // it returns a Task<T>
  // Kind::actor_create of a class that can: hands the state over as a result; brings the object back to it.
  void (*save)(Invocation&) = nullptr;
  void (*load)(Invocation&, const Bytes& state) = nullptr;
  const FunctionEntry* next;  // the list of all entries
};

FunctionId id_of(const FunctionEntry& entry);
// The entry of this process with that id, or null.
const FunctionEntry* find_function(const FunctionId& id);

// "square" of Name<square>, "ns::Counter" of a type: cut from the compiler's spelling, with static storage.
template <auto F>
consteval std::string_view spelled_value() {
  constexpr std::string_view s = __PRETTY_FUNCTION__;
  constexpr std::size_t begin = s.find("F = ") + 4;
  std::size_t end = s.rfind("; std::string_view");
  if (end == std::string_view::npos || end < begin) end = s.rfind(']');
  std::string_view name = s.substr(begin, end - begin);
  while (!name.empty() && (name.front() == '&' || name.front() == '(' || name.front() == ' ')) name.remove_prefix(1);
  while (!name.empty() && name.back() == ')' && name.find('(') == std::string_view::npos) name.remove_suffix(1);
  return name;
}
template <class T>
consteval std::string_view spelled_type() {
  constexpr std::string_view s = __PRETTY_FUNCTION__;
  constexpr std::size_t begin = s.find("T = ") + 4;
  std::size_t end = s.rfind("; std::string_view");
  if (end == std::string_view::npos || end < begin) end = s.rfind(']');
  return s.substr(begin, end - begin);
}

}  // namespace mobula::detail
