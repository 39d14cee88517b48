#pragma once

#include <mobula/random.h>
#include <mobula/rl/snapshot.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <type_traits>
#include <vector>

namespace mobula::rl {

// The state of an environment whose world cannot be written down: Box2D hides the impulses and contacts that it starts
// the next step from. The state is the story instead: the random numbers of the episode's beginning and the inputs of
// its steps since; from it the world is made again where it is needed. A copy, or an environment that was restored from
// a snapshot, does so at its next step; one that is restored to where it already stands does nothing, which is what
// happens to a worker that goes on with its own environments.
//
// Input: all that a step depends on, trivially copyable. World may be incomplete here.
template <class World, class Input>
class Replay {
  static_assert(std::is_trivially_copyable_v<Input>);

 public:
  Replay() = default;
  Replay(const Replay& other) : start_(other.start_), inputs_(other.inputs_), begun_(other.begun_) {}
  Replay& operator=(const Replay& other) {
    if (this != &other) *this = Replay(other);
    return *this;
  }
  Replay(Replay&&) = default;
  Replay& operator=(Replay&&) = default;

  // A new episode: make(random) builds the world.
  template <class Make>
  World& begin(Random& random, const Make& make) {
    start_ = random;
    inputs_.clear();
    begun_ = true;
    world_ = make(random);
    return *world_;
  }
  // The world after all inputs so far; `input` is then the next one.
  template <class Make>
  World& next(const Input& input, const Make& make) {
    World& world = present(make);
    inputs_.push_back(input);
    return world;
  }
  template <class Make>
  World& present(const Make& make) {
    if (!world_) {
      Random random = start_;
      world_ = make(random);
      for (const Input& input : inputs_) world_->step(input);
    }
    return *world_;
  }

  template <class Archive>
  void serialize(Archive& archive) {
    Random start = start_;
    auto count = static_cast<std::uint64_t>(inputs_.size());
    bool begun = begun_;
    archive(cereal::binary_data(&start, sizeof start), count, begun);
    if constexpr (Archive::is_loading::value) {
      std::vector<Input> inputs;
      // Piece by piece: a damaged count must not ask for more memory than there are bytes.
      constexpr std::uint64_t kPiece = 1024;
      while (inputs.size() < count) {
        const std::size_t before = inputs.size();
        inputs.resize(std::min<std::uint64_t>(count, before + kPiece));
        archive(cereal::binary_data(inputs.data() + before, (inputs.size() - before) * sizeof(Input)));
      }
      const bool same =
          begun == begun_ && std::memcmp(&start, &start_, sizeof start) == 0 && inputs.size() == inputs_.size() &&
          (inputs.empty() || std::memcmp(inputs.data(), inputs_.data(), inputs.size() * sizeof(Input)) == 0);
      if (!same) world_.reset();
      start_ = start, inputs_ = std::move(inputs), begun_ = begun;
    } else {
      archive(cereal::binary_data(inputs_.data(), inputs_.size() * sizeof(Input)));
    }
  }

 private:
  Random start_;
  std::vector<Input> inputs_;
  bool begun_ = false;
  std::shared_ptr<World> world_;  // owned by this one alone
};

}  // namespace mobula::rl
