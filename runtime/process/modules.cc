#include "runtime/process/modules.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <map>
#include <mutex>
#include <stdexcept>

#include "runtime/process/elf_file.h"

namespace mobula::process {
namespace {

// FNV-1a; for modules without a build-id. Text is not relocated, so memory and file agree.
std::uint64_t hash_bytes(std::uint64_t hash, std::span<const std::byte> bytes) {
  for (std::byte byte : bytes) hash = (hash ^ std::to_integer<std::uint64_t>(byte)) * 0x100000001b3ULL;
  return hash;
}

template <class Bytes>
std::uint64_t build_id_of(std::span<const ElfW(Phdr)> segments, Bytes bytes) {
  for (const auto& segment : segments) {
    if (segment.p_type != PT_NOTE) continue;
    if (const auto id = build_id_in_notes(bytes(segment))) return *id;
  }
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const auto& segment : segments) {
    if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) hash = hash_bytes(hash, bytes(segment));
  }
  return hash;
}

struct Search {
  std::uintptr_t address = 0;  // 0: the program itself, which is the first module
  std::uintptr_t base = 0;
  std::uint64_t build_id = 0;
  bool found = false;
};

int examine(dl_phdr_info* info, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  const std::span<const ElfW(Phdr)> segments(info->dlpi_phdr, info->dlpi_phnum);
  bool inside = search.address == 0;
  for (const auto& segment : segments) {
    const std::uintptr_t start = info->dlpi_addr + segment.p_vaddr;
    inside =
        inside || (segment.p_type == PT_LOAD && search.address >= start && search.address - start < segment.p_memsz);
  }
  if (!inside) return 0;
  search.base = info->dlpi_addr;
  search.build_id = build_id_of(segments, [&](const ElfW(Phdr) & segment) {
    return std::span<const std::byte>(reinterpret_cast<const std::byte*>(info->dlpi_addr + segment.p_vaddr),
                                      segment.p_filesz);
  });
  search.found = true;
  return 1;
}

}  // namespace

std::optional<CodeAddress> locate_code(const void* address) {
  // A module's identity does not change while its load address does not; dlclose and dlopen may reuse one, which the
  // link map's address tells apart in practice, and the registered table of functions in any case.
  static std::mutex mutex;
  static std::map<std::pair<const void*, std::uintptr_t>, std::uint64_t> known;  // (link map, load address) -> build-id
  dl_find_object object{};
  if (_dl_find_object(const_cast<void*>(address), &object) != 0 || object.dlfo_link_map == nullptr) return {};
  const std::uintptr_t base = object.dlfo_link_map->l_addr;
  const std::uint64_t offset = reinterpret_cast<std::uintptr_t>(address) - base;
  const std::pair<const void*, std::uintptr_t> key{object.dlfo_link_map, base};
  const std::lock_guard lock(mutex);
  const auto at = known.find(key);
  if (at != known.end()) return CodeAddress{at->second, offset};
  Search search{reinterpret_cast<std::uintptr_t>(address)};
  dl_iterate_phdr(examine, &search);
  if (!search.found) return {};
  known.emplace(key, search.build_id);
  return CodeAddress{search.build_id, offset};
}

std::uint64_t build_id_of_file(const std::string& path) {
  const ElfFile file(path);
  return build_id_of(file.segments(),
                     [&](const ElfW(Phdr) & segment) { return file.bytes(segment.p_offset, segment.p_filesz); });
}

std::uint64_t build_id_of_program() {
  static const std::uint64_t id = [] {
    Search search;
    dl_iterate_phdr(examine, &search);
    return search.build_id;
  }();
  return id;
}

std::string program_path() {
  std::string path(PATH_MAX, '\0');
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size());
  if (size < 0) throw std::runtime_error(fmt::format("cannot read /proc/self/exe: {}", std::strerror(errno)));
  path.resize(static_cast<std::size_t>(size));
  return path;
}

}  // namespace mobula::process
