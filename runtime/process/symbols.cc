#include "runtime/process/symbols.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include "runtime/process/elf_file.h"

namespace mobula::process {

std::string demangle(const char* symbol) {
  int status = 0;
  char* name = abi::__cxa_demangle(symbol, nullptr, nullptr, &status);
  std::string result = status == 0 ? name : symbol;
  std::free(name);
  return result;
}

std::unique_ptr<Symbols> Symbols::load(const std::string& path) {
  auto symbols = std::make_unique<Symbols>();
  try {
    const ElfFile file(path);
    for (const auto& section : file.sections()) {
      if (section.sh_type != SHT_SYMTAB && section.sh_type != SHT_DYNSYM) continue;
      if (section.sh_link >= file.sections().size()) continue;
      const auto& strings = file.sections()[section.sh_link];
      const auto names = file.bytes(strings.sh_offset, strings.sh_size);
      const auto table = file.bytes(section.sh_offset, section.sh_size);
      for (std::size_t at = 0; at + sizeof(ElfW(Sym)) <= table.size(); at += sizeof(ElfW(Sym))) {
        ElfW(Sym) symbol;
        std::memcpy(&symbol, table.data() + at, sizeof(symbol));
        const unsigned type = symbol.st_info & 0xf;
        if ((type != STT_FUNC && type != STT_GNU_IFUNC) || symbol.st_value == 0 || symbol.st_name >= names.size())
          continue;
        const char* name = reinterpret_cast<const char*>(names.data()) + symbol.st_name;
        symbols->functions_.push_back(
            {symbol.st_value, symbol.st_size, std::string(name, strnlen(name, names.size() - symbol.st_name))});
      }
    }
  } catch (const std::runtime_error&) {
    return symbols;
  }
  std::stable_sort(symbols->functions_.begin(), symbols->functions_.end(),
                   [](const Function& a, const Function& b) { return a.start < b.start; });
  return symbols;
}

std::string Symbols::describe(std::uint64_t offset) const {
  auto after = std::upper_bound(functions_.begin(), functions_.end(), offset,
                                [](std::uint64_t value, const Function& function) { return value < function.start; });
  while (after != functions_.begin()) {
    --after;
    if (offset - after->start < std::max<std::uint64_t>(after->size, 1)) {
      return fmt::format("{}+{:#x}", demangle(after->name.c_str()), offset - after->start);
    }
    // A function nested in another's range does not exist in practice; the next lower start decides.
    if (after->size > 0) break;
  }
  return "??";
}

}  // namespace mobula::process
