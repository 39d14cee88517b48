// The rows of `ray microbenchmark`, under its names and with its way of counting: some count a thousand tasks as one,
// and a "gigabyte" is 0.8 of an array of 100 Mi integers.
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cli/benchmark_cases.h"

namespace mobula::cli {

namespace {

using bench::Case;
using bench::Measure;

std::uint8_t small() {
  return 0;
}

std::vector<Ref<std::uint8_t>> small_tasks(const Runtime& runtime, std::size_t count) {
  std::vector<Ref<std::uint8_t>> refs;
  refs.reserve(count);
  for (std::size_t i = 0; i < count; ++i) refs.push_back(runtime.remote<small>());
  return refs;
}

struct Server {
  std::uint8_t small() { return 0; }
  std::uint8_t with_argument(std::uint8_t) { return 0; }
};

struct AsyncServer {
  Task<std::uint8_t> small() { co_return 0; }
  Task<std::uint8_t> with_argument(std::size_t) { co_return 0; }
};

/// `count` calls to each of them in turn, then all results.
template <class S>
void call_each(const Runtime& runtime, const std::vector<Actor<S>>& servers, std::size_t count) {
  std::vector<Ref<std::uint8_t>> refs;
  refs.reserve(count * servers.size());
  for (const auto& server : servers) {
    for (std::size_t i = 0; i < count; ++i) refs.push_back(server.template call<&S::small>());
  }
  runtime.get(refs);
}

template <class S>
void work(const std::vector<Actor<S>>& servers, std::size_t calls) {
  std::vector<Ref<std::uint8_t>> refs;
  refs.reserve(calls);
  for (std::size_t i = 0; i < calls; ++i) refs.push_back(servers[i % servers.size()].template call<&S::small>());
  Runtime::current().get(refs);
}

template <class S>
struct Client {
  std::vector<Actor<S>> servers;
  explicit Client(std::vector<Actor<S>> to) : servers(std::move(to)) {}
  void batch(std::size_t count) { call_each(Runtime::current(), servers, count); }
  void batch_with_argument(std::size_t count) {
    const auto runtime = Runtime::current();
    const auto argument = runtime.put(std::uint8_t{0});
    std::vector<Ref<std::uint8_t>> refs;
    for (const auto& server : servers) {
      for (std::size_t i = 0; i < count; ++i) refs.push_back(server.template call<&S::with_argument>(argument));
    }
    runtime.get(refs);
  }
};

struct Submitter {
  void batch(std::size_t count) {
    const auto runtime = Runtime::current();
    runtime.get(small_tasks(runtime, count));
  }
};

void put_small(std::size_t count) {
  const auto runtime = Runtime::current();
  for (std::size_t i = 0; i < count; ++i) runtime.put(0);
}

void put_large(std::size_t count, std::size_t integers) {
  const auto runtime = Runtime::current();
  static const std::vector<std::int64_t> zeros(integers);
  for (std::size_t i = 0; i < count; ++i) runtime.put(zeros);
}

std::vector<Ref<int>> many_refs(std::size_t count) {
  const auto runtime = Runtime::current();
  std::vector<Ref<int>> refs;
  for (std::size_t i = 0; i < count; ++i) refs.push_back(runtime.put(1));
  return refs;
}

/// Adds rows whose names and counting are Ray's.
class RayRows {
 public:
  RayRows(BenchmarkBed& bed, std::vector<Case>& cases) : bed_(bed), cases_(cases) {}

  void add() {
    single_client();
    tasks();
    actors();
    async_actors();
    placement_groups();
  }

 private:
  template <class Work>
  void row(const char* name, const char* about, double operations, Work work) {
    cases_.push_back(measured(name, about, Measure::rate, "", operations, std::move(work)));
    cases_.back().group = "ray";
  }
  template <class Work>
  void one(const char* name, const char* about, Work work) {
    row(name, about, 1, std::move(work));
    cases_.back().measure = Measure::latency;
  }
  const Runtime& runtime() const { return *bed_.runtime; }

  template <class S>
  auto servers(int count) {
    return Lazily([this_bed = &bed_, count] {
      std::vector<Actor<S>> out;
      for (int i = 0; i < count; ++i) out.push_back(this_bed->runtime->spawn<S>());
      return out;
    });
  }

  void single_client() {
    BenchmarkBed& bed = bed_;
    const Lazily value([&bed] { return bed.runtime->put(std::uint8_t{0}); });
    row("single client get calls", "a thousand times get() of one small value", 1000, [value] {
      for (int i = 0; i < 1000; ++i) value->get();
    });
    row("single client put calls", "a thousand times put(0)", 1000, [&bed] {
      for (int i = 0; i < 1000; ++i) bed.runtime->put(0);
    });
    row("multi client put calls", "10 tasks that each put(0) a hundred times", 1000, [&bed] {
      std::vector<Ref<void>> refs;
      for (int i = 0; i < 10; ++i) refs.push_back(bed.runtime->remote<put_small>(100));
      for (const auto& ref : refs) ref.get();
    });
    const std::size_t integers = bed.many(100 * 1024 * 1024);
    const Lazily array([integers] { return std::vector<std::int64_t>(integers); });
    row("single client put gigabytes", "put() of 100 Mi integers, counted as 0.8", 0.8,
        [&bed, array] { bed.runtime->put(*array); });
    const std::size_t tenth = bed.many(10 * 1024 * 1024);
    row("multi client put gigabytes", "10 tasks that each put() 80 MiB ten times, counted as 8", 8, [&bed, tenth] {
      std::vector<Ref<void>> refs;
      for (int i = 0; i < 10; ++i) refs.push_back(bed.runtime->remote<put_large>(10, tenth));
      for (const auto& ref : refs) ref.get();
    });
    const std::size_t ten_thousand = bed.many(10'000);
    const Lazily refs([&bed, ten_thousand] { return bed.runtime->remote<many_refs>(ten_thousand); });
    one("single client get object containing 10k refs", "get() of a value that holds 10,000 refs",
        [refs, ten_thousand] {
          if (refs->get().size() != ten_thousand) throw std::logic_error("refs are missing in a value");
        });
    one("single client wait 1k refs", "1000 tasks, waited for one by one: counted as 1", [&bed] {
      std::vector<Ref<std::uint8_t>> pending = small_tasks(*bed.runtime, 1000);
      while (!pending.empty()) pending = bed.runtime->wait(pending).pending;
    });
  }

  void tasks() {
    BenchmarkBed& bed = bed_;
    one("single client tasks and get batch", "1000 tasks and their results: counted as 1",
        [&bed] { bed.runtime->get(small_tasks(*bed.runtime, 1000)); });
    one("single client tasks sync", "a task and its result", [&bed] { bed.runtime->remote<small>().get(); });
    row("single client tasks async", "1000 tasks, then all results", 1000,
        [&bed] { bed.runtime->get(small_tasks(*bed.runtime, 1000)); });
    const auto submitters = servers<Submitter>(4);
    const std::size_t each = bed.many(10'000);
    row("multi client tasks async", "4 actors that each submit 10,000 tasks and wait", 4.0 * static_cast<double>(each),
        [submitters, each] {
          std::vector<Ref<void>> refs;
          for (const auto& submitter : *submitters) refs.push_back(submitter.call<&Submitter::batch>(each));
          for (const auto& ref : refs) ref.get();
        });
  }

  void actors() {
    BenchmarkBed& bed = bed_;
    const auto server = servers<Server>(1);
    one("1:1 actor calls sync", "an actor call and its result",
        [server] { (*server)[0].call<&Server::small>().get(); });
    row("1:1 actor calls async", "1000 calls, then all results", 1000,
        [&bed, server] { call_each(*bed.runtime, *server, 1000); });
    const Lazily threads([&bed] { return std::vector{bed.runtime->with({.max_concurrency = 16}).spawn<Server>()}; });
    row("1:1 actor calls concurrent", "the same to an actor of 16 threads", 1000,
        [&bed, threads] { call_each(*bed.runtime, *threads, 1000); });
    one_to_n<Server>("1:n actor calls async");
    n_to_n<Server>("n:n actor calls async");
    const int half = BenchmarkBed::half_of_cpus();
    const Lazily clients([&bed, half] {
      std::vector<Actor<Client<Server>>> out;
      for (int i = 0; i < half; ++i) {
        out.push_back(bed.runtime->spawn<Client<Server>>(std::vector{bed.runtime->spawn<Server>()}));
      }
      return out;
    });
    row("n:n actor calls with arg async", "an actor for each two cpus makes 1000 calls that take a ref", 1000.0 * half,
        [clients] {
          std::vector<Ref<void>> refs;
          for (const auto& client : *clients) refs.push_back(client.call<&Client<Server>::batch_with_argument>(1000));
          for (const auto& ref : refs) ref.get();
        });
  }

  void async_actors() {
    BenchmarkBed& bed = bed_;
    const auto server = servers<AsyncServer>(1);
    one("1:1 async-actor calls sync", "a call of a coroutine actor and its result",
        [server] { (*server)[0].call<&AsyncServer::small>().get(); });
    row("1:1 async-actor calls async", "1000 such calls, then all results", 1000,
        [&bed, server] { call_each(*bed.runtime, *server, 1000); });
    row("1:1 async-actor calls with args async", "the same with an argument", 1000, [&bed, server] {
      std::vector<Ref<std::uint8_t>> refs;
      for (std::size_t i = 0; i < 1000; ++i) refs.push_back((*server)[0].call<&AsyncServer::with_argument>(i));
      bed.runtime->get(refs);
    });
    one_to_n<AsyncServer>("1:n async-actor calls async");
    n_to_n<AsyncServer>("n:n async-actor calls async");
  }

  template <class S>
  void one_to_n(const char* name) {
    BenchmarkBed& bed = bed_;
    const int n = BenchmarkBed::half_of_cpus();
    const auto all = servers<S>(n);
    const Lazily client([&bed, all] { return bed.runtime->spawn<Client<S>>(*all); });
    const std::size_t each = bed.many(5000);
    row(name, "an actor makes 5000 calls to each of an actor for each two cpus", static_cast<double>(each) * n,
        [client, each] { client->template call<&Client<S>::batch>(each).get(); });
  }

  template <class S>
  void n_to_n(const char* name) {
    BenchmarkBed& bed = bed_;
    const auto all = servers<S>(BenchmarkBed::half_of_cpus());
    const std::size_t each = bed.many(5000);
    row(name, "4 tasks that each make 5000 calls to these actors", 4.0 * static_cast<double>(each), [&bed, all, each] {
      std::vector<Ref<void>> refs;
      for (int i = 0; i < 4; ++i) refs.push_back(bed.runtime->remote<work<S>>(*all, each));
      for (const auto& ref : refs) ref.get();
    });
  }

  void placement_groups() {
    BenchmarkBed& bed = bed_;
    row("placement group create/removal", "100 groups of one bundle: made, waited for, removed", 100, [&bed] {
      std::vector<Group> groups;
      for (int i = 0; i < 100; ++i) {
        groups.push_back(bed.runtime->placement_group({{.resources = {.cpu = 0, .custom = {{"benchmark", 0.001}}}}}));
      }
      for (const Group& group : groups) bed.runtime->wait(group).value();
      for (const Group& group : groups) bed.runtime->remove(group);
    });
  }

  BenchmarkBed& bed_;
  std::vector<Case>& cases_;
};

}  // namespace

void add_ray_cases(BenchmarkBed& bed, std::vector<Case>& cases) {
  RayRows(bed, cases).add();
}

}  // namespace mobula::cli
