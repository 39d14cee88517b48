#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <thread>

// A cable between two network name spaces that loses packets: a TUN device in each of them, and a thread that carries
// packets from one to the other, or drops them, by a fixed seed. For kernels without netem.
class LossyCable {
 public:
  // The devices, of the same names as the name spaces, exist afterwards, without addresses. `why_not()` is empty then.
  LossyCable(const std::string& one, const std::string& other, double loss);
  ~LossyCable();
  LossyCable(const LossyCable&) = delete;
  LossyCable& operator=(const LossyCable&) = delete;

  const std::string& why_not() const { return why_not_; }
  // Both read once the cable is not used any more.
  std::size_t carried() const { return carried_; }
  std::size_t lost() const { return lost_; }
  void stop();

 private:
  void relay(double loss);
  std::array<int, 2> ends_{-1, -1};
  int wake_ = -1;
  std::thread thread_;
  std::size_t carried_ = 0, lost_ = 0;
  std::string why_not_;
};
