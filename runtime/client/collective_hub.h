// Where the members of a collective are known, and where those on different nodes meet: an actor. Each node (or each
// member, for large values) sends what it brings or a Ref to it, and gets what concerns it of all once all have come. A
// call that never ends ties each member to the hub: when its process dies the runtime cancels the call, and the hub
// ends the collective. When the collective ends, so do these calls, by which the members learn of it.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <mobula/array.h>
#include <mobula/collective.h>
#include <mobula/coroutine.h>
#include <mobula/signal.h>

namespace mobula::detail {

// For people: "all_reduce of 4 signed numbers of 4 bytes (sum)".
std::string describe(const CollectiveAsk& ask);
const char* describe(CollectiveAsk::Operation operation);
bool agree(const CollectiveAsk& a, const CollectiveAsk& b);

struct CollectivePart {
  Array<std::byte> bytes;        // of a small one
  Ref<Array<std::byte>> object;  // of a large one
  template <class A>
  void serialize(A& a) {
    a(bytes, object);
  }
};

// Who brings something to a round: these ranks, and what each of them has. They are of one node, and agreed there.
struct CollectiveBrought {
  std::vector<std::uint32_t> ranks;
  std::vector<std::vector<CollectivePart>> parts;
  template <class A>
  void serialize(A& a) {
    a(ranks, parts);
  }
};

class CollectiveHub {
 public:
  CollectiveHub(std::uint32_t size, std::chrono::nanoseconds timeout);

  // Once all have joined: the node of each rank, as the lowest rank there.
  Task<std::vector<std::uint32_t>> join(std::uint32_t rank, std::string node);
  // The memory in which the members of a node meet: given by the lowest of them, asked for by the others.
  Task<Ref<Array<std::byte>>> memory(std::uint32_t rank, std::uint32_t first_there, Ref<Array<std::byte>> given);
  // Ends with the member, or with the collective.
  Task<void> tie(std::uint32_t rank);
  Task<void> leave(std::uint32_t rank);
  Task<void> end(std::string why);
  // Throws what ended the collective; nothing else.
  Task<void> why();
  // A round between nodes: what concerns these ranks of what all have brought.
  Task<std::vector<CollectivePart>> exchange(std::uint64_t number, CollectiveAsk ask, CollectiveBrought brought);

 private:
  struct Member {
    bool joined = false;
    bool left = false;
    std::string node{};
    Ref<Array<std::byte>> memory{};
    std::unique_ptr<Signal> leaving = std::make_unique<Signal>();
  };
  struct Round {
    CollectiveAsk ask;
    std::uint32_t first = 0;  // who came first
    std::uint32_t arrived = 0, told = 0;
    std::vector<std::vector<CollectivePart>> parts;  // by rank
    std::vector<bool> came;
  };

  Task<bool> wait(std::uint32_t rank, Deadline deadline);
  static std::vector<CollectivePart> share_of(const Round& round, const std::vector<std::uint32_t>& ranks);
  template <class Has>
  std::size_t missing(const Has& has) const {
    std::size_t rank = 0;
    while (rank < size_ && has(rank)) ++rank;
    return rank;
  }
  std::string text_of_timeout() const;
  void end_now(std::string why);
  void check() const;

  const std::uint32_t size_;
  const std::chrono::nanoseconds timeout_;
  std::vector<Member> members_;
  std::uint32_t joined_ = 0;
  std::map<std::uint64_t, Round> rounds_;
  std::optional<std::string> broken_;
  Signal changed_;
};

}  // namespace mobula::detail
