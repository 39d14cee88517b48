#include "tests/cluster/nodes/namespaces.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

TwoMachines::TwoMachines(double loss) {
  const std::string id = std::to_string(getpid() % 100000);
  names_[0] = "mbl" + id + "a";
  names_[1] = "mbl" + id + "b";
  subnet_ = "10.77." + std::to_string(getpid() % 250) + ".";
  const std::string a = names_[0], b = names_[1];
  if (!run("ip netns add " + a) || !run("ip netns add " + b)) return;
  if (loss > 0) {
    lossy_ = std::make_unique<LossyCable>(a, b, loss);
    why_not_ = lossy_->why_not();
    if (!why_not_.empty()) return;
  } else if (!run("ip link add " + a + " type veth peer name " + b)) {
    return;
  }
  for (int i : {0, 1}) {
    const std::string& name = names_[i];
    if ((loss == 0 && !run("ip link set " + name + " netns " + name)) ||
        !run("ip -n " + name + " addr add " + address(i) + "/24 dev " + name) ||
        !run("ip -n " + name + " link set lo up") || !run("ip -n " + name + " link set " + name + " up")) {
      return;
    }
  }
}

TwoMachines::~TwoMachines() {
  for (const auto& name : names_) {
    if (std::system(("ip netns del " + name + " 2>/dev/null").c_str()) != 0) continue;
  }
}

bool TwoMachines::run(const std::string& command) {
  std::string said;
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe != nullptr) {
    std::array<char, 256> buffer;
    while (std::fgets(buffer.data(), buffer.size(), pipe) != nullptr) said += buffer.data();
  }
  if (pipe != nullptr && pclose(pipe) == 0) return true;
  why_not_ = "`" + command + "` failed: " + said + " (needs root and the package iproute2)";
  return false;
}

std::vector<std::string> TwoMachines::on(int machine, std::vector<std::string> command) const {
  command.insert(command.begin(), {"ip", "netns", "exec", names_[machine]});
  return command;
}

std::vector<int> TwoMachines::processes(int machine) const {
  std::vector<int> found;
  std::FILE* pipe = popen(("ip netns pids " + names_[machine]).c_str(), "r");
  for (int pid; pipe != nullptr && std::fscanf(pipe, "%d", &pid) == 1;) found.push_back(pid);
  if (pipe != nullptr) pclose(pipe);
  return found;
}

void TwoMachines::cable(bool plugged) const {
  const std::string command = "ip -n " + names_[1] + " link set " + names_[1] + (plugged ? " up" : " down");
  if (std::system(command.c_str()) != 0) std::perror(command.c_str());
}
