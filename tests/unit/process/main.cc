#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/unit/net/processes.h"
#include "tests/unit/process/worker_roles.h"

namespace {
std::map<std::string, mobula::process::WorkerEntry>& roles() {
  static std::map<std::string, mobula::process::WorkerEntry> table;
  return table;
}
}  // namespace

WorkerRole::WorkerRole(const std::string& name, mobula::process::WorkerEntry entry) {
  roles()[name] = entry;
}

int run_worker(const mobula::process::WorkerStart& start) {
  return roles().at(std::string(start.options))(start);
}

void Collector::on_started(mobula::process::StartedWorker&& worker) {
  const pid_t pid = worker.pid;
  const auto token = worker.output_token;
  lines_.emplace(pid, new Lines{{token, pid}, {token, pid}});
  started.emplace(pid, std::move(worker));
}

void Collector::drain(int fd, mobula::process::OutputLines& lines, std::string& to) {
  char buffer[4096];
  ssize_t size;
  while ((size = read(fd, buffer, sizeof(buffer))) > 0) lines.feed({buffer, static_cast<std::size_t>(size)}, to);
  if (size == 0) lines.finish(to);
}

bool Collector::step(mobula::process::Zygote& zygote, int timeout_ms) {
  pollfd watched{zygote.fd(), POLLIN, 0};
  poll(&watched, 1, timeout_ms);
  for (auto& [pid, worker] : started) {
    drain(worker.output.get(), lines_.at(pid)->output, output);
    drain(worker.errors.get(), lines_.at(pid)->errors, errors);
  }
  return zygote.poll(*this);
}

int main(int argc, char** argv) {
  // The test of zygotes that are killed cannot set a hook in another program.
  if (const char* point = std::getenv("MOBULA_TEST_DIE_AT")) {
    mobula::tests::die_at(point, std::atoi(std::getenv("MOBULA_TEST_DIE_COUNT")));
  }
  mobula::process::init_zygote_if_marked(argc, argv, run_worker);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
