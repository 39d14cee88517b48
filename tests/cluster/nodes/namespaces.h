#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/cluster/nodes/lossy_cable.h"

// Two network name spaces joined by a virtual cable, as two machines are: 10.77.x.1 and 10.77.x.2. Needs root (or the
// rights to make name spaces); `why_not()` says what is missing. With a loss (0.1: every tenth packet), the cable is
// one that loses packets.
class TwoMachines {
 public:
  explicit TwoMachines(double loss = 0);
  ~TwoMachines();
  TwoMachines(const TwoMachines&) = delete;
  TwoMachines& operator=(const TwoMachines&) = delete;

  const std::string& why_not() const { return why_not_; }
  std::string address(int machine) const { return subnet_ + std::to_string(machine + 1); }
  // The command, to be run on machine 0 or 1.
  std::vector<std::string> on(int machine, std::vector<std::string> command) const;
  // Pulls the cable, or plugs it in.
  void cable(bool plugged) const;
  // Null without losses.
  LossyCable* lossy() const { return lossy_.get(); }
  // The processes on a machine.
  std::vector<int> processes(int machine) const;

 private:
  bool run(const std::string& command);
  std::string names_[2];
  std::string subnet_;
  std::string why_not_;
  std::unique_ptr<LossyCable> lossy_;
};
