// Graph<R(In...)>: a fixed graph of actor calls, prepared once and executed many times. Values go from actor to actor
// through channels in shared memory, without the runtime in between: an execution costs microseconds.
//
//   mobula::Graph<double(double)> graph(rt, [&](mobula::GraphBuilder& build, mobula::Node<double> x) {
//     const auto scaled = build.call<&Scale::by>(scale, x);          // double Scale::by(double)
//     return build.call<&Sum::of>(sum, scaled, x, 1.0);              // a node, or a value, for each parameter
//   });
//   double y = graph.execute(3.0).get();
//
// A graph may have several results: Graph<std::tuple<A, B>(In...)> is built by a function that returns
// std::tuple<Node<A>, Node<B>>, and an execution gives all of them as a tuple.
//
// While a graph lives its actors serve it alone: each runs its nodes in the order in which they were built, one
// execution after the other, and other calls wait until the graph is gone. Up to max_in_flight executions are on their
// way at once; a further one waits for the oldest. Values have at most max_value_bytes, hold no refs, and are copied
// once on each edge (a std::span<const T> parameter is read where it lies). Methods are plain ones, not coroutines.
//
// An exception of a node goes past the nodes that need its value to the caller of that execution, and concerns no
// other. When an actor dies, or is killed, the graph ends: what waits and what comes later throws ErrorCode::actor_died
// with the cause; results that were there can still be read. Make a new Graph then. All actors live on the node of the
// program that makes the graph, else the first execution says which one does not (ErrorCode::invalid). In-process
// (workers = 0) a graph is run inside execute().
//
// A Graph and its results belong to one thread at a time.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "mobula/runtime.h"

namespace mobula {

struct GraphOptions {
  int max_in_flight = 8;
  std::size_t max_value_bytes = 64 * 1024;
};

// The value of a node, or of an input.
template <class T>
struct Node {
  std::uint32_t index = 0;
};

namespace detail {

// One node's call: where its arguments lie, and where its result goes.
struct GraphCall {
  std::span<const std::span<const std::byte>> arguments;
  std::span<std::byte> room;  // for the result; aligned to 64
  std::size_t size = 0;       // of the result; more than there is room for: it did not fit
};
using GraphCode = Function<void(void*, GraphCall&)>;

template <class T, auto M>
struct GraphStep {
  using Entry = MethodEntry<T, M>;
  using Result = typename Entry::S::Result;
  static_assert(!ResultShape<Result>::coroutine && !IsGenerator<Result>::value,
                "mobula: the nodes of a graph are plain methods, not coroutines");

  template <class P>
  static Stored<P> argument(std::span<const std::byte> bytes) {
    // What is only looked at during the call is looked at where it lies.
    static const std::shared_ptr<const void> here = std::make_shared<char>();
    constexpr bool is_view = !std::is_same_v<Stored<P>, std::remove_cvref_t<P>>;
    Decoder d(bytes, nullptr, is_view ? here : nullptr);
    return d.read<Stored<P>>();
  }
  template <class... P, std::size_t... I>
  static void run_with(T& object, GraphCall& call, Types<P...>, std::index_sequence<I...>) {
    std::tuple<Stored<P>...> stored{argument<P>(call.arguments[I])...};
    const auto invoke = [&]() -> Result {
      return std::apply([&](Stored<P>&... values) -> Result { return std::invoke(M, object, pass<P>(values)...); },
                        stored);
    };
    if constexpr (std::is_void_v<Result>) {
      invoke();
    } else {
      const Stored<Result> result(invoke());
      Encoder e(call.room.data(), call.room.size(), nullptr, nullptr, nullptr);
      Codec<Stored<Result>>::encode(e, result);
      call.size = e.size();
    }
  }
  static void run(void* object, GraphCall& call) {
    using Parameters = decltype(Entry::parameters());
    run_with(*static_cast<T*>(object), call, Parameters{}, std::make_index_sequence<Parameters::size>{});
  }
};

// What an actor is told to do, execution after execution.
struct GraphInput {
  enum class From : std::uint8_t { constant, channel, step } from = From::constant;
  std::uint32_t index = 0;  // of the channel, or of the step of the same actor
  std::vector<std::byte> bytes{};
  template <class A>
  void serialize(A& a) {
    a(from, index, bytes);
  }
};
struct GraphStepPlan {
  GraphCode code;
  std::string name;
  std::vector<GraphInput> inputs;
  std::vector<std::uint32_t> outputs;  // channels
  template <class A>
  void serialize(A& a) {
    a(code, name, inputs, outputs);
  }
};
struct GraphShape {
  std::uint32_t parties = 0, channels = 0, slots = 0;
  std::uint64_t slot_bytes = 0;
};
struct GraphPlan {
  Ref<Array<std::byte>> memory;
  GraphShape shape;
  std::uint32_t party = 0;             // 0 is the program that executes
  std::int32_t tick = -1;              // channel that begins an execution where no value does; -1: none
  std::vector<std::uint32_t> readers;  // of each channel: the party
  std::vector<std::uint32_t> writers;
  std::vector<std::uint32_t> incoming;  // channels of this party
  std::vector<GraphStepPlan> steps;
  template <class A>
  void serialize(A& a) {
    a(memory, shape, party, tick, readers, writers, incoming, steps);
  }
};

// Serves a graph until it ends. The call that this is keeps its actor busy.
void serve_graph(void* object, const GraphPlan& plan);
template <class T>
void graph_loop(T& object, GraphPlan plan) {
  serve_graph(&object, plan);
}
// One execution of one step, in-process.
std::vector<std::byte> run_graph_step(void* object, const GraphCode& code,
                                      const std::vector<std::vector<std::byte>>& arguments, std::uint64_t room);
template <class T>
std::vector<std::byte> graph_once(T& object, GraphCode code, std::vector<std::vector<std::byte>> arguments,
                                  std::uint64_t room) {
  return run_graph_step(&object, code, arguments, room);
}

// The nodes of a tuple of results; void of anything else.
template <class R>
struct NodesOf {
  using type = void;
};
template <class... V>
struct NodesOf<std::tuple<V...>> {
  using type = std::tuple<Node<V>...>;
};

// A graph while it is built.
struct GraphDraft {
  struct Argument {
    std::optional<std::uint32_t> node{};
    std::vector<std::byte> bytes{};
  };
  struct Step {
    std::uint32_t party = 0;
    GraphCode code;
    std::string name;
    std::vector<Argument> arguments;
  };
  struct Party {
    WireId actor{};
    std::function<Ref<void>(const GraphPlan&)> serve;
    std::function<Ref<std::vector<std::byte>>(const GraphCode&, const std::vector<std::vector<std::byte>>&,
                                              std::uint64_t room)>
        once;
  };
  std::uint32_t inputs = 0;  // nodes 0 to inputs - 1
  std::vector<Step> steps;   // the nodes after them
  std::vector<Party> parties;
  std::vector<std::uint32_t> outputs;  // nodes
  bool separate = false;               // the results are a tuple of theirs; else the value of the only one
};

// What executes it.
class GraphCore {
 public:
  static std::shared_ptr<GraphCore> make(const Runtime& rt, GraphDraft draft, const GraphOptions& options);
  virtual ~GraphCore() = default;
  bool separate = false;  // see GraphDraft

  // One execution: begin, each input in its turn, commit.
  virtual void begin() = 0;
  // Where the next input is encoded; then its size. An input that nobody needs has no room.
  virtual std::span<std::byte> input_room() = 0;
  virtual void input_written(std::size_t size) = 0;
  virtual std::uint64_t commit() = 0;
  // The values of an execution, one of each output, passed to `read` where they lie. Once.
  using Values = std::span<const std::span<const std::byte>>;
  virtual Result<void> take(std::uint64_t execution, Deadline, const std::function<void(Values)>& read) = 0;
  virtual void forget(std::uint64_t execution) = 0;
  virtual void close() = 0;
};

}  // namespace detail

// Given to the function that builds a graph.
class GraphBuilder {
 public:
  explicit GraphBuilder(detail::GraphDraft& draft) : draft_(&draft) {}

  // A call of a method of the actor, or of a function whose first parameter is a T&. Each argument is the node whose
  // value it is, or a value that is the same in all executions.
  template <auto M, class T, class... A>
  auto call(const Actor<T>& actor, A&&... args) {
    using Step = detail::GraphStep<T, M>;
    detail::GraphDraft::Step step;
    step.party = party(actor);
    step.code = function<&Step::run>();
    step.name = std::string(detail::spelled_value<M>());
    arguments(step, decltype(Step::Entry::parameters()){}, std::forward<A>(args)...);
    draft_->steps.push_back(std::move(step));
    const auto index = static_cast<std::uint32_t>(draft_->inputs + draft_->steps.size() - 1);
    return Node<detail::Stored<typename Step::Result>>{index};
  }

 private:
  template <class T>
  std::uint32_t party(const Actor<T>& actor) {
    const detail::WireId id = actor.base().checked_core().export_actor(actor.base().slot());
    for (std::size_t i = 0; i < draft_->parties.size(); ++i) {
      if (draft_->parties[i].actor.words == id.words) return static_cast<std::uint32_t>(i);
    }
    draft_->parties.push_back(
        {id, [actor](const detail::GraphPlan& plan) { return actor.template call<&detail::graph_loop<T>>(plan); },
         [actor](const detail::GraphCode& code, const std::vector<std::vector<std::byte>>& values, std::uint64_t room) {
           return actor.template call<&detail::graph_once<T>>(code, values, room);
         }});
    return static_cast<std::uint32_t>(draft_->parties.size() - 1);
  }
  template <class... P, class... A>
  void arguments(detail::GraphDraft::Step& step, detail::Types<P...>, A&&... args) {
    static_assert(sizeof...(P) == sizeof...(A), "mobula: a node needs one argument for each parameter of its method");
    (step.arguments.push_back(argument<P>(args)), ...);
  }
  template <class P, class V>
  detail::GraphDraft::Argument argument(const Node<V>& node) {
    static_assert(
        std::is_same_v<typename detail::WireForm<V>::type, typename detail::WireForm<detail::Stored<P>>::type>,
        "mobula: a node is given for a parameter of another type; values arrive as they are, without "
        "conversions");
    return {node.index, {}};
  }
  template <class P, class V>
  detail::GraphDraft::Argument argument(const V& value) {
    static_assert(std::is_convertible_v<const V&, detail::Stored<P>>,
                  "mobula: an argument cannot be converted to the parameter's type");
    return {std::nullopt, encode_to_bytes(detail::Stored<P>(value))};
  }
  detail::GraphDraft* draft_;
};

// The result of one execution, to be taken once. Moves. Dropped, the result is thrown away.
template <class R>
class GraphResult {
 public:
  GraphResult(std::shared_ptr<detail::GraphCore> core, std::uint64_t execution)
      : core_(std::move(core)), execution_(execution) {}
  GraphResult(GraphResult&&) noexcept = default;
  GraphResult& operator=(GraphResult&& other) noexcept {
    std::swap(core_, other.core_);
    std::swap(execution_, other.execution_);
    return *this;
  }
  ~GraphResult() {
    if (core_) core_->forget(execution_);
  }

  // Waits for it. Throws TaskError: what a node threw, actor_died, unavailable once the graph is gone; with a time-out
  // timed_out (it can be asked for again). A second time: invalid.
  R get() { return take(detail::Deadline::max()).value(); }
  R get(std::chrono::nanoseconds timeout) { return take(detail::deadline_after(timeout)).value(); }
  Result<R> try_get() { return take(detail::Deadline::max()); }
  Result<R> try_get(std::chrono::nanoseconds timeout) { return take(detail::deadline_after(timeout)); }

 private:
  Result<R> take(detail::Deadline deadline) {
    if (!core_) {
      return Error{.code = ErrorCode::invalid, .message = "the result of this execution was taken already"};
    }
    std::optional<Result<R>> out;
    const Result<void> taken = core_->take(execution_, deadline, [&](detail::GraphCore::Values values) {
      if constexpr (std::is_void_v<R>) {
        out.emplace();
      } else {
        if constexpr (!std::is_void_v<typename detail::NodesOf<R>::type>) {
          if (core_->separate) return void(out.emplace(each(values, std::make_index_sequence<std::tuple_size_v<R>>())));
        }
        Decoder d(values[0]);
        out.emplace(d.read<R>());
      }
    });
    if (!taken && taken.error().code == ErrorCode::timed_out) return taken.error();
    core_.reset();
    if (!taken) return taken.error();
    return *std::move(out);
  }
  template <std::size_t... I>
  static R each(detail::GraphCore::Values values, std::index_sequence<I...>) {
    return R{Decoder(values[I]).template read<std::tuple_element_t<I, R>>()...};
  }
  std::shared_ptr<detail::GraphCore> core_;
  std::uint64_t execution_;
};

template <class S>
class Graph;

template <class R, class... In>
class Graph<R(In...)> {
 public:
  // `build(GraphBuilder&, Node<In>...)` makes the calls and returns the node whose value an execution has, or a tuple
  // of nodes. Returns at once: a busy actor begins when it is free.
  template <class Build>
  Graph(const Runtime& rt, const Build& build, const GraphOptions& options = {}) {
    detail::GraphDraft draft;
    draft.inputs = sizeof...(In);
    GraphBuilder builder(draft);
    const auto output = call_build(build, builder, std::index_sequence_for<In...>{});
    using Output = std::remove_const_t<decltype(output)>;
    if constexpr (std::is_same_v<Output, Node<detail::Stored<R>>>) {
      draft.outputs = {output.index};
    } else {
      static_assert(std::is_same_v<Output, typename detail::NodesOf<R>::type>,
                    "mobula: the function that builds a Graph<R(In...)> returns a Node<R>, or, where R is a "
                    "std::tuple<A, B, ...>, a std::tuple<Node<A>, Node<B>, ...>");
      std::apply([&](const auto&... node) { draft.outputs = {node.index...}; }, output);
      draft.separate = true;
    }
    core_ = detail::GraphCore::make(rt, std::move(draft), options);
  }
  Graph(Graph&&) noexcept = default;
  Graph& operator=(Graph&& other) noexcept {
    std::swap(core_, other.core_);
    return *this;
  }
  // Ends it: the actors go on to other calls after the node that they run. Results that were not taken are
  // ErrorCode::unavailable.
  ~Graph() {
    if (core_) core_->close();
  }

  // Begins one execution. Waits while max_in_flight are on their way and none has ended. Throws what ended the graph,
  // and TaskError(invalid) for a value that is larger than max_value_bytes.
  GraphResult<R> execute(const detail::Stored<In>&... inputs) {
    core_->begin();
    (write(inputs), ...);
    return GraphResult<R>(core_, core_->commit());
  }

 private:
  template <class Build, std::size_t... I>
  static auto call_build(const Build& build, GraphBuilder& builder, std::index_sequence<I...>) {
    return build(builder, Node<detail::Stored<In>>{static_cast<std::uint32_t>(I)}...);
  }
  template <class V>
  void write(const V& value) {
    const std::span<std::byte> room = core_->input_room();
    Encoder e(room.data(), room.size(), nullptr, nullptr, nullptr);
    Codec<V>::encode(e, value);
    core_->input_written(e.size());
  }
  std::shared_ptr<detail::GraphCore> core_;
};

}  // namespace mobula
