#pragma once

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "runtime/process/fd.h"

namespace mobula::process {

// An ELF file of this machine's class. All accessors check bounds: the file may be truncated, also while it is read
// (which is why it is not mapped), or be anything else.
class ElfFile {
 public:
  // Throws std::runtime_error that says why the file cannot be used.
  explicit ElfFile(const std::string& path);
  ElfFile(const ElfFile&) = delete;
  ElfFile& operator=(const ElfFile&) = delete;

  std::span<const ElfW(Phdr)> segments() const { return segments_; }
  std::span<const ElfW(Shdr)> sections() const { return sections_; }
  // Reads them; they live as long as this object. Empty if the file has not that many.
  std::span<const std::byte> bytes(std::uint64_t offset, std::uint64_t size) const;

 private:
  template <class T>
  std::span<const T> table(std::uint64_t offset, std::uint64_t count, std::uint64_t entry_size) const;

  Fd fd_;
  std::uint64_t size_ = 0;
  mutable std::deque<std::vector<std::byte>> read_;  // what bytes() has given
  std::span<const ElfW(Phdr)> segments_;
  std::span<const ElfW(Shdr)> sections_;
};

// The build-id in a PT_NOTE segment's bytes, reduced to 8 bytes.
std::optional<std::uint64_t> build_id_in_notes(std::span<const std::byte> notes);

}  // namespace mobula::process
