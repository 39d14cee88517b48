// Turns what went wrong around a task into an Error: the same words in worker processes and in-process.
#pragma once

#include <cstdint>
#include <string_view>

#include <mobula/result.h>

namespace mobula::client {

struct Where {
  std::string_view task;
  std::string_view node;
  int pid = 0;
  int attempt = 0;
  std::uint64_t memory_limit = 0;  // that the function ran under; 0: none
};

// To be called in a catch block. A TaskError (of a value the task waited for) becomes the cause.
Error error_of_current_exception(const Where& where);

// A task whose argument failed does not run: it fails with the code of the argument and has it as its cause.
Error error_of_dependency(const Where& where, const Error& argument);

// Cut so that it fits a message: what is left out is said. Errors of deep chains would grow with every hop.
Error shortened(Error error);

}  // namespace mobula::client
