#include "runtime/client/failure.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <typeinfo>

namespace mobula::client {
namespace {

std::string demangled(const std::type_info* type) {
  if (type == nullptr) return "an unknown type";
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type->name(), nullptr, nullptr, &status),
                                                    std::free);
  return status == 0 ? name.get() : type->name();
}

Error at(const Where& where, ErrorCode code, std::string message) {
  return {.code = code,
          .message = std::move(message),
          .task = std::string(where.task),
          .node = std::string(where.node),
          .pid = where.pid,
          .attempt = where.attempt};
}

}  // namespace

Error error_of_current_exception(const Where& where) {
  try {
    throw;
  } catch (const TaskError& e) {
    // (One that a call brought says where it was; that of a store does not.)
    const bool no_room =
        (e.code() == ErrorCode::out_of_memory || e.code() == ErrorCode::disk_full) && e.error().task.empty();
    Error error = no_room ? at(where, e.code(), "found no room for its result or for a value that it stored")
                          : at(where, ErrorCode::exception, "a TaskError left the function");
    error.causes.push_back(e.error());
    return error;
  } catch (const std::bad_alloc& e) {
    if (where.memory_limit == 0) return at(where, ErrorCode::exception, demangled(&typeid(e)) + ": " + e.what());
    return at(where, ErrorCode::out_of_memory,
              "it reached its memory limit of " + std::to_string(where.memory_limit) +
                  " bytes (Options::memory_limit): give it more, or let it use less");
  } catch (const std::exception& e) {
    return at(where, ErrorCode::exception, demangled(&typeid(e)) + ": " + e.what());
  } catch (...) {
    return at(where, ErrorCode::exception, "an exception of type " + demangled(abi::__cxa_current_exception_type()));
  }
}

Error error_of_dependency(const Where& where, const Error& argument) {
  Error error = at(where, argument.code, "did not run, because the value of an argument could not be had");
  error.attempt = 0;
  error.causes.push_back(argument);
  return error;
}

namespace {

constexpr std::size_t longest_text = 4096;
constexpr int longest_chain = 24;
constexpr std::size_t most_causes = 8;

void cut(std::string& text) {
  if (text.size() <= longest_text) return;
  const std::size_t left_out = text.size() - longest_text;
  text.resize(longest_text);
  text += "... (" + std::to_string(left_out) + " more bytes)";
}

// `budget` counts errors, so that a wide and deep tree stays small too.
void shorten(Error& error, int depth, int& budget) {
  cut(error.message);
  cut(error.backtrace);
  cut(error.task);
  std::size_t kept = 0;
  for (Error& cause : error.causes) {
    if (kept == most_causes || depth == longest_chain || budget == 0) break;
    --budget;
    ++kept;
    shorten(cause, depth + 1, budget);
  }
  if (kept == error.causes.size()) return;
  error.message += " (" + std::to_string(error.causes.size() - kept) + " causes were left out)";
  error.causes.resize(kept);
}

}  // namespace

Error shortened(Error error) {
  int budget = longest_chain;
  shorten(error, 0, budget);
  return error;
}

}  // namespace mobula::client
