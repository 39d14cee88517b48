// Finding and loading libmobula_torch.so, the one library that sees LibTorch.
#pragma once

#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace mobula::rl::nn {

// Where the library may lie: what the environment variable MOBULA_TORCH_MODULE names, or else beside the program, below
// one of the folders above it as installation and build tree have it, or where this build is installed to.
std::vector<std::filesystem::path> torch_library_places();

// Empty, or why there is no torch learner and what to do: asked when a configuration is read. Loads nothing.
std::string problem_with_torch();

// One of its functions; loads the library at the first call, never to unload it. Throws std::runtime_error that says
// where it was looked for or what the loader said, and what to install. Any thread.
void* torch_function(const char* name);

// What to throw if it turns out that the library and this program do not belong together.
std::runtime_error torch_of_another_version();

}  // namespace mobula::rl::nn
