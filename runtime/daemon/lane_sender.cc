#include "runtime/daemon/lane_sender.h"

namespace mobula::daemon {

net::SendStatus LaneSender::try_send(net::Peer to, net::LaneKind kind, Parts parts) {
  return kind == net::LaneKind::calls ? endpoint_.post_call(to, parts).status : endpoint_.send(to, parts);
}

net::SendStatus LaneSender::send(net::Peer to, net::LaneKind kind, Parts parts) {
  if (!waiting_.contains(to)) {
    const net::SendStatus status = try_send(to, kind, parts);
    if (status != net::SendStatus::full) return status;
  }
  Frame frame{kind, {}};
  for (const auto& part : parts) frame.bytes.insert(frame.bytes.end(), part.begin(), part.end());
  waiting_[to].push_back(std::move(frame));
  return net::SendStatus::ok;
}

void LaneSender::flush() {
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    auto& [to, frames] = *at;
    while (!frames.empty()) {
      const net::SendStatus status = try_send(to, frames.front().kind, {frames.front().bytes});
      if (status == net::SendStatus::full) break;
      frames.pop_front();
      if (status == net::SendStatus::dead) frames.clear();
    }
    at = frames.empty() ? waiting_.erase(at) : std::next(at);
  }
}

}  // namespace mobula::daemon
