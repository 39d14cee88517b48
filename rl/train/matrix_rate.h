#pragma once

namespace mobula::rl {

/// Floating-point operations a second of a product of two matrices of 512 x 512 floats on one core: the rate that a
/// learner's operations are held against. Measured once in a process, in some milliseconds; of any thread.
double matrix_rate();

}  // namespace mobula::rl
