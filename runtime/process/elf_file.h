#pragma once

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace mobula::process {

// An ELF file of this machine's class, mapped for reading. All accessors check bounds: the file may be truncated or be
// anything else.
class ElfFile {
 public:
  // Throws std::runtime_error that says why the file cannot be used.
  explicit ElfFile(const std::string& path);
  ~ElfFile();
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  std::span<const ElfW(Phdr)> segments() const { return segments_; }
  std::span<const ElfW(Shdr)> sections() const { return sections_; }
  std::span<const std::byte> bytes(std::uint64_t offset, std::uint64_t size) const;

 private:
  template <class T>
  std::span<const T> table(std::uint64_t offset, std::uint64_t count, std::uint64_t entry_size) const;

  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::span<const ElfW(Phdr)> segments_;
  std::span<const ElfW(Shdr)> sections_;
};

// The build-id in a PT_NOTE segment's bytes, reduced to 8 bytes.
std::optional<std::uint64_t> build_id_in_notes(std::span<const std::byte> notes);

}  // namespace mobula::process
