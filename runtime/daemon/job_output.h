#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace mobula::daemon {

// What a job prints on one stream, whose bytes are counted from its start. The newest are kept, in two files (0600):
// the one that is written, and ".old" beside it, which goes when the first one is full. For one thread.
class JobOutput {
 public:
  // The bytes of both files together are at most `most` (at least 128 KiB); half of it, of the newest, is always there.
  JobOutput(std::filesystem::path file, std::uint64_t most);

  // What the disk does not take is left out, as what is old is.
  void append(std::string_view text);
  struct Part {
    std::uint64_t from = 0;  // after `offset`: what was between them is no longer kept
    std::string text;
  };
  // From `offset` on, at most so many bytes.
  Part read(std::uint64_t offset, std::size_t most) const;
  // How much was printed.
  std::uint64_t end() const { return end_; }

 private:
  bool write(std::string_view text) const;
  void lose_all();

  const std::filesystem::path file_, old_;
  const std::uint64_t most_of_one_;
  std::uint64_t begin_ = 0, middle_ = 0, end_ = 0;  // of the older file, of the newer one, and its end
};

}  // namespace mobula::daemon
