#pragma once

#include <span>
#include <string>
#include <vector>

namespace mobula::rl {

/// A rectangle of a picture, in its units; y grows downwards.
struct Box {
  double left = 0, top = 0, right = 0, bottom = 0;
  /// The area in common.
  double overlap(const Box& other) const;
};

/// A text beside a point of a picture.
struct Label {
  double x = 0, y = 0;  ///< of the point
  std::string text;
  Box box = {};  ///< where it goes, once it is placed
};

/// Gives each label a place beside its point where it covers least of the other labels, the points, `taken` and what
/// lies outside of `inside`: the first of twelve places around the point, from the right upwards, nearest first.
/// `character` and `line` are the size of a letter.
void place_labels(std::span<Label> labels, const std::vector<Box>& taken, const Box& inside, double character,
                  double line);

}  // namespace mobula::rl
