#include "bench/micro/errand.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <string_view>
#include <system_error>

#include "bench/micro/case.h"

namespace mobula::bench {

namespace {

struct Answer {
  double value = 0;
  std::array<char, 1000> why_not{};  // empty: there is a value
};

Answer answer(const std::function<double(int)>& serve, int what) {
  Answer out;
  std::string_view why_not;
  try {
    out.value = serve(what);
    return out;
  } catch (const std::exception& e) {
    why_not = e.what();
    if (why_not.empty()) why_not = "it failed without saying why";
    std::copy_n(why_not.begin(), std::min(why_not.size(), out.why_not.size() - 1), out.why_not.begin());
  }
  return out;
}

}  // namespace

Errand::Errand(std::function<double(int)> serve) {
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends_.data()) != 0) {
    throw std::system_error(errno, std::generic_category(), "making a socket pair");
  }
  peer_ = std::make_unique<PeerProcess>([this, serve = std::move(serve)] {
    close(ends_[0]);
    for (int what = 0; read(ends_[1], &what, sizeof(what)) == ssize_t{sizeof(what)};) {
      const Answer out = answer(serve, what);
      if (write(ends_[1], &out, sizeof(out)) != ssize_t{sizeof(out)}) return;
    }
  });
  close(ends_[1]);
}

Errand::~Errand() {
  close(ends_[0]);
}

double Errand::ask(int what) {
  Answer answer;
  if (write(ends_[0], &what, sizeof(what)) != ssize_t{sizeof(what)} ||
      read(ends_[0], &answer, sizeof(answer)) != ssize_t{sizeof(answer)}) {
    throw CannotMeasure("the process that measures it has ended");
  }
  if (answer.why_not[0] != 0) throw CannotMeasure(answer.why_not.data());
  return answer.value;
}

}  // namespace mobula::bench
