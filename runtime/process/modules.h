#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace mobula::process {

// Where a piece of code is, in terms that mean the same in every process that runs the same files: the module (program
// or shared library) by the hash of its build-id, and the offset from its load address.
struct CodeAddress {
  std::uint64_t module = 0;
  std::uint64_t offset = 0;
  friend bool operator==(const CodeAddress&, const CodeAddress&) = default;
};

// The code address of a function in this process; nothing if the address belongs to no loaded module. Any thread. The
// module's build-id is read once and remembered.
std::optional<CodeAddress> locate_code(const void* address);

// The build-id of a file on disk (first 8 bytes of the linker's note, big-endian; where the linker wrote none, a hash
// of the executable segments). Throws std::runtime_error if the file cannot be read or is no ELF file of this machine.
std::uint64_t build_id_of_file(const std::string& path);

// The same of the running program, from memory: right even when the file has been replaced meanwhile.
std::uint64_t build_id_of_program();

// Absolute path of the running program, as /proc/self/exe names it.
std::string program_path();

}  // namespace mobula::process
