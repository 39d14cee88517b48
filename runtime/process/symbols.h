#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace mobula::process {

// The functions of one ELF file by address, static ones included where the file is not stripped.
class Symbols {
 public:
  // A file that cannot be read has no symbols: a backtrace without names is better than none.
  static std::unique_ptr<Symbols> load(const std::string& path);

  // "demangled name+0x1f" of the function that holds `offset` (from the load address), "??" if there is none.
  std::string describe(std::uint64_t offset) const;

 private:
  struct Function {
    std::uint64_t start;
    std::uint64_t size;
    std::string name;
  };
  std::vector<Function> functions_;  // by start
};

// The C++ name behind a linker symbol; the symbol itself if it is none.
std::string demangle(const char* symbol);

}  // namespace mobula::process
