#pragma once

#include <array>
#include <functional>
#include <memory>

#include "bench/micro/peer.h"

namespace mobula::bench {

/// A forked process that is sent for figures which want a process to themselves: a runtime that starts, name spaces of
/// their own. Made while this process has one thread.
class Errand {
 public:
  /// `serve(what)` runs there, for each ask(what); what it throws arrives as CannotMeasure.
  explicit Errand(std::function<double(int what)> serve);
  ~Errand();
  double ask(int what);

 private:
  std::array<int, 2> ends_{};
  std::unique_ptr<PeerProcess> peer_;
};

}  // namespace mobula::bench
