// The two sides of a prepared graph: the loop that serves it inside an actor, and the program that executes it.
//
// Everything lies in one object of the arena: a doorbell for each party (0 is the program), then the channels. A
// channel is a ring of slots with one writer and one reader; execution k uses slot k modulo their number in every
// channel, so that no slot carries a number. A writer publishes with one store and then looks whether the reader
// sleeps; a reader that wants to sleep says so and then looks once more (see net/doorbell.h).
#include <mobula/graph.h>

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <set>
#include <thread>
#include <variant>

#include <fmt/format.h>

#include "runtime/client/context.h"
#include "runtime/client/failure.h"
#include "runtime/net/doorbell.h"
#include "runtime/net/spin_policy.h"
#include "runtime/wire/codec.h"

namespace mobula::detail {
namespace {

using net::Doorbell;

constexpr auto spin_time = std::chrono::microseconds(20);
// How often a sleeper looks after what no channel tells: that an actor, or the program, has died.
constexpr auto look_every = std::chrono::milliseconds(50);
constexpr std::size_t line = 64;

struct alignas(line) Control {
  std::atomic<std::uint32_t> ended;
};
struct alignas(line) Bell {
  Doorbell doorbell;
};
struct alignas(line) ChannelHead {
  alignas(line) std::atomic<std::uint64_t> written;  // executions; by the writer
  std::atomic<std::uint32_t> writer_waits;           // for room, and wants its doorbell rung
  alignas(line) std::atomic<std::uint64_t> read;     // by the reader
};
enum class Kind : std::uint32_t { value, error };
struct alignas(line) SlotHead {
  Kind kind;
  std::uint32_t reserved;
  std::uint64_t size;
};

class GraphMemory {
 public:
  GraphMemory() = default;
  GraphMemory(const SharedMemory& memory, const GraphShape& shape) : memory_(memory), shape_(shape) {}

  static std::size_t slot_stride(const GraphShape& shape) {
    return sizeof(SlotHead) + (shape.slot_bytes + line - 1) / line * line;
  }
  static std::size_t channel_stride(const GraphShape& shape) {
    return sizeof(ChannelHead) + shape.slots * slot_stride(shape);
  }
  static std::size_t size(const GraphShape& shape) {
    return sizeof(Control) + shape.parties * sizeof(Bell) + shape.channels * channel_stride(shape);
  }

  Control& control() const { return *reinterpret_cast<Control*>(memory_.data); }
  Doorbell& bell(std::uint32_t party) const {
    return reinterpret_cast<Bell*>(memory_.data + sizeof(Control))[party].doorbell;
  }
  ChannelHead& channel(std::uint32_t index) const { return *reinterpret_cast<ChannelHead*>(at(index)); }
  SlotHead& slot(std::uint32_t index, std::uint64_t execution) const {
    return *reinterpret_cast<SlotHead*>(at(index) + sizeof(ChannelHead) +
                                        execution % shape_.slots * slot_stride(shape_));
  }
  static std::byte* payload(SlotHead& slot) { return reinterpret_cast<std::byte*>(&slot + 1); }
  std::span<std::byte> room(SlotHead& slot) const { return {payload(slot), shape_.slot_bytes}; }

  bool has_value(std::uint32_t index, std::uint64_t execution) const {
    return channel(index).written.load(std::memory_order_seq_cst) > execution;
  }
  bool has_room(std::uint32_t index, std::uint64_t execution) const {
    return execution - channel(index).read.load(std::memory_order_seq_cst) < shape_.slots;
  }
  void publish(std::uint32_t index, std::uint64_t execution, std::uint32_t reader) const {
    channel(index).written.store(execution + 1, std::memory_order_seq_cst);
    bell(reader).ring(-1);
  }
  // The writer is about to wait for room, if there is none.
  void ask_for_room(std::uint32_t index, std::uint64_t execution) const {
    if (!has_room(index, execution)) channel(index).writer_waits.store(1, std::memory_order_seq_cst);
  }
  void give_back(std::uint32_t index, std::uint64_t execution, std::uint32_t writer) const {
    ChannelHead& head = channel(index);
    head.read.store(execution + 1, std::memory_order_seq_cst);
    if (head.writer_waits.load(std::memory_order_seq_cst) != 0) {
      head.writer_waits.store(0, std::memory_order_seq_cst);
      bell(writer).ring(-1);
    }
  }
  // Before anybody else knows of it.
  void clear() const {
    std::memset(memory_.data, 0, sizeof(Control) + shape_.parties * sizeof(Bell));
    for (std::uint32_t index = 0; index < shape_.channels; ++index) std::memset(at(index), 0, sizeof(ChannelHead));
  }
  void end() const {
    control().ended.store(1, std::memory_order_seq_cst);
    for (std::uint32_t party = 0; party < shape_.parties; ++party) bell(party).wake_regardless(-1);
  }
  bool ended() const { return control().ended.load(std::memory_order_seq_cst) != 0; }

  // Returns once `ready()`, or at the deadline, or after a while without cause.
  template <class Ready>
  void wait(std::uint32_t party, net::SpinPolicy& spin, Deadline deadline, const Ready& ready) const {
    if (spin.worth_trying()) {
      const auto until = std::min(deadline, Clock::now() + spin_time);
      do {
        net::pause();
        if (ready()) return spin.succeeded();
      } while (Clock::now() < until);
      spin.failed();
    }
    Doorbell& own = bell(party);
    own.state.store(Doorbell::in_futex, std::memory_order_seq_cst);
    if (!ready() && !ended()) own.sleep(std::min(deadline, Clock::now() + look_every));
    own.state.store(Doorbell::awake, std::memory_order_seq_cst);
  }

 private:
  std::byte* at(std::uint32_t channel) const {
    return memory_.data + sizeof(Control) + shape_.parties * sizeof(Bell) + channel * channel_stride(shape_);
  }
  SharedMemory memory_;
  GraphShape shape_;
};

// As lanes do: on one cpu spinning only keeps it from whoever makes the value; elsewhere the policy learns what helps.
net::SpinPolicy spin_policy() {
  return net::SpinPolicy(std::thread::hardware_concurrency() > 1);
}

Error too_large(std::string_view what, std::size_t size, std::size_t room) {
  return {.code = ErrorCode::invalid,
          .message = fmt::format("{} takes {} bytes, and the channels of the graph carry at most {}: raise "
                                 "GraphOptions::max_value_bytes",
                                 what, size, room)};
}

// An error as the value of a slot.
void write_error(SlotHead& slot, std::span<std::byte> room, Error error) {
  mobula::Bytes bytes = wire::encode_error(error);
  if (bytes.size() > room.size()) {
    error = {.code = error.code, .message = error.message.substr(0, 200), .task = error.task.substr(0, 100)};
    bytes = wire::encode_error(error);
  }
  slot.kind = Kind::error;
  slot.size = std::min(bytes.size(), room.size());
  std::memcpy(room.data(), bytes.data(), slot.size);
}

}  // namespace

void serve_graph(void* object, const GraphPlan& plan) {
  Core& core = current_core();
  const SharedMemory shared = core.shared_memory(plan.memory.base().slot());
  const GraphMemory memory(shared, plan.shape);
  net::SpinPolicy spin = spin_policy();
  const StopFlag* const stop = client::TaskScope::now().stop;
  const std::string node = this_task().node;
  const auto over = [&] { return memory.ended() || (stop != nullptr && stop->raised()); };

  // Results; those that stay in this process have memory of their own.
  struct alignas(line) Block {
    std::byte bytes[line];
  };
  std::vector<SlotHead*> results(plan.steps.size());
  std::vector<std::vector<Block>> own(plan.steps.size());
  for (std::size_t s = 0; s < plan.steps.size(); ++s) {
    if (plan.steps[s].outputs.empty()) own[s].resize(GraphMemory::slot_stride(plan.shape) / line);
  }

  std::vector<std::span<const std::byte>> arguments;
  for (std::uint64_t execution = 0;; ++execution) {
    for (std::size_t s = 0; s < plan.steps.size(); ++s) {
      const GraphStepPlan& step = plan.steps[s];
      const auto ready = [&] {
        for (const GraphInput& input : step.inputs) {
          if (input.from == GraphInput::From::channel && !memory.has_value(input.index, execution)) return false;
        }
        if (s == 0 && plan.tick >= 0 && !memory.has_value(static_cast<std::uint32_t>(plan.tick), execution))
          return false;
        return std::ranges::all_of(step.outputs, [&](std::uint32_t out) { return memory.has_room(out, execution); });
      };
      while (!ready()) {
        if (over()) return;
        for (const std::uint32_t out : step.outputs) memory.ask_for_room(out, execution);
        memory.wait(plan.party, spin, Deadline::max(), ready);
        if (!ready()) core.look();
      }
      SlotHead& result = step.outputs.empty() ? *reinterpret_cast<SlotHead*>(own[s].data())
                                              : memory.slot(step.outputs.front(), execution);
      results[s] = &result;
      const std::span<std::byte> room = memory.room(result);
      arguments.clear();
      SlotHead* failed = nullptr;
      for (const GraphInput& input : step.inputs) {
        if (input.from == GraphInput::From::constant) {
          arguments.emplace_back(input.bytes);
          continue;
        }
        SlotHead& from =
            input.from == GraphInput::From::step ? *results[input.index] : memory.slot(input.index, execution);
        if (from.kind == Kind::error && failed == nullptr) failed = &from;
        arguments.emplace_back(GraphMemory::payload(from), from.size);
      }
      if (failed != nullptr) {
        result.kind = Kind::error;
        result.size = failed->size;
        std::memcpy(room.data(), GraphMemory::payload(*failed), failed->size);
      } else {
        try {
          GraphCall call{.arguments = arguments, .room = room};
          reinterpret_cast<void (*)(void*, GraphCall&)>(step.code.entry()->target)(object, call);
          if (call.size > room.size()) throw TaskError(too_large("the value of " + step.name, call.size, room.size()));
          result.kind = Kind::value;
          result.size = call.size;
        } catch (...) {
          write_error(
              result, room,
              client::error_of_current_exception({.task = step.name, .node = node, .pid = getpid(), .attempt = 1}));
        }
      }
      for (std::size_t o = 1; o < step.outputs.size(); ++o) {
        SlotHead& copy = memory.slot(step.outputs[o], execution);
        copy.kind = result.kind;
        copy.size = result.size;
        std::memcpy(GraphMemory::payload(copy), GraphMemory::payload(result), result.size);
      }
      for (const std::uint32_t out : step.outputs) memory.publish(out, execution, plan.readers[out]);
    }
    for (const std::uint32_t in : plan.incoming) memory.give_back(in, execution, plan.writers[in]);
    if (over()) return;
  }
}

std::vector<std::byte> run_graph_step(void* object, const GraphCode& code,
                                      const std::vector<std::vector<std::byte>>& arguments, std::uint64_t room) {
  const std::vector<std::span<const std::byte>> spans(arguments.begin(), arguments.end());
  std::vector<std::byte> out(room);
  GraphCall call{.arguments = spans, .room = out};
  reinterpret_cast<void (*)(void*, GraphCall&)>(code.entry()->target)(object, call);
  if (call.size > out.size()) throw TaskError(too_large("a value", call.size, out.size()));
  out.resize(call.size);
  return out;
}

namespace {

Error gone() {
  return {.code = ErrorCode::unavailable, .message = "the graph was destroyed before this result was taken"};
}

// The results of executions that were read before they were asked for.
class GraphResults {
 public:
  using Value = std::variant<std::vector<std::vector<std::byte>>, Error>;  // of each output
  void add(std::uint64_t execution, Value value) {
    if (forgotten_.erase(execution) == 0) values_.emplace(execution, std::move(value));
  }
  void forget(std::uint64_t execution) {
    if (values_.erase(execution) == 0) forgotten_.insert(execution);
  }
  std::optional<Value> take(std::uint64_t execution) {
    const auto found = values_.find(execution);
    if (found == values_.end()) return std::nullopt;
    Value value = std::move(found->second);
    values_.erase(found);
    return value;
  }

 private:
  std::map<std::uint64_t, Value> values_;
  std::set<std::uint64_t> forgotten_;  // nobody waits for them
};

using Reader = std::function<void(GraphCore::Values)>;

Result<void> hand_over(const GraphResults::Value& value, const Reader& read) {
  if (const auto* error = std::get_if<Error>(&value)) return *error;
  const auto& values = std::get<std::vector<std::vector<std::byte>>>(value);
  read(std::vector<std::span<const std::byte>>(values.begin(), values.end()));
  return {};
}

class SharedGraph final : public GraphCore {
 public:
  SharedGraph(Core& core, const GraphDraft& draft, const GraphShape& limits) : core_(&core) {
    std::vector<GraphPlan> plans = plan(draft, limits);
    spin_ = spin_policy();
    object_ = core.allocate(GraphMemory::size(shape_));
    memory_ = GraphMemory({object_->data(), object_->size(), object_}, shape_);
    memory_.clear();
    Encoded encoded;
    encoded.object = object_;
    const Ref<Array<std::byte>> memory(&core, core.put(encoded));
    for (std::size_t p = 0; p < draft.parties.size(); ++p) {
      plans[p].memory = memory;
      loops_.push_back(draft.parties[p].serve(plans[p]));
    }
    parties_ = draft.parties;
  }
  ~SharedGraph() override { close(); }

  void begin() override {
    if (broken_) throw TaskError(*broken_);
    while (next_ - read_ >= shape_.slots) {
      const Result<void> there = wait_for(Deadline::max(), [&] { return has_results(); });
      if (!there) throw TaskError(there.error());
      keep_next();
    }
    const auto room = [&] {
      return std::ranges::all_of(written_, [&](std::uint32_t channel) { return memory_.has_room(channel, next_); });
    };
    while (!room()) {
      for (const std::uint32_t channel : written_) memory_.ask_for_room(channel, next_);
      if (const Result<void> there = wait_for(Deadline::max(), room); !there) throw TaskError(there.error());
    }
    input_ = 0;
  }
  std::span<std::byte> input_room() override {
    if (inputs_[input_].empty()) return {};
    return memory_.room(memory_.slot(inputs_[input_].front(), next_));
  }
  void input_written(std::size_t size) override {
    const std::vector<std::uint32_t>& channels = inputs_[input_++];
    if (channels.empty()) return;
    if (size > shape_.slot_bytes) {
      throw TaskError(too_large(fmt::format("input {} of the graph", input_), size, shape_.slot_bytes));
    }
    SlotHead& first = memory_.slot(channels.front(), next_);
    for (const std::uint32_t channel : channels) {
      SlotHead& slot = memory_.slot(channel, next_);
      slot.kind = Kind::value;
      slot.size = size;
      if (&slot != &first) std::memcpy(GraphMemory::payload(slot), GraphMemory::payload(first), size);
    }
  }
  std::uint64_t commit() override {
    for (const std::uint32_t channel : written_) memory_.publish(channel, next_, readers_[channel]);
    return next_++;
  }

  Result<void> take(std::uint64_t execution, Deadline deadline, const Reader& read) override {
    if (const auto kept = results_.take(execution)) return hand_over(*kept, read);
    for (;;) {
      if (closed_) return gone();
      const Result<void> there = wait_for(deadline, [&] { return has_results(); });
      if (!there) return there.error();
      if (read_ == execution) break;
      keep_next();
    }
    struct GiveBack {
      SharedGraph* graph;
      ~GiveBack() { graph->give_back(); }
    } const after{this};
    if (std::optional<Error> error = look_at_results()) return *std::move(error);
    read(values_);
    return {};
  }
  void forget(std::uint64_t execution) override { results_.forget(execution); }

  void close() override {
    if (closed_) return;
    closed_ = true;
    memory_.end();
    loops_.clear();
    parties_.clear();
    memory_ = {};
    object_.reset();
  }

 private:
  // Of the execution whose results are read.
  bool has_results() const {
    return std::ranges::all_of(outputs_, [&](const Output& out) { return memory_.has_value(out.channel, read_); });
  }
  // Sets values_, where they lie, or returns what one of the nodes threw.
  std::optional<Error> look_at_results() {
    values_.clear();
    for (const std::uint32_t at : order_) {
      SlotHead& slot = memory_.slot(outputs_[at].channel, read_);
      const std::span<const std::byte> bytes(GraphMemory::payload(slot), slot.size);
      if (slot.kind == Kind::error) return wire::decode_error(bytes);
      values_.push_back(bytes);
    }
    return std::nullopt;
  }
  void give_back() {
    for (const Output& out : outputs_) memory_.give_back(out.channel, read_, out.writer);
    ++read_;
  }
  void keep_next() {
    if (std::optional<Error> error = look_at_results()) {
      results_.add(read_, *std::move(error));
    } else {
      std::vector<std::vector<std::byte>> kept;
      for (const std::span<const std::byte> bytes : values_) kept.emplace_back(bytes.begin(), bytes.end());
      results_.add(read_, std::move(kept));
    }
    give_back();
  }

  template <class Ready>
  Result<void> wait_for(Deadline deadline, const Ready& ready) {
    while (!ready()) {
      if (broken_) return *broken_;
      memory_.wait(0, spin_, deadline, ready);
      if (ready()) break;
      const Deadline now = Clock::now();
      if (now >= deadline) {
        return Error{.code = ErrorCode::timed_out,
                     .message = "the execution of the graph had not ended within the time given; it goes on"};
      }
      if (now >= looked_ + look_every) look_at_actors();
    }
    return {};
  }

  // A loop that has ended ends the graph.
  void look_at_actors() {
    looked_ = Clock::now();
    std::vector<Slot> slots;
    for (const Ref<void>& loop : loops_) slots.push_back(loop.base().slot());
    std::vector<bool> ready(slots.size());
    core_->wait(slots, 1, looked_, ready);
    for (std::size_t i = 0; i < slots.size() && !broken_; ++i) {
      if (!ready[i]) continue;
      const Result<void> ended = loops_[i].try_get();
      Error error =
          ended.ok() ? Error{.code = ErrorCode::unavailable, .message = "its call was cancelled"} : ended.error();
      if (error.code == ErrorCode::exception && !error.causes.empty()) error = Error(error.causes.front());
      const bool elsewhere = error.code == ErrorCode::invalid && !error.node.empty();
      broken_ = Error{
          .code = error.code,
          .message =
              elsewhere ? fmt::format("the actor of {} lives on node {}, and not on the node of the program that "
                                      "made the graph: all of them share memory; place them on one "
                                      "(Options::placement), or make the graph in a task that runs there",
                                      names_[i], error.node)
                        : fmt::format("the graph has ended, because {} no longer serves it; make a new one", names_[i]),
          .causes = {std::move(error)}};
      memory_.end();
    }
  }

  // Who tells whom what. Sets the members that say the same of party 0.
  std::vector<GraphPlan> plan(const GraphDraft& draft, const GraphShape& limits) {
    shape_ = limits;
    shape_.parties = static_cast<std::uint32_t>(draft.parties.size()) + 1;
    const auto party_of = [&](std::uint32_t node) {
      return node < draft.inputs ? 0 : draft.steps[node - draft.inputs].party + 1;
    };
    std::vector<GraphPlan> plans(draft.parties.size());
    std::vector<std::uint32_t> writers;
    std::map<std::pair<std::uint32_t, std::uint32_t>, std::uint32_t> channels;  // by node and reader
    const auto new_channel = [&](std::uint32_t writer, std::uint32_t reader) {
      const auto index = static_cast<std::uint32_t>(writers.size());
      writers.push_back(writer);
      readers_.push_back(reader);
      if (reader != 0) plans[reader - 1].incoming.push_back(index);
      if (writer == 0) written_.push_back(index);
      return index;
    };
    const auto channel = [&](std::uint32_t node, std::uint32_t reader) {
      const auto [found, fresh] = channels.try_emplace({node, reader}, 0);
      if (fresh) found->second = new_channel(party_of(node), reader);
      return found->second;
    };
    std::vector<std::uint32_t> place(draft.steps.size());  // of each step in its party
    for (std::size_t s = 0; s < draft.steps.size(); ++s) {
      const GraphDraft::Step& step = draft.steps[s];
      GraphPlan& of = plans[step.party];
      place[s] = static_cast<std::uint32_t>(of.steps.size());
      GraphStepPlan& planned = of.steps.emplace_back(GraphStepPlan{step.code, step.name, {}, {}});
      for (const GraphDraft::Argument& argument : step.arguments) {
        if (!argument.node) {
          planned.inputs.push_back({GraphInput::From::constant, 0, argument.bytes});
        } else if (party_of(*argument.node) == step.party + 1) {
          planned.inputs.push_back({GraphInput::From::step, place[*argument.node - draft.inputs], {}});
        } else {
          planned.inputs.push_back({GraphInput::From::channel, channel(*argument.node, step.party + 1), {}});
        }
      }
    }
    for (const std::uint32_t node : draft.outputs) {
      const std::uint32_t from = channel(node, 0);  // one of each node
      const auto known = std::ranges::find(outputs_, from, &Output::channel);
      order_.push_back(static_cast<std::uint32_t>(known - outputs_.begin()));
      if (known == outputs_.end()) outputs_.push_back({from, party_of(node)});
    }
    inputs_.resize(draft.inputs);
    for (const auto& [between, index] : channels) {
      if (between.first < draft.inputs) {
        inputs_[between.first].push_back(index);
      } else {
        const std::uint32_t step = between.first - draft.inputs;
        plans[draft.steps[step].party].steps[place[step]].outputs.push_back(index);
      }
    }
    // To whom nothing comes from others, the program says when an execution begins.
    for (std::size_t p = 0; p < plans.size(); ++p) {
      if (plans[p].incoming.empty()) {
        plans[p].tick = static_cast<std::int32_t>(new_channel(0, static_cast<std::uint32_t>(p) + 1));
      }
      names_.push_back(plans[p].steps.front().name);
    }
    shape_.channels = static_cast<std::uint32_t>(writers.size());
    for (std::size_t p = 0; p < plans.size(); ++p) {
      plans[p].shape = shape_;
      plans[p].party = static_cast<std::uint32_t>(p) + 1;
      plans[p].readers = readers_;
      plans[p].writers = writers;
    }
    return plans;
  }

  Core* const core_;
  net::SpinPolicy spin_{false};
  GraphShape shape_;
  std::vector<std::uint32_t> readers_;              // of each channel
  std::vector<std::uint32_t> written_;              // channels that this program writes
  std::vector<std::vector<std::uint32_t>> inputs_;  // of each input: those that carry it
  struct Output {
    std::uint32_t channel, writer;
  };
  std::vector<Output> outputs_;
  std::vector<std::uint32_t> order_;                // of the results: each one's place among the outputs
  std::vector<std::span<const std::byte>> values_;  // results, while they are read
  std::vector<std::string> names_;                  // of each actor: its first node
  std::shared_ptr<Object> object_;
  GraphMemory memory_;
  std::vector<Ref<void>> loops_;
  std::vector<GraphDraft::Party> parties_;  // hold the actors

  std::uint64_t next_ = 0;  // execution to begin
  std::uint64_t read_ = 0;  // ... whose result is read
  std::size_t input_ = 0;   // ... of the one that begins: to be written
  GraphResults results_;
  Deadline looked_{};
  std::optional<Error> broken_;
  bool closed_ = false;
};

// In-process: each node is an ordinary call.
class LocalGraph final : public GraphCore {
 public:
  LocalGraph(GraphDraft draft, std::size_t room) : draft_(std::move(draft)), room_(room) {}

  void begin() override { values_.clear(); }
  std::span<std::byte> input_room() override {
    input_.resize(room_);
    return input_;
  }
  void input_written(std::size_t size) override {
    if (size > room_) {
      throw TaskError(too_large(fmt::format("input {} of the graph", values_.size() + 1), size, room_));
    }
    input_.resize(size);
    values_.emplace_back(std::move(input_));
    input_ = {};
  }
  std::uint64_t commit() override {
    for (const GraphDraft::Step& step : draft_.steps) values_.push_back(run(step));
    std::vector<std::vector<std::byte>> results;
    for (const std::uint32_t node : draft_.outputs) {
      const Value& value = values_[node];
      if (const auto* error = std::get_if<Error>(&value)) {
        results_.add(next_, *error);
        return next_++;
      }
      results.push_back(std::get<std::vector<std::byte>>(value));
    }
    results_.add(next_, std::move(results));
    return next_++;
  }
  Result<void> take(std::uint64_t execution, Deadline, const Reader& read) override {
    if (closed_) return gone();
    return hand_over(results_.take(execution).value(), read);
  }
  void forget(std::uint64_t execution) override { results_.forget(execution); }
  void close() override { closed_ = true; }

 private:
  using Value = std::variant<std::vector<std::byte>, Error>;
  Value run(const GraphDraft::Step& step) {
    std::vector<std::vector<std::byte>> arguments;
    for (const GraphDraft::Argument& argument : step.arguments) {
      if (!argument.node) {
        arguments.push_back(argument.bytes);
        continue;
      }
      const Value& value = values_[*argument.node];
      if (std::holds_alternative<Error>(value)) return value;
      arguments.push_back(std::get<std::vector<std::byte>>(value));
    }
    Result<std::vector<std::byte>> result = draft_.parties[step.party].once(step.code, arguments, room_).try_get();
    if (result.ok()) return *std::move(result);
    Error error = result.error();
    error.task = step.name;
    return error;
  }
  const GraphDraft draft_;
  const std::size_t room_;
  std::vector<std::byte> input_;
  std::vector<Value> values_;  // of the nodes of the execution that runs
  GraphResults results_;
  std::uint64_t next_ = 0;
  bool closed_ = false;
};

}  // namespace

std::shared_ptr<GraphCore> GraphCore::make(const Runtime& rt, GraphDraft draft, const GraphOptions& options) {
  constexpr int most_in_flight = 4096;
  constexpr std::size_t least_bytes = 4096;  // an error fits
  if (options.max_in_flight < 1 || options.max_in_flight > most_in_flight) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = fmt::format("max_in_flight = {}: give a number of executions from 1 to {}",
                                            options.max_in_flight, most_in_flight)});
  }
  if (std::ranges::any_of(draft.outputs, [&](std::uint32_t node) { return node < draft.inputs; })) {
    throw TaskError({.code = ErrorCode::invalid,
                     .message = "the result of a graph is one of its inputs: it has to be the node of a call"});
  }
  if (draft.outputs.empty()) {
    throw TaskError({.code = ErrorCode::invalid, .message = "a graph without a result: return a node"});
  }
  const bool separate = draft.separate;
  const std::size_t room = std::max(options.max_value_bytes, least_bytes);
  std::shared_ptr<GraphCore> core;
  if (rt.in_process()) {
    core = std::make_shared<LocalGraph>(std::move(draft), room);
  } else {
    core = std::make_shared<SharedGraph>(
        rt.core(), draft, GraphShape{.slots = static_cast<std::uint32_t>(options.max_in_flight), .slot_bytes = room});
  }
  core->separate = separate;
  return core;
}

}  // namespace mobula::detail
