// The core of a driver: its node is embedded, and the node's loop thread looks after the lanes when the program does
// not.
#pragma once

#include <memory>

#include "runtime/client/process_core.h"
#include "runtime/daemon/embedded.h"

namespace mobula::client {

class DriverCore final : public ProcessCore, private daemon::Background {
 public:
  // Throws TaskError when the node cannot be started.
  static detail::Core* start(const daemon::EmbeddedOptions& options, std::uint64_t lineage_bytes);
  void shutdown() override;

 private:
  DriverCore(std::unique_ptr<daemon::Embedded> node, const ProcessSetup& setup);
  ~DriverCore() override = default;

  Time run(Time now) override;
  void rouse_background() override;

  std::unique_ptr<daemon::Embedded> node_;
  std::uint64_t activity_seen_ = 0;  // by the loop thread, at its last look
  bool armed_ = false;               // the doorbell rings in the loop's epoll
};

}  // namespace mobula::client
