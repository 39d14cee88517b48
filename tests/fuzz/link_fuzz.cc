// ReliableLink::on_datagram: what comes off the network, before anybody knows whether it is ours. The input is a series
// of datagrams, each after a length of two bytes, with the pair of nodes filled in (a wrong pair is refused at once).
#include <algorithm>
#include <cstring>

#include "runtime/wire/reliable_link.h"
#include "tests/fuzz/target.h"

namespace mobula::fuzz {
namespace {

constexpr NodeId self{11}, peer{22};

struct Sink final : wire::LinkSink {
  void transmit(NodeId, std::span<const std::byte> datagram) override {
    if (kept.size() < 16) kept.push_back(copy_of(datagram));
  }
  void deliver(NodeId, std::span<const std::byte> payload) override {
    require(reinterpret_cast<std::uintptr_t>(payload.data()) % 8 == 0);
    delivered += payload.size();
  }
  std::vector<Input> kept;
  std::size_t delivered = 0;
};

}  // namespace

void run(std::span<const std::byte> input) {
  Sink sink;
  wire::ReliableLink link(self, peer, {}, sink);
  Time now{};
  link.send(Bytes({input.data(), std::min<std::size_t>(input.size(), 8)}), now);
  std::size_t received = 0;
  while (input.size() >= 2) {
    const std::size_t wanted = static_cast<std::size_t>(input[0]) | static_cast<std::size_t>(input[1]) << 8;
    const std::size_t size = std::min(wanted, input.size() - 2);
    Input datagram = copy_of(input.subspan(2, size));
    input = input.subspan(2 + size);
    static_cast<void>(wire::ReliableLink::sender_of(datagram));
    if (datagram.size() >= 24) {
      const std::uint64_t from = peer.value, to = self.value;
      std::memcpy(datagram.data() + 8, &from, 8);
      std::memcpy(datagram.data() + 16, &to, 8);
    }
    link.on_datagram(datagram, now);
    received += size;
    now += std::chrono::milliseconds(50);
    if (link.next_timer() <= now) link.on_timer(now);
  }
  require(sink.delivered <= received);
  require(link.unacknowledged() <= 1);
}

std::vector<Input> seeds() {
  Sink sink;
  wire::ReliableLink link(peer, self, {}, sink);
  const std::vector<std::byte> payload(16, std::byte{5});
  for (int k = 0; k < 3; ++k) link.send(Bytes({payload.data(), payload.size()}), Time{});
  Input series;
  for (const Input& datagram : sink.kept) {
    series.push_back(static_cast<std::byte>(datagram.size() & 0xff));
    series.push_back(static_cast<std::byte>(datagram.size() >> 8));
    series.insert(series.end(), datagram.begin(), datagram.end());
  }
  return {series};
}

}  // namespace mobula::fuzz
