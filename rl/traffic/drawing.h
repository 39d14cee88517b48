#pragma once

#include <mobula/rl/intersection.h>

#include <cstdint>
#include <string>

/// What the text and the picture of an intersection share.
namespace mobula::rl::drawing {

enum class Light { green, yellow, red };

/// What the drivers of a street see.
Light light(const Signal& signal, int street);

/// "00:12:35" from milliseconds.
std::string clock(std::int32_t ms);

/// The colour (#rrggbb) of a car that has waited so long: blue-green, then yellow at 30 s, red from 90 s.
std::string wait_colour(std::int32_t wait_ms);

}  // namespace mobula::rl::drawing
