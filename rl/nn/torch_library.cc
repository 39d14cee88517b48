#include "rl/nn/torch_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <mutex>

namespace mobula::rl::nn {
namespace {

constexpr const char* kLibrary = "libmobula_torch.so";
constexpr const char* kAdvice =
    "It is built where LibTorch is: install libtorch-dev (Debian), or give cmake -DMOBULA_TORCH_ROOT=<folder of a "
    "LibTorch, or of torch in a Python environment>, and build again. MOBULA_TORCH_MODULE=<file> names one that lies "
    "elsewhere. learner: native needs none of this";

std::filesystem::path found_library() {
  for (const auto& place : torch_library_places()) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(place, ignored)) return place;
  }
  return {};
}

struct Library {
  std::filesystem::path file;
  void* handle;
};

Library load() {
  if (std::string problem = problem_with_torch(); !problem.empty()) throw std::runtime_error("learner: " + problem);
  const std::filesystem::path file = found_library();
  void* handle = ::dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle) return {file, handle};
  const char* said = ::dlerror();
  throw std::runtime_error("learner: torch: " + file.string() + " cannot be loaded: " + (said ? said : "") +
                           ". It needs the LibTorch that it was built with. " + kAdvice + ".");
}

}  // namespace

std::vector<std::filesystem::path> torch_library_places() {
  if (const char* named = std::getenv("MOBULA_TORCH_MODULE"); named && *named) return {named};
  std::vector<std::filesystem::path> places;
  std::error_code failed;
  auto folder = std::filesystem::read_symlink("/proc/self/exe", failed).parent_path();
  if (!failed) places.push_back(folder / kLibrary);
  for (int up = 0; up < 5 && !failed && folder.has_relative_path(); ++up) {
    folder = folder.parent_path();
    places.push_back(folder / MOBULA_MODULES / kLibrary);
  }
  places.push_back(std::filesystem::path(MOBULA_INSTALLED_MODULES) / kLibrary);
  return places;
}

std::string problem_with_torch() {
  if (!found_library().empty()) return {};
  std::string looked;
  for (const auto& place : torch_library_places()) looked += (looked.empty() ? "" : ", ") + place.string();
  return std::string("torch: there is no ") + kLibrary + "; looked for " + looked + ". " + kAdvice;
}

void* torch_function(const char* name) {
  static std::mutex mutex;
  static Library library;  // guarded by mutex; never unloaded, as LibTorch has threads and thread-local state
  const std::scoped_lock lock(mutex);
  if (!library.handle) library = load();
  if (void* function = ::dlsym(library.handle, name)) return function;
  throw torch_of_another_version();
}

std::runtime_error torch_of_another_version() {
  return std::runtime_error("learner: torch: " + found_library().string() +
                            " was built from another version of Mobula than this program. Build both again.");
}

}  // namespace mobula::rl::nn
