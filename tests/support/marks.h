// Traces that processes leave for a test, and for each other: files that grow by one byte a trace.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

namespace mobula::test {

// A folder of its own, gone with the object.
class Marks {
 public:
  using Name = std::string;  // the file's path, to be passed to tasks
  Marks() {
    char name[] = "/tmp/mobula_marks_XXXXXX";
    if (mkdtemp(name) == nullptr) throw std::runtime_error("cannot make a folder in /tmp");
    folder_ = name;
  }
  ~Marks() { std::filesystem::remove_all(folder_); }
  Marks(const Marks&) = delete;
  Marks& operator=(const Marks&) = delete;
  Name name(const std::string& what) const { return folder_ + "/" + what; }

 private:
  std::string folder_;
};

inline void leave(const Marks::Name& mark) {
  const int file = open(mark.c_str(), O_CREAT | O_APPEND | O_WRONLY, 0600);
  if (write(file, "x", 1) != 1) std::abort();
  close(file);
}

inline std::size_t count(const Marks::Name& mark) {
  std::error_code none;
  const auto size = std::filesystem::file_size(mark, none);
  return none ? 0 : size;
}

// Returns once so many were left; throws after a minute.
inline void await(const Marks::Name& mark, std::size_t wanted = 1) {
  const auto latest = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (count(mark) < wanted) {
    if (std::chrono::steady_clock::now() > latest) throw std::runtime_error("nobody left " + mark);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

}  // namespace mobula::test
