// What the fault tests break: one driver with a piece of work of each kind, each of them twice, on a node that is then
// killed, stopped, cut off, filled ... Reports on stdout, a fact a line.
//
// usage: faults_program FOLDER CALLER BODY. CALLER: "driver", or "actor": then an actor submits the work and gives the
// driver the reference. BODY: "wait", "fill" (a result of 2 MB), "grow" (allocates beyond its limit).
#include <mobula/runtime.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;
using mobula::Runtime;
using Numbers = std::vector<double>;

void say(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

/// How a piece of work runs, known to all its processes.
struct Plan {
  std::string folder;  // files say how far it is: NAME holds the process that began it last; `go` lets all end
  std::string name;    // "task.bare"
  std::string body;
  bool kept = false;  // with retries and restarts, as many as it takes
  template <class A>
  void serialize(A& a) {
    a(folder, name, body, kept);
  }
};

mobula::Options options(const Plan& plan) {
  mobula::Options chosen;
  chosen.max_retries = plan.kept ? -1 : 0;
  chosen.max_restarts = plan.kept ? -1 : 0;
  chosen.max_call_retries = plan.kept ? -1 : 0;
  if (plan.body == "grow") chosen.memory_limit = 64 << 20;
  return chosen;
}

void begin(const Plan& plan) {
  const std::filesystem::path file = std::filesystem::path(plan.folder) / plan.name;
  std::ofstream(file.string() + ".new") << getpid() << '\n';
  std::filesystem::rename(file.string() + ".new", file);
}

// Begins, waits until all may end, and does what its body says. Three numbers of sum 6, or more.
Numbers work(const Plan& plan) {
  begin(plan);
  while (!std::filesystem::exists(std::filesystem::path(plan.folder) / "go")) std::this_thread::sleep_for(5ms);
  if (plan.body == "grow") return Numbers(std::size_t{64} << 20, 1.0);  // 512 MB
  if (plan.body == "fill") return Numbers(std::size_t{1} << 18, 1.0);
  return {1, 2, 3};
}

Numbers outer(const Plan& plan) {
  auto rt = Runtime::current();
  return rt.with(options(plan)).remote<work>(plan).get();
}

Numbers megabyte() {
  return Numbers(std::size_t{1} << 17, 1.0);
}
std::size_t size_of(const Numbers& numbers) {
  return numbers.size();
}

struct Worker {
  Numbers run(const Plan& plan) { return work(plan); }
};

mobula::Generator<double> stream(Plan plan) {
  co_yield 1;
  for (const double rest : work(plan)) co_yield rest;
}
// Reads a stream to its end: the sum with the first item counted once.
Numbers read_stream(const Plan& plan) {
  auto rt = Runtime::current();
  Numbers all;
  for (const double item : rt.with(options(plan)).stream<stream>(plan)) all.push_back(item);
  all.erase(all.begin());
  return all;
}

// Kept: for longer than the process that puts it, on two nodes.
mobula::Ref<Numbers> put(const Plan& plan, Numbers numbers) {
  mobula::Options how;
  if (plan.kept) {
    how.detached = true;
    how.copies = 2;
  }
  return Runtime::current().with(how).put(std::move(numbers));
}

struct Putter {
  mobula::Ref<Numbers> store(const Plan& plan) {
    begin(plan);
    return put(plan, plan.body == "wait" ? Numbers{1, 2, 3} : work(plan));
  }
};
struct Borrower {
  mobula::Ref<Numbers> lend(const Plan& plan) {
    auto rt = Runtime::current();
    return rt.with(options(plan)).remote<work>(plan);
  }
};

/// A reference, or one to come that a process will give.
struct Piece {
  std::string name;
  mobula::Ref<Numbers> direct{};
  mobula::Ref<mobula::Ref<Numbers>> given{};
};

// The handles of the actors that one process uses, which live as long.
struct Actors {
  std::vector<mobula::Actor<Worker>> workers;
  std::vector<mobula::Actor<Putter>> putters;
  std::vector<mobula::Actor<Borrower>> borrowers;
};

Piece submit(const Runtime& rt, Actors& actors, const std::string& kind, const Plan& plan) {
  const auto with = rt.with(options(plan));
  Piece piece{.name = plan.name};
  if (kind == "nested task") {
    piece.direct = with.remote<outer>(plan);
  } else if (kind == "actor call") {
    piece.direct = actors.workers.emplace_back(with.spawn<Worker>()).call<&Worker::run>(plan);
  } else if (kind == "generator") {
    piece.direct = with.remote<read_stream>(plan);
  } else if (kind == "borrowed ref") {
    piece.given = actors.borrowers.emplace_back(rt.spawn<Borrower>()).call<&Borrower::lend>(plan);
  } else if (kind == "placement group") {
    mobula::Options inside = options(plan);
    inside.resources = {.cpu = 1};
    inside.placement = {.group = rt.placement_group({{.resources = {.cpu = 1}}}), .bundle = 0};
    piece.direct = rt.with(inside).remote<work>(plan);
  } else if (kind == "put object") {
    piece.given = actors.putters.emplace_back(with.spawn<Putter>()).call<&Putter::store>(plan);
  } else {
    piece.direct = with.remote<work>(plan);
  }
  return piece;
}

/// Submits in the driver's place, so that it owns what comes of it.
struct Caller {
  Actors actors;
  mobula::Ref<Numbers> submit_for(const std::string& kind, const Plan& plan) {
    auto rt = Runtime::current();
    if (kind == "put object") {
      begin(plan);
      return put(plan, Numbers{1, 2, 3});
    }
    return submit(rt, actors, kind == "borrowed ref" ? "task" : kind, plan).direct;
  }
  int process() { return getpid(); }
};

std::string outcome(const Piece& piece) {
  try {
    const mobula::Ref<Numbers> ref = piece.given ? piece.given.get(60s) : piece.direct;
    double sum = 0;
    for (const double number : ref.get(60s)) sum += number;
    return "value " + std::to_string(static_cast<int>(sum));
  } catch (const mobula::TaskError& error) {
    std::string text = std::string(to_string(error.error().code)) + " " + error.error().describe();
    for (char& c : text) {
      if (c == '\n') c = '|';
    }
    return text;
  }
}

}  // namespace

int main(int argc, char** argv) {
  mobula::init(argc, argv);
  if (argc != 4) {
    std::fprintf(stderr, "usage: faults_program FOLDER driver|actor wait|fill|grow\n");
    return 2;
  }
  auto rt = Runtime::start();
  Actors actors;
  std::optional<mobula::Actor<Caller>> caller;
  if (std::string(argv[2]) == "actor") {
    caller = rt.spawn<Caller>();
    say("caller " + std::to_string(caller->call<&Caller::process>().get()));
  }
  // A node without room: its memory and its disk are full of what this program holds.
  std::vector<mobula::Ref<Numbers>> hoard;
  if (std::string(argv[3]) == "fill") {
    for (;;) {
      auto more = rt.with({.max_retries = 0}).remote<megabyte>();
      if (const auto size = rt.with({.max_retries = 0}).remote<size_of>(more).try_get(60s); !size.ok()) {
        say("full: " + size.error().describe());
        break;
      }
      hoard.push_back(std::move(more));
    }
  }
  std::vector<Piece> pieces;
  for (const std::string kind :
       {"task", "nested task", "actor call", "generator", "borrowed ref", "placement group", "put object"}) {
    for (const bool kept : {false, true}) {
      const Plan plan{.folder = argv[1], .name = kind + (kept ? ".kept" : ".bare"), .body = argv[3], .kept = kept};
      if (caller) {
        pieces.push_back({.name = plan.name, .given = caller->call<&Caller::submit_for>(kind, plan)});
      } else {
        pieces.push_back(submit(rt, actors, kind, plan));
      }
    }
  }
  say("submitted");
  for (const Piece& piece : pieces) say(piece.name + ": " + outcome(piece));
  if (!hoard.empty()) {
    hoard.clear();
    std::string after;
    do {
      after = outcome({.name = "after", .direct = rt.remote<megabyte>()});
    } while (!after.starts_with("value"));
    say("room again: " + after);
  }
  say("end");
  return 0;
}
