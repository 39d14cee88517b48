#include "runtime/process/elf_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <utility>

namespace mobula::process {

ElfFile::ElfFile(const std::string& path) {
  const auto refuse = [&](const std::string& why) {
    return std::runtime_error(fmt::format("cannot read the program file {}: {}", path, why));
  };
  fd_ = Fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!fd_.valid() || fstat(fd_.get(), &status) != 0) throw refuse(std::strerror(errno));
  if (!S_ISREG(status.st_mode)) throw refuse("it is not a regular file");
  size_ = static_cast<std::uint64_t>(status.st_size);
  ElfW(Ehdr) header;
  const auto first = bytes(0, sizeof(header));
  if (first.empty()) throw refuse("it is not an ELF program (too short)");
  std::memcpy(&header, first.data(), sizeof(header));
  const unsigned char own_class = sizeof(void*) == 8 ? ELFCLASS64 : ELFCLASS32;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != own_class) {
    throw refuse("it is not an ELF program of this machine");
  }
  segments_ = table<ElfW(Phdr)>(header.e_phoff, header.e_phnum, header.e_phentsize);
  sections_ = table<ElfW(Shdr)>(header.e_shoff, header.e_shnum, header.e_shentsize);
}

std::span<const std::byte> ElfFile::bytes(std::uint64_t offset, std::uint64_t size) const {
  if (size == 0 || offset > size_ || size > size_ - offset) return {};
  std::vector<std::byte> found(size);
  for (std::size_t done = 0; done < size;) {
    const ssize_t got = pread(fd_.get(), found.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return {};
    done += static_cast<std::size_t>(got);
  }
  return read_.emplace_back(std::move(found));
}

template <class T>
std::span<const T> ElfFile::table(std::uint64_t offset, std::uint64_t count, std::uint64_t entry_size) const {
  if (entry_size != sizeof(T)) return {};
  const auto found = bytes(offset, count * sizeof(T));
  return {reinterpret_cast<const T*>(found.data()), found.size() / sizeof(T)};
}

std::optional<std::uint64_t> build_id_in_notes(std::span<const std::byte> notes) {
  const auto aligned = [](std::size_t size) { return (size + 3) & ~std::size_t{3}; };
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes.data(), sizeof(header));
    notes = notes.subspan(sizeof(header));
    const std::size_t name = aligned(header.n_namesz), description = aligned(header.n_descsz);
    if (name > notes.size() || description > notes.size() - name) return {};
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 && std::memcmp(notes.data(), "GNU", 4) == 0 &&
        header.n_descsz > 0) {
      std::uint64_t id = 0;
      for (std::size_t i = 0; i < std::min<std::size_t>(header.n_descsz, 8); ++i) {
        id = id << 8 | std::to_integer<std::uint64_t>(notes[name + i]);
      }
      return id;
    }
    notes = notes.subspan(name + description);
  }
  return {};
}

}  // namespace mobula::process
