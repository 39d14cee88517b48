#include "runtime/client/failure.h"

#include <cxxabi.h>

#include <cstdlib>
#include <exception>
#include <memory>
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
    Error error = at(where, ErrorCode::exception, "a TaskError left the function");
    error.causes.push_back(e.error());
    return error;
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

}  // namespace mobula::client
