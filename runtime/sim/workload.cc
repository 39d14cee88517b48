// The driver's part of a scenario: calls of every kind at random times, each with what must come of it.
#include <algorithm>
#include <functional>
#include <memory>

#include "runtime/sim/scenario.h"
#include "runtime/sim/sim_node.h"
#include "runtime/sim/sim_process.h"

namespace mobula::sim {

namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

class Workload {
 public:
  Workload(World& world, const Scenario& scenario) : world_(world), scenario_(scenario), driver_(world.driver()) {
    for (const auto& [kind, count] : scenario.work) {
      for (int i = 0; i < count; ++i) at_random([this, kind = kind] { submit(kind); });
    }
    for (int i = 0; i < scenario.kill_workers; ++i) at_random([this] { kill_somebody(); });
    for (int i = 0; i < scenario.crash_nodes; ++i) at_random([this] { crash_a_node(); });
    for (int i = 0; i < scenario.pauses; ++i) at_random([this] { some_node(0).pause(some_while()); });
    for (int i = 0; i < scenario.clock_jumps; ++i) at_random([this] { some_node(0).clock_jumps(some_while()); });
    for (int i = 0; i < scenario.cuts; ++i) {
      at_random([this] { world_.cut(some_node(0), some_node(0), world_.chance(0.5), some_while()); });
    }
    for (int i = 0; i < scenario.restart_heads; ++i) {
      at_random([this] {
        world_.restart_head(
            world_.uniform(milliseconds(1), Duration(static_cast<std::int64_t>(scenario_.away_ms * 1e6))));
      });
    }
    for (int i = 0; i < scenario.status; ++i) {
      at_random([this] { world_.node(world_.random().below(world_.node_count())).ask_status(); });
    }
    cancels_left_ = scenario.cancels;
  }

  bool done() const { return planned_ == 0 && open_ == 0; }
  std::string pending() const {
    std::string text = std::to_string(planned_) + " to submit, " + std::to_string(open_) + " open:";
    for (const auto& [number, what] : open_names_) text += " " + what;
    return text;
  }

 private:
  struct Wanted {
    std::string what;
    std::function<bool(std::uint64_t)> right;  // of a value
    std::set<std::string> errors;              // in which it may end
    bool error_wanted = false;                 // it must not have a value
  };

  void at_random(std::function<void()> what) {
    ++planned_;
    const auto latest = Duration(static_cast<std::int64_t>(scenario_.within_ms * 1e6));
    driver_.node().after(world_.uniform(microseconds(0), latest), [this, what = std::move(what)] {
      what();
      --planned_;
      driver_.settle();
    });
  }

  std::uint64_t some_value() { return 1 + world_.random().below(1000); }
  std::uint32_t some_time() { return 20 + world_.random().below(2000); }

  // Checks the ref's outcome, then calls `then` (with whether it is a value), then releases it.
  void expect(RefHandle ref, Wanted wanted, std::function<void(bool)> then = {}) {
    ++open_;
    const int number = ++named_;
    open_names_[number] = wanted.what;
    for (const std::string& error : scenario_.allowed) wanted.errors.insert(error);
    driver_.when_ready(ref, [this, ref, number, wanted = std::move(wanted), then = std::move(then)] {
      open_names_.erase(number);
      const Error* const error = driver_.error_of(ref);
      const bool value = error == nullptr;
      if (value) {
        world_.probe("call.value");
        if (wanted.error_wanted) {
          world_.violated(wanted.what + " should have failed");
        } else if (!wanted.right(driver_.number(ref))) {
          world_.violated(wanted.what + " gave " + std::to_string(driver_.number(ref)));
        }
      } else {
        world_.probe("call.error");
        const std::string code(to_string(error->code));
        world_.probe(("error." + code).c_str());
        if (!wanted.errors.contains(code)) {
          world_.violated(wanted.what + " ended in an error it must not have: " + error->describe());
        }
        if (error->message.empty() || error->code == ErrorCode::none) {
          world_.violated(wanted.what + " ended in an error that says nothing");
        }
        for (const Error& cause : error->causes) {
          if (cause.code == ErrorCode::worker_died) world_.probe("error.has_cause");
        }
      }
      if (then) then(value);
      driver_.release(ref);
      --open_;
      driver_.settle();
    });
  }

  static std::function<bool(std::uint64_t)> equal(std::uint64_t value) {
    return [value](std::uint64_t got) { return got == value; };
  }

  int deaths() const { return scenario_.kill_workers + scenario_.crash_nodes + scenario_.restart_heads; }

  TaskOptions some_options() {
    TaskOptions options;
    options.max_retries = deaths() > 0 ? -1 : 3;
    if (world_.chance(0.2)) options.resources = {};
    return options;
  }
  ActorOptions actor_options() {
    ActorOptions options;
    options.max_restarts = scenario_.actor_restarts;
    options.resources = world_.chance(0.7) ? Resources{} : Resources::cpus(1);
    return options;
  }

  void submit(const std::string& kind) {
    const std::uint64_t v = some_value();
    if (kind == "leaf") {
      const RefHandle ref = driver_.submit({Op::leaf, 0, 0, some_time(), v, {}}, some_options());
      maybe_cancel(ref);
      expect(ref, {"leaf", equal(2 * v + 1), {"cancelled"}});
    } else if (kind == "chain") {
      RefHandle ref = driver_.put(v);
      std::uint64_t expected = v;
      for (int i = 0; i < 4; ++i) {
        const RefHandle next = driver_.submit({Op::leaf, 0, 0, some_time(), 1, {}}, some_options(), {ref});
        driver_.release(ref);
        ref = next;
        expected = 2 * (expected + 1) + 1;
      }
      maybe_cancel(ref);
      expect(ref, {"chain", equal(expected), {"cancelled"}});
    } else if (kind == "nested") {
      const RefHandle ref = driver_.submit({Op::nested, 3, 2, 100, 0, {}}, some_options());
      maybe_cancel(ref);
      expect(ref, {"nested", equal(15), {"cancelled"}});
    } else if (kind == "fail") {
      expect(driver_.submit({Op::fail, 0, 0, some_time(), v, {}}, some_options()), {"fail", {}, {"exception"}, true});
    } else if (kind == "make_ref") {
      const RefHandle ref = driver_.submit({Op::make_ref, 0, 0, some_time(), v, {}}, some_options());
      expect(ref, {"make_ref", equal(v), {}}, [this, ref, v](bool value) {
        if (!value) return;
        // The outer value goes at once: the inner ref must live on its own.
        const RefHandle inner = driver_.owner().borrow(driver_.refs_in(ref).front(), false, ref);
        expect(inner, {"the ref inside a result", equal(2 * v + 1), {}});
      });
    } else if (kind == "use_ref") {
      const RefHandle inner = driver_.submit({Op::leaf, 0, 0, some_time(), v, {}}, some_options());
      const RefId name = driver_.owner().id(inner);
      const RefHandle ref = driver_.submit({Op::use_ref, 0, 0, 20, 0, {name}}, some_options(), {}, {inner});
      driver_.release(inner);
      expect(ref, {"use_ref", equal(2 * v + 2), {}});
    } else if (kind == "large") {
      const RefHandle object = driver_.submit({Op::large, 0, 0, some_time(), v, {}}, some_options());
      expect(driver_.submit({Op::leaf, 0, 0, 20, 0, {}}, some_options(), {object}),
             {"reader of large", equal(2 * v + 1), {}});
      expect(object, {"large", equal(v), {}});
    } else if (kind == "hoard") {
      hoard(v);
    } else if (kind == "large_child") {
      expect(driver_.submit({Op::large_child, 0, 0, some_time(), v, {}}, some_options()),
             {"large_child", equal(2 * v + 1), {}});
    } else if (kind == "spawn") {
      expect(driver_.submit({Op::spawn, 0, 0, some_time(), v, {}}, some_options()), {"spawn", equal(3 * v), {}});
    } else if (kind == "actor") {
      const RefHandle actor = driver_.create_actor({Op::create, 0, 0, some_time(), 0, {}}, actor_options());
      auto last = std::make_shared<std::uint64_t>(0);
      auto restarts = std::make_shared<int>(0);
      for (int i = 1; i <= 8; ++i) {
        const int allowed = scenario_.actor_restarts;
        const bool exact = deaths() == 0;
        expect(driver_.call(actor, {Op::add, 0, 0, some_time() / 4, 1, {}}),
               {"add " + std::to_string(i),
                [=](std::uint64_t got) {
                  // In order, each at most once; a restart begins again, and only a restart does.
                  if (got <= *last) ++*restarts;
                  const bool right = exact ? got == static_cast<std::uint64_t>(i)
                                           : got >= 1 && got <= static_cast<std::uint64_t>(i) && *restarts <= allowed;
                  *last = got;
                  return right;
                },
                {}});
      }
      driver_.release(actor);
    } else if (kind == "store") {
      const RefHandle actor = driver_.create_actor({Op::create, 0, 0, some_time(), 0, {}}, actor_options());
      const RefHandle stored = driver_.submit({Op::leaf, 0, 0, some_time(), v, {}}, some_options());
      expect(driver_.call(actor, {Op::store, 0, 0, 20, v, {driver_.owner().id(stored)}}, {}, {stored}),
             {"store", equal(v), {}}, [this, actor, v](bool value) {
               if (value) {
                 // A restarted actor has lost what it stored.
                 std::set<std::string> errors;
                 if (scenario_.actor_restarts > 0) errors.insert("exception");
                 expect(driver_.call(actor, {Op::read_stored, 0, 0, 20, 0, {}}),
                        {"read_stored", equal(2 * v + 2), errors});
               }
               driver_.release(actor);
             });
      driver_.release(stored);  // the actor's borrow must keep it
    } else if (kind == "store_far") {
      // The ref belongs to the process that ran make_ref, the actor that keeps it is a third one: only its own borrow,
      // made before its reply, keeps the value once the driver lets go.
      const RefHandle made = driver_.submit({Op::make_ref, 0, 0, some_time(), v, {}}, some_options());
      expect(made, {"make_ref", equal(v), {}}, [this, made, v](bool value) {
        if (!value) return;
        const RefId name = driver_.refs_in(made).front();
        const RefHandle inner = driver_.owner().borrow(name, false, made);
        const RefHandle actor = driver_.create_actor({Op::create, 0, 0, 20, 0, {}}, actor_options());
        expect(driver_.call(actor, {Op::store, 0, 0, 20, v, {name}}, {}, {inner}), {"store", equal(v), {}},
               [this, actor, v](bool stored) {
                 std::set<std::string> errors;
                 if (scenario_.actor_restarts > 0) errors.insert("exception");
                 if (stored) {
                   driver_.node().after(milliseconds(20), [this, actor, v, errors] {
                     expect(driver_.call(actor, {Op::read_stored, 0, 0, 20, 0, {}}),
                            {"read_stored", equal(2 * v + 2), errors});
                     driver_.release(actor);
                     driver_.settle();
                     --planned_;
                   });
                   ++planned_;
                 } else {
                   driver_.release(actor);
                 }
               });
        driver_.release(inner);
      });
    } else if (kind == "share") {
      const RefHandle actor = driver_.create_actor({Op::create, 0, 0, some_time(), 0, {}}, actor_options());
      const RefId name = driver_.owner().id(actor);
      for (int i = 0; i < 3; ++i) {
        expect(driver_.submit({Op::call_actor, 0, 0, 20, 1, {name}}, some_options(), {}, {actor}),
               {"call_actor", [](std::uint64_t got) { return got >= 1; }, {}});
      }
      driver_.release(actor);
    } else if (kind == "claim") {
      // All of them mean one actor, which lives as long as one of their results does: to the end of the last.
      const RefHandle ref = driver_.submit({Op::claim, 0, 0, some_time(), 1, {}}, some_options());
      driver_.owner().retain(ref);
      claimed_.push_back(ref);
      expect(ref,
             {"claim",
              [this](std::uint64_t who) {
                if (holder_ == 0) holder_ = who;
                return who == holder_;
              },
              {}},
             [this](bool) {
               if (++claims_done_ != scenario_.work.at("claim")) return;
               for (const RefHandle each : claimed_) driver_.release(each);
             });
    } else if (kind == "group") {
      work_in_a_group(v);
    } else if (kind == "lasting_group") {
      return_to_a_group(v);
    } else if (kind == "named") {
      find_by_name();
    } else if (kind == "linger") {
      const RefHandle ref = driver_.submit({Op::linger, 0, 0, 20, v, {}}, some_options());
      maybe_cancel(ref);
      expect(ref, {"linger", equal(v), {"cancelled"}});
    } else if (kind == "hungry") {
      // Attempts that end because memory runs out do not count.
      TaskOptions options = some_options();
      options.max_retries = deaths() > 0 ? -1 : 1;
      expect(driver_.submit({Op::hungry, 0, 0, 20, v, {}}, options), {"hungry", equal(v), {}});
    } else if (kind == "die_once") {
      expect(driver_.submit({Op::die_once, 0, 0, some_time(), v, {}}, some_options()),
             {"die_once", equal(2 * v + 1), {}});
    } else if (kind == "stream") {
      read_stream(v);
    } else if (kind == "flaky") {
      TaskOptions options = some_options();
      options.backoff = {.first = milliseconds(2), .factor = 2, .most = milliseconds(50), .jitter = 0.5};
      expect(driver_.submit({Op::flaky, 0, 0, some_time(), v, {}}, options), {"flaky", equal(2 * v + 1), {}},
             [this](bool value) {
               if (value) world_.probe("task.retried_after_a_wait");
             });
    } else if (kind == "recycle") {
      // Without retries: a recycled worker loses no call.
      TaskOptions options = some_options();
      if (deaths() == 0) options.max_retries = 0;
      expect(driver_.submit({Op::recycle, 0, 0, some_time(), v, {}}, options), {"recycle", equal(2 * v + 1), {}});
    } else if (kind == "last_word") {
      const RefHandle actor = driver_.create_actor({Op::create, 0, 0, some_time(), v, {}}, actor_options());
      expect(driver_.call(actor, {Op::last_word, 0, 0, some_time(), 0, {}}), {"last_word", equal(v), {}},
             [this, actor](bool value) {
               if (value) {
                 expect(driver_.call(actor, {Op::add, 0, 0, 20, 1, {}}),
                        {"a call after the last word", {}, {"actor_died"}, true});
               }
               driver_.release(actor);
             });
    } else if (kind == "circle") {
      const RefHandle one = driver_.create_actor({Op::create, 0, 0, some_time(), 0, {}}, actor_options());
      const RefHandle other = driver_.create_actor({Op::create, 0, 0, some_time(), 0, {}}, actor_options());
      const std::vector<RefId> names{driver_.owner().id(other), driver_.owner().id(one)};
      const std::uint32_t beside = world_.chance(0.5) ? 1 : 0;  // they wait for something else as well
      expect(driver_.call(one, {Op::ping, 0, beside, 20, v, names}, {}, {other, one}),
             {"a circle of calls", {}, {"would_deadlock"}, true});
      driver_.release(one);
      driver_.release(other);
    } else if (kind == "kill_actor") {
      const RefHandle actor = driver_.create_actor({Op::create, 0, 0, some_time(), 0, {}}, actor_options());
      for (int i = 0; i < 3; ++i) {
        expect(driver_.call(actor, {Op::add, 0, 0, 500, 1, {}}),
               {"add to a killed actor", [](std::uint64_t got) { return got <= 3; }, {"actor_died"}});
      }
      driver_.node().after(world_.uniform(microseconds(1), milliseconds(5)), [this, actor] {
        driver_.owner().kill(actor, driver_.node().now());
        expect(driver_.call(actor, {Op::add, 0, 0, 20, 1, {}}), {"call of a dead actor", {}, {"actor_died"}, true});
        driver_.release(actor);
        driver_.settle();
      });
    } else if (kind == "copied") {
      // Not made again: only its copies can answer for it.
      TaskOptions options = some_options();
      options.max_retries = 0;
      options.copies = 2;
      outlive(driver_.submit({Op::large, 0, 0, some_time(), v, {}}, options), v, true);
    } else if (kind == "kept") {
      const RefHandle made = driver_.submit({Op::keep, 0, 2, some_time(), v, {}}, some_options());
      expect(made, {"keep", equal(v), {}}, [this, made, v](bool value) {
        if (value) outlive(driver_.owner().borrow(driver_.refs_in(made).front(), false, made), v, false);
      });
    } else if (kind == "lineage") {
      read_late(v);
    } else if (kind == "resume") {
      resume_an_actor();
    } else if (kind == "broken") {
      const RefHandle actor = driver_.create_actor({Op::broken, 0, 0, some_time(), 0, {}}, actor_options());
      expect(driver_.call(actor, {Op::add, 0, 0, 20, 1, {}}), {"call of a broken actor", {}, {"actor_died"}, true});
      driver_.release(actor);
    }
  }

  // More large objects than fit into memory, which are read once all are there.
  void hoard(std::uint64_t v) {
    constexpr std::uint64_t count = 8;
    const auto objects = std::make_shared<std::vector<RefHandle>>();
    const auto left = std::make_shared<std::uint64_t>(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      const RefHandle object = driver_.submit({Op::large, 0, 0, some_time(), v + i, {}}, some_options());
      driver_.owner().retain(object);
      objects->push_back(object);
      expect(object, {"an object of a hoard", equal(v + i), {}}, [this, objects, left, v](bool) {
        if (--*left != 0) return;
        for (std::uint64_t k = 0; k < count; ++k) {
          const RefHandle each = (*objects)[k];
          expect(driver_.submit({Op::leaf, 0, 0, some_time(), 0, {}}, some_options(), {each}),
                 {"reader of a hoard", equal(2 * (v + k) + 1), {}});
          driver_.release(each);
        }
      });
    }
  }

  // Two bundles, four tasks in them; given back when they have ended.
  void work_in_a_group(std::uint64_t value) {
    wire::CreateGroup wanted;
    wanted.strategy = static_cast<wire::GroupStrategy>(world_.random().below(4));
    wanted.bundles.assign(2, {Resources::cpus(1), {}});
    ++open_;
    const auto removed = std::make_shared<bool>(false);
    const wire::GroupId group = driver_.place_group(wanted, [this, removed](const wire::GroupPlaced& placed) {
      if (placed.error.code != ErrorCode::none) {
        // (The answer of a head that died may have been lost, and the group have been used and removed since.)
        if (!*removed) world_.violated("a group was not placed: " + placed.error.message);
        return;
      }
      world_.probe(placed.nodes[0] == placed.nodes[1] ? "group.on_one_node" : "group.on_two_nodes");
    });
    const auto left = std::make_shared<int>(4);
    for (int i = 0; i < 4; ++i) {
      TaskOptions options;
      options.max_retries = -1;
      options.placement.group = group;
      options.placement.bundle = world_.chance(0.3) ? -1 : i % 2;
      const RefHandle ref = driver_.submit({Op::leaf, 0, 0, 500 + some_time() * 5, value, {}}, options);
      expect(ref, {"leaf in a group", equal(2 * value + 1), {}}, [this, left, group, removed](bool) {
        if (--*left != 0) return;
        *removed = true;
        driver_.owner().remove_group(group);
        --open_;
      });
    }
  }

  TaskOptions in_group(const wire::GroupId& group, int bundle) {
    TaskOptions options;
    options.max_retries = -1;
    options.placement.group = group;
    options.placement.bundle = bundle;
    return options;
  }

  // Two bundles that are used, left alone for a while, and used again: meanwhile they stay where they are, unless their
  // node died.
  void return_to_a_group(std::uint64_t value) {
    wire::CreateGroup wanted;
    wanted.strategy = static_cast<wire::GroupStrategy>(world_.random().below(4));
    wanted.bundles.assign(2, {Resources::cpus(1), {}});
    ++open_;
    const auto group = std::make_shared<wire::GroupId>();
    const auto leave = [this, group](bool) {
      driver_.owner().remove_group(*group);
      --open_;
    };
    const auto return_to_it = [this, group, value, leave](const wire::GroupPlaced& before) {
      driver_.watch_group(*group, [this, group, value, leave, before](const wire::GroupPlaced& placed) {
        if (placed.error.code != ErrorCode::none) return world_.violated("a group is no more: " + placed.error.message);
        for (std::size_t i = 0; i < 2; ++i) {
          const bool stays = world_.find_node(before.nodes[i])->alive();
          if (stays && placed.nodes[i] != before.nodes[i]) {
            world_.violated("a bundle left " + to_string(before.nodes[i]) + ", which lives");
          }
          world_.probe(stays ? "group.found_again" : "group.completed_elsewhere");
        }
        const RefHandle other = driver_.submit({Op::leaf, 0, 0, some_time(), value, {}}, in_group(*group, 1));
        expect(other, {"leaf in a group that was left", equal(2 * value + 1), {}}, leave);
      });
    };
    *group = driver_.place_group(wanted, [this, group, value, return_to_it](const wire::GroupPlaced& placed) {
      if (placed.error.code != ErrorCode::none) {
        return world_.violated("a group was not placed: " + placed.error.message);
      }
      const RefHandle one = driver_.submit({Op::leaf, 0, 0, some_time(), value, {}}, in_group(*group, 0));
      expect(one, {"leaf in a group to be left", equal(2 * value + 1), {}}, [this, placed, return_to_it](bool) {
        driver_.node().after(world_.uniform(milliseconds(1), seconds(6)), [this, placed, return_to_it] {
          return_to_it(placed);
          driver_.settle();
        });
      });
    });
  }

  // An actor of the driver that has a name of its own; tasks that look for it later, or would make it, get that one.
  void find_by_name() {
    const std::uint64_t name = 1000 + ++named_actors_;
    ++open_;
    const int number = ++named_;
    open_names_[number] = "a name";
    driver_.claim(name, [this, name, number](RefHandle actor) {
      const ActorId id = as_actor(driver_.owner().id(actor));
      const std::uint64_t who = who_is(id);
      const auto left = std::make_shared<int>(3);
      for (int i = 0; i < 3; ++i) {
        driver_.node().after(world_.uniform(milliseconds(1), seconds(6)), [this, name, number, actor, who, left] {
          TaskOptions options;
          options.max_retries = -1;
          const RefHandle ref = driver_.submit({Op::claim, 0, 0, some_time(), name, {}}, options);
          // (An actor on a machine that dies is gone with what it had; its owner, and so its name, is not.)
          expect(ref, {"the actor of a name", equal(who), {"exception"}}, [this, number, actor, left](bool value) {
            if (value) world_.probe("name.found");
            if (--*left != 0) return;
            open_names_.erase(number);
            driver_.release(actor);
            --open_;
          });
          driver_.settle();
        });
      }
    });
  }

  // From when on the object lies on two nodes, whatever dies: it is read at any time after that, and lies on two again.
  // (Before, its node may die with the only one; `may_fail`: what makes it too.)
  void outlive(RefHandle ref, std::uint64_t v, bool may_fail) {
    ++open_;
    const int number = ++named_;
    open_names_[number] = "copies";
    await_copies(ref, [this, ref, v, may_fail, number](const Result<std::uint32_t>& held) {
      open_names_.erase(number);
      --open_;
      if (!held.ok()) {
        const ErrorCode code = held.error().code;
        const bool maker_died = code == ErrorCode::worker_died || code == ErrorCode::node_died;
        if (code != ErrorCode::object_lost && !(may_fail && maker_died))
          world_.violated("there will be no copies: " + held.error().describe());
        world_.probe("copies.never");
        driver_.release(ref);
        return;
      }
      if (*held < 2) world_.violated("it was said to lie on two nodes, and lies on " + std::to_string(*held));
      world_.probe("copies.there");
      ++planned_;
      world_.events().after(world_.uniform(milliseconds(1), seconds(12)), [this, ref, v] {
        if (world_.chance(0.5)) {
          expect(driver_.submit({Op::leaf, 0, 0, 20, 0, {}}, some_options(), {ref}),
                 {"leaf of what has copies", equal(2 * v + 1), {}});
        }
        if (world_.chance(0.5)) {
          expect(driver_.submit({Op::use_ref, 0, 0, 20, 0, {driver_.owner().id(ref)}}, some_options(), {}, {ref}),
                 {"use_ref of what has copies", equal(v + 1), {}});
        }
        driver_.owner().retain(ref);
        expect(ref, {"what has copies", equal(v), {}}, [this, ref](bool) {
          ++open_;
          await_copies(ref, [this, ref](const Result<std::uint32_t>& again) {
            --open_;
            if (again.ok() && *again >= 2) world_.probe("copies.there_again");
            driver_.release(ref);
          });
        });
        --planned_;
        driver_.settle();
      });
    });
  }

  void await_copies(RefHandle ref, std::function<void(const Result<std::uint32_t>&)> then) {
    const auto held = driver_.owner().take_copies(ref);
    if (held) return then(*held);
    world_.events().after(milliseconds(1), [this, ref, then = std::move(then)]() mutable {
      await_copies(ref, std::move(then));
      driver_.settle();
    });
  }

  // A chain of objects, of which only the last one is held, and an object of an actor; both are read after any node
  // that dies has been found out, by the driver and by tasks.
  void read_late(std::uint64_t v) {
    RefHandle ref = driver_.put(v);
    std::uint64_t expected = v;
    for (int i = 0; i < 3; ++i) {
      const RefHandle next = driver_.submit({Op::grow, 0, 0, some_time(), 0, {}}, some_options(), {ref});
      driver_.release(ref);
      ref = next;
      expected = 2 * expected + 1;
    }
    ActorOptions options;
    options.max_restarts = -1;
    options.max_call_retries = -1;
    options.resources = {};
    const RefHandle actor = driver_.create_actor({Op::create, 0, 0, some_time(), 0, {}}, options);
    const RefHandle made = driver_.call(actor, {Op::large_add, 0, 0, some_time(), v, {}});
    ++planned_;
    driver_.node().after(world_.uniform(milliseconds(1), seconds(12)), [this, ref, expected, actor, made, v] {
      if (world_.chance(0.5)) {
        expect(driver_.submit({Op::leaf, 0, 0, 20, 0, {}}, some_options(), {ref}),
               {"leaf of what was made long ago", equal(2 * expected + 1), {}});
      }
      if (world_.chance(0.5)) {
        expect(driver_.submit({Op::use_ref, 0, 0, 20, 0, {driver_.owner().id(ref)}}, some_options(), {}, {ref}),
               {"use_ref of what was made long ago", equal(expected + 1), {}});
      }
      expect(ref, {"what was made long ago", equal(expected), {}});
      // Made again it counts again: calls of actors are repeated only where that was asked for.
      expect(made, {"what an actor made long ago", [v](std::uint64_t got) { return got % v == 0 && got != 0; }, {}},
             [this, actor](bool) { driver_.release(actor); });
      driver_.settle();
      --planned_;
    });
  }

  struct Resumed {
    RefHandle actor;
    bool repeats = false;  // calls in flight at a death run again, so that none fails
    int open = 0;
    std::uint64_t stored = 0;
    std::vector<std::uint64_t> answered;
  };

  // An actor that keeps its state, called by the driver and by tasks, over as many deaths as there are.
  void resume_an_actor() {
    auto it = std::make_shared<Resumed>();
    it->repeats = world_.chance(0.5);
    ActorOptions options = actor_options();
    options.max_restarts = -1;
    options.resources = {};
    options.max_call_retries = it->repeats ? -1 : 0;
    options.keeps_state = true;
    options.checkpoint_every = world_.chance(0.2) ? 0 : 1 + world_.random().below(6);
    options.checkpoint_period = world_.chance(0.3) ? Duration{} : world_.uniform(milliseconds(1), milliseconds(20));
    it->actor = driver_.create_actor({Op::create, 0, 0, some_time(), 0, {}}, options);
    it->stored = some_value();
    const RefHandle stored = driver_.submit({Op::leaf, 0, 0, 20, it->stored, {}}, some_options());
    expect(driver_.call(it->actor, {Op::store, 0, 0, 20, 1, {driver_.owner().id(stored)}}, {}, {stored}),
           {"store in an actor that resumes", equal(1), errors_of(*it)}, [this, it](bool value) {
             if (!value) it->stored = 0;
             one_less(it);
           });
    driver_.release(stored);
    ++it->open;
    for (int i = 0; i < 12; ++i) {
      ++it->open;
      driver_.node().after(world_.uniform(microseconds(0), milliseconds(30)), [this, it, i] {
        const std::uint64_t id = ++last_id_;
        const bool by_task = i % 3 == 0;
        const auto right = [=](std::uint64_t got) { return by_task ? got / 64 == id : got == id * 64; };
        const RefHandle ref = by_task ? driver_.submit({Op::append_by, 0, 0, 20, id, {driver_.owner().id(it->actor)}},
                                                       some_options(), {}, {it->actor})
                                      : driver_.call(it->actor, {Op::append, 0, 0, some_time() / 8, id * 64, {}});
        driver_.owner().retain(ref);
        // A task's call may have lost its result to the death of a node, though what it did was saved.
        const std::set<std::string> errors = by_task ? std::set<std::string>{"actor_died"} : errors_of(*it);
        expect(ref, {by_task ? "append by a task" : "append", right, errors}, [this, it, ref](bool value) {
          if (value) it->answered.push_back(driver_.number(ref));
          driver_.release(ref);
          one_less(it);
        });
        driver_.settle();
      });
    }
  }

  static std::set<std::string> errors_of(const Resumed& it) {
    return it.repeats ? std::set<std::string>{} : std::set<std::string>{"actor_died"};
  }

  void one_less(const std::shared_ptr<Resumed>& it) {
    if (--it->open == 0) audit(it);
  }

  void audit(const std::shared_ptr<Resumed>& it) {
    const RefId name = driver_.owner().id(it->actor);
    expect(driver_.call(it->actor, {Op::audit, 0, 0, 20, 0, {}}),
           {"audit", [](std::uint64_t) { return true; }, errors_of(*it)}, [this, it, name](bool value) {
             if (!value) return audit(it);
             check_list(*it, world_.audit_of(name));
             // What it stored is alive, though the driver let go of it long ago.
             if (it->stored == 0) {
               driver_.release(it->actor);
               return;
             }
             expect(driver_.call(it->actor, {Op::read_stored, 0, 0, 20, 0, {}}),
                    {"read_stored after resuming", equal(2 * it->stored + 2), errors_of(*it)},
                    [this, it](bool) { driver_.release(it->actor); });
           });
  }

  void check_list(const Resumed& it, const std::vector<std::uint64_t>& list) {
    std::map<std::uint64_t, std::size_t> place;
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (!place.emplace(list[i], i).second) world_.violated(std::to_string(list[i]) + " is in the state twice");
    }
    std::vector<std::pair<std::uint64_t, std::uint64_t>> by_time;
    for (const std::uint64_t id : it.answered) by_time.emplace_back(world_.when_appended(id), id);
    std::sort(by_time.begin(), by_time.end());
    std::size_t next = 0;
    for (const auto& [when, id] : by_time) {
      const auto found = place.find(id);
      if (found == place.end()) {
        world_.violated(std::to_string(id) + " was answered, but is not in the state");
      } else if (found->second < next) {
        world_.violated(std::to_string(id) + " is in the state, but not in the order in which the calls ran");
      } else {
        next = found->second;
      }
    }
    world_.probe("state.audited");
  }

  void read_stream(std::uint64_t v) {
    constexpr std::uint32_t count = 30;
    const bool to_the_end = !world_.chance(0.2);
    const std::uint32_t wanted = to_the_end ? count : world_.random().below(count);
    const RefHandle ref = driver_.stream({Op::stream, 0, count, 30, v, {}}, some_options(), 8);
    auto got = std::make_shared<std::uint32_t>(0);
    ++open_;
    const int number = ++named_;
    open_names_[number] = "stream";
    driver_.read(ref, [this, ref, v, wanted, to_the_end, got, number] {
      while (*got < wanted || to_the_end) {
        const RefHandle item = driver_.owner().next(ref);
        if (!item) break;
        if (driver_.number(item) != v + *got) {
          world_.violated("item " + std::to_string(*got) + " of a stream is " + std::to_string(driver_.number(item)));
        }
        ++*got;
        driver_.release(item);
      }
      const RefView view = driver_.owner().view(ref);
      if (view.state == RefState::pending && (to_the_end || *got < wanted)) return true;
      if (view.state == RefState::error) {
        const std::string code(to_string(view.error->code));
        if (!scenario_.allowed.contains(code)) world_.violated("a stream ended in " + view.error->describe());
      } else if (to_the_end && *got != count) {
        world_.violated("a stream ended after " + std::to_string(*got) + " items");
      }
      world_.probe(to_the_end ? "stream.read" : "stream.closed");
      open_names_.erase(number);
      --open_;
      driver_.release(ref);
      return false;
    });
  }

  void maybe_cancel(RefHandle ref) {
    if (cancels_left_ == 0) return;
    --cancels_left_;
    driver_.owner().retain(ref);
    driver_.node().after(world_.uniform(microseconds(1), milliseconds(20)),
                         [this, ref, force = world_.chance(scenario_.forced)] {
                           world_.probe("driver.cancelled");
                           driver_.owner().cancel(ref, {.force = force}, driver_.node().now());
                           driver_.release(ref);
                           driver_.settle();
                         });
  }

  void kill_somebody() {
    std::vector<ProcessId> workers;
    for (std::size_t i = 0; i < world_.node_count(); ++i) {
      SimNode& node = world_.node(i);
      if (!node.alive()) continue;
      for (const auto& worker : node.machine().workers()) {
        // Mostly those that run something; an idle one, or one that starts, now and then.
        if (worker.lease || world_.chance(0.1)) workers.push_back(worker.process);
      }
    }
    if (workers.empty()) return;
    world_.kill(workers[world_.random().below(static_cast<std::uint32_t>(workers.size()))]);
  }

  void crash_a_node() {
    if (world_.node_count() == 1) return;
    SimNode* victim = &some_node(1);
    // (Where nobody restarts it, the head is with the driver.)
    while (victim->id() == world_.head()) victim = &some_node(1);
    world_.crash(*victim);
  }
  SimNode& some_node(std::size_t first) {
    return world_.node(first + world_.random().below(static_cast<std::uint32_t>(world_.node_count() - first)));
  }
  Duration some_while() {
    return world_.uniform(milliseconds(1), Duration(static_cast<std::int64_t>(scenario_.for_ms * 1e6)));
  }

  World& world_;
  const Scenario& scenario_;
  SimProcess& driver_;
  int planned_ = 0;
  int open_ = 0;
  int named_ = 0;
  int cancels_left_ = 0;
  std::vector<RefHandle> claimed_;  // results, which keep the actor of that name
  std::uint64_t holder_ = 0;        // of the name
  int claims_done_ = 0;
  std::uint64_t named_actors_ = 0;
  std::uint64_t last_id_ = 0;  // of values in the lists of actors that resume
  std::map<int, std::string> open_names_;
};

}  // namespace

Outcome run_scenario(const Scenario& scenario, std::uint64_t seed, bool trace) {
  World world(seed, scenario.world);
  world.tracing = trace;
  Workload workload(world, scenario);
  const Time latest = Time{} + seconds(600);
  if (!world.run(latest, [&] { return workload.done() || !world.violations().empty(); })) {
    world.violated("it did not end within ten minutes; " + workload.pending());
  }
  if (world.violations().empty()) {
    // Idle leases go back, doubled and lost datagrams settle, the dead are noticed and surplus workers retire.
    world.run_until(world.events().now() + seconds(12));
    for (std::size_t n = 0; n < world.node_count(); ++n) world.node(n).ask_status();
    world.run_until(world.events().now() + seconds(30));
    world.check_at_rest();
  }
  return {world.violations(), world.probes()};
}

}  // namespace mobula::sim
