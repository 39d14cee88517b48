// Rows of two nodes: each in a network name space of its own on this machine, with a pair of virtual interfaces in
// between that carry what they can.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "bench/micro/peer.h"
#include "cli/benchmark_cases.h"
#include "runtime/net/keys.h"
#include "runtime/process/modules.h"

namespace mobula::cli {

namespace {

using bench::CannotMeasure;
using bench::Case;
using bench::Measure;
using bench::PeerProcess;

constexpr const char* here_address = "10.77.7.1";
constexpr const char* there_address = "10.77.7.2";
constexpr std::uint16_t head_port = 6390, stream_port = 6391;

Array<char> large_value(std::size_t bytes) {
  ArrayBuilder<char> builder(bytes);
  std::memset(builder.data(), 'n', bytes);
  return std::move(builder).finish();
}

[[noreturn]] void cannot(const std::string& what) {
  throw CannotMeasure(fmt::format("{}: {}; two network name spaces need root, or user name spaces, and iproute2", what,
                                  std::strerror(errno)));
}

void write_file(const char* path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) cannot(fmt::format("writing {}", path));
}

/// Away from the machine's network. Without root as the root of a user name space.
void leave_network() {
  if (geteuid() == 0) {
    if (unshare(CLONE_NEWNET) != 0) cannot("making a network name space");
    return;
  }
  const auto user = geteuid(), group = getegid();
  if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) cannot("making a user and a network name space");
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // which the change of credentials has cleared
  write_file("/proc/self/setgroups", "deny");
  write_file("/proc/self/uid_map", fmt::format("0 {} 1", user));
  write_file("/proc/self/gid_map", fmt::format("0 {} 1", group));
}

void ip(const std::string& arguments) {
  const std::string command = "ip " + arguments + " 2>&1";
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> pipe(popen(command.c_str(), "r"), [](std::FILE*) { return 0; });
  std::string said;
  std::array<char, 256> buffer;
  while (pipe && std::fgets(buffer.data(), buffer.size(), pipe.get()) != nullptr) said += buffer.data();
  if (!pipe || pclose(pipe.get()) != 0) {
    throw CannotMeasure(fmt::format("`ip {}` failed: {}(package iproute2?)", arguments, said));
  }
}

/// One byte each way: a step has been taken.
class Signal {
 public:
  Signal() {
    if (pipe2(ends_.data(), O_CLOEXEC) != 0) cannot("making a pipe");
  }
  ~Signal() {
    for (const int end : ends_) close(end);
  }
  void give() { [[maybe_unused]] const auto bytes = write(ends_[1], "x", 1); }
  /// `what` failed if it does not come within ten seconds.
  void await(const char* what) {
    pollfd readable{.fd = ends_[0], .events = POLLIN, .revents = 0};
    char byte = 0;
    errno = ETIMEDOUT;
    if (poll(&readable, 1, 10'000) != 1 || read(ends_[0], &byte, 1) != 1) cannot(what);
  }

 private:
  std::array<int, 2> ends_{};
};

[[noreturn]] void become(std::vector<std::string> arguments) {
  const std::string program = process::program_path();
  std::vector<char*> argv{const_cast<char*>(program.c_str())};
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int null = open("/dev/null", O_WRONLY);
  dup2(null, STDOUT_FILENO);
  execv(program.c_str(), argv.data());
  _exit(127);
}

sockaddr_in address_of(const char* host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  inet_pton(AF_INET, host, &address.sin_addr);
  return address;
}

/// Answers each byte with `bytes` bytes, over one TCP stream.
void serve_stream(std::size_t bytes, Signal& listens) {
  const int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = address_of(there_address, stream_port);
  if (bind(listening, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 || listen(listening, 1) != 0) {
    return;
  }
  listens.give();
  const int stream = accept(listening, nullptr, nullptr);
  const std::vector<char> block(std::size_t{1} << 20, 's');
  for (char byte = 0; read(stream, &byte, 1) == 1;) {
    for (std::size_t sent = 0; sent < bytes;) {
      const auto wrote = write(stream, block.data(), std::min(block.size(), bytes - sent));
      if (wrote <= 0) return;
      sent += static_cast<std::size_t>(wrote);
    }
  }
}

/// Lives in a process of its own, with its driver in one name space and everything else in the other.
class TwoNodes {
 public:
  TwoNodes(std::size_t bytes, bool trusted) : bytes_(bytes), trusted_(trusted) {
    std::string name = (std::filesystem::temp_directory_path() / "mobula-microbenchmark-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) cannot("making a folder");
    folder_ = name;
    try {
      set_up();
    } catch (...) {
      std::filesystem::remove_all(folder_);
      throw;
    }
    std::filesystem::remove_all(folder_);  // everyone has read the keys
  }

  /// Seconds from asking for the value until all of it is here.
  double transfer() {
    const auto ref = driver_->remote<large_value>(bytes_);
    driver_->wait(std::vector{ref});
    const auto begin = std::chrono::steady_clock::now();
    const Array<char> value = ref.get();
    const auto end = std::chrono::steady_clock::now();
    if (value.size() != bytes_ || value[bytes_ - 1] != 'n') throw CannotMeasure("another value arrived than was sent");
    return std::chrono::duration<double>(end - begin).count();
  }

  double stream() {
    if (stream_ < 0) {
      stream_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in address = address_of(there_address, stream_port);
      if (connect(stream_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) cannot("connecting");
    }
    std::vector<char> block(std::size_t{1} << 20);
    const auto begin = std::chrono::steady_clock::now();
    if (write(stream_, "x", 1) != 1) cannot("asking the other end of a stream");
    for (std::size_t got = 0; got < bytes_;) {
      const auto bytes = read(stream_, block.data(), block.size());
      if (bytes <= 0) cannot("reading a stream");
      got += static_cast<std::size_t>(bytes);
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  }

 private:
  std::string keys() const { return (folder_ / "keys").string(); }

  void set_up() {
    leave_network();
    there_ = std::make_unique<PeerProcess>([this] {
      if (unshare(CLONE_NEWNET) != 0) _exit(1);
      apart_.give();
      connected_.await("connecting two network name spaces");
      std::vector<std::string> node{"node",        "--join", fmt::format("{}:{}", here_address, head_port),
                                    "--keys",      keys(),   "--host",
                                    there_address, "--cpus", "1",
                                    "--name",      "there",  "--log-level",
                                    "error"};
      if (trusted_) node.push_back("--trusted-network");
      become(std::move(node));
    });
    apart_.await("making the other network name space");
    ip(fmt::format("link add mbl0 type veth peer name mbl1 netns {}", there_->pid()));
    ip(fmt::format("addr add {}/24 dev mbl0", here_address));
    ip("link set lo up");
    ip("link set mbl0 up");
    stream_there_ = std::make_unique<PeerProcess>([this] {
      const int name_space = open(fmt::format("/proc/{}/ns/net", there_->pid()).c_str(), O_RDONLY | O_CLOEXEC);
      if (setns(name_space, CLONE_NEWNET) != 0) _exit(1);
      ip(fmt::format("addr add {}/24 dev mbl1", there_address));
      ip("link set lo up");
      ip("link set mbl1 up");
      serve_stream(bytes_, listens_);
    });
    listens_.await("listening in the other network name space");
    start_cluster();
  }

  void start_cluster() {
    if (const auto saved = net::Keys::generate().save(keys()); !saved) throw CannotMeasure(saved.error().message);
    head_ = std::make_unique<PeerProcess>([this] {
      become({"head", "--host", here_address, "--port", std::to_string(head_port), "--keys", keys(), "--cpus", "0",
              "--log-level", "error"});
    });
    connected_.give();
    if (trusted_) setenv("MOBULA_TRUSTED_NETWORK", "1", 1);  // a driver's --trusted-network
    driver_.emplace(Runtime::start({.workers = 0,
                                    .address = fmt::format("{}:{}", here_address, head_port),
                                    .keys = keys(),
                                    .name = "here",
                                    .log_level = "error"}));
    transfer();
  }

  const std::size_t bytes_;
  const bool trusted_;
  std::filesystem::path folder_;
  Signal apart_, connected_, listens_;
  std::unique_ptr<PeerProcess> there_, stream_there_, head_;
  std::optional<Runtime> driver_;
  int stream_ = -1;
};

}  // namespace

void add_node_cases(BenchmarkBed& bed, std::vector<Case>& cases) {
  const std::size_t bytes = bed.many(1'000'000'000);
  const auto errand = [&](bool trusted) {
    const auto nodes = std::make_shared<std::unique_ptr<TwoNodes>>();
    return bed.errand([nodes, bytes, trusted](int what) {
      if (!*nodes) *nodes = std::make_unique<TwoNodes>(bytes, trusted);
      return what == 0 ? (*nodes)->transfer() : (*nodes)->stream();
    });
  };
  const auto encrypted = errand(false), trusted = errand(true);
  const auto add = [&](const char* name, const char* group, const std::string& about, const char* floor, auto ask,
                       int what) {
    Case& row = cases.emplace_back();
    row.name = name;
    row.group = group;
    row.about = about;
    row.floor = floor;
    row.measure = Measure::speed;
    row.once = [ask, what] {
      return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(ask(what)));
    };
  };
  const auto megabytes = bytes / 1'000'000;
  add("node_transfer", "mobula", fmt::format("{} MB from one node to another, encrypted", megabytes), "tcp_stream",
      encrypted, 0);
  add("node_transfer_trusted", "mobula", "the same with --trusted-network", "tcp_stream", trusted, 0);
  add("tcp_stream", "floors", "as many bytes over one TCP stream between them", "", encrypted, 1);
}

}  // namespace mobula::cli
