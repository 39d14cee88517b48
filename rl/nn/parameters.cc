#include "rl/nn/parameters.h"

#include <stdexcept>
#include <utility>

namespace mobula::rl::nn {

std::size_t ParameterLayout::add(std::string name, int rows, int columns) {
  const ParameterBlock block{std::move(name), rows, columns, padded(columns), size_};
  size_ += static_cast<std::size_t>(rows) * block.stride;
  blocks_.push_back(block);
  return block.offset;
}

const ParameterBlock& ParameterLayout::block(std::string_view name) const {
  for (const auto& block : blocks_) {
    if (block.name == name) return block;
  }
  throw std::out_of_range("This policy has no parameter '" + std::string(name) + "'.");
}

}  // namespace mobula::rl::nn
