#include "tests/cluster/nodes/lossy_cable.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>

namespace {

// The device of that name in the name space of that name; -1 with errno.
int tun_in(const std::string& name) {
  int device = -1, error = 0;
  // (A thread of its own, for it does not come back from that name space.)
  std::thread([&] {
    const int space = open(("/run/netns/" + name).c_str(), O_RDONLY | O_CLOEXEC);
    if (space < 0 || setns(space, CLONE_NEWNET) != 0) {
      error = errno;
    } else if ((device = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK)) < 0) {
      error = errno;
    } else {
      ifreq wanted{};
      name.copy(wanted.ifr_name, IFNAMSIZ - 1);
      wanted.ifr_flags = IFF_TUN | IFF_NO_PI;
      if (ioctl(device, TUNSETIFF, &wanted) != 0) {
        error = errno;
        close(device);
        device = -1;
      }
    }
    if (space >= 0) close(space);
  }).join();
  errno = error;
  return device;
}

}  // namespace

LossyCable::LossyCable(const std::string& one, const std::string& other, double loss) {
  ends_ = {tun_in(one), -1};
  if (ends_[0] >= 0) ends_[1] = tun_in(other);
  if (ends_[1] < 0) {
    why_not_ = std::string("a TUN device cannot be made: ") + std::strerror(errno) + " (needs root and /dev/net/tun)";
    return;
  }
  wake_ = eventfd(0, EFD_CLOEXEC);
  thread_ = std::thread([this, loss] { relay(loss); });
}

LossyCable::~LossyCable() {
  stop();
  for (const int end : ends_) {
    if (end >= 0) close(end);
  }
  if (wake_ >= 0) close(wake_);
}

void LossyCable::stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  if (write(wake_, &one, sizeof(one)) != sizeof(one)) std::abort();
  thread_.join();
}

void LossyCable::relay(double loss) {
  std::mt19937_64 random(7);  // NOLINT(cert-msc51-cpp): the same losses each time
  std::bernoulli_distribution lose(loss);
  std::array<char, 65536> packet;
  for (;;) {
    std::array<pollfd, 3> watched = {pollfd{ends_[0], POLLIN, 0}, pollfd{ends_[1], POLLIN, 0},
                                     pollfd{wake_, POLLIN, 0}};
    poll(watched.data(), watched.size(), -1);
    if (watched[2].revents != 0) return;
    for (const int from : {0, 1}) {
      for (ssize_t size; (size = read(ends_[from], packet.data(), packet.size())) > 0;) {
        if (lose(random)) {
          ++lost_;
        } else if (write(ends_[1 - from], packet.data(), static_cast<std::size_t>(size)) == size) {
          ++carried_;
        }
      }
    }
  }
}
