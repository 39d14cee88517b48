// Values of users: arguments, results, and the states of actors that go on after a death. The first byte says as what
// the rest is decoded. What can be decoded comes back as it was when it is encoded and decoded again.
#include <mobula/codec.h>

#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>

#include <cereal/types/map.hpp>
#include <cereal/types/memory.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>

#include <mobula/codec/cereal.h>
#include <mobula/codec/eigen.h>

#include "tests/fuzz/target.h"

namespace mobula::fuzz {
namespace {

struct State {
  std::string name;
  std::vector<std::vector<int>> rows;
  std::optional<double> best;
  std::map<std::string, std::deque<std::string>> by_name;
  template <class A>
  void serialize(A& a) {
    a(name, rows, best, by_name);
  }
};

struct Tree {
  std::string text;
  std::vector<double> numbers;
  std::map<std::string, int> counts;
  std::vector<std::shared_ptr<std::string>> leaves;
  template <class A>
  void serialize(A& a) {
    a(text, numbers, counts, leaves);
  }
};

}  // namespace
}  // namespace mobula::fuzz

template <>
struct mobula::Codec<mobula::fuzz::Tree> : mobula::CerealCodec<mobula::fuzz::Tree> {};

namespace mobula::fuzz {
namespace {

template <class T>
void decode_as(std::span<const std::byte> input) {
  std::vector<std::byte> again;
  try {
    again = encode_to_bytes(decode_from_bytes<T>(input));
  } catch (const TaskError& error) {
    return require(error.code() == ErrorCode::bad_message && *error.what() != 0);
  }
  const auto bytes = encode_to_bytes(decode_from_bytes<T>(again));
  require(bytes == again);
}

using Decoders = std::vector<void (*)(std::span<const std::byte>)>;
const Decoders& decoders() {
  static const Decoders all{
      decode_as<State>,
      decode_as<std::vector<std::vector<std::string>>>,
      decode_as<std::tuple<std::string, std::variant<int, std::string>, std::pair<char, std::u16string>>>,
      decode_as<std::map<std::string, std::vector<double>>>,
      decode_as<std::set<std::string>>,
      decode_as<std::array<std::string, 3>>,
      decode_as<Eigen::MatrixXd>,
      decode_as<Eigen::Matrix<float, 3, Eigen::Dynamic>>,
      decode_as<Tree>,
      decode_as<std::pair<bool, std::vector<bool>>>,
  };
  return all;
}

template <class T>
Input seed(std::size_t as, const T& value) {
  Input input{static_cast<std::byte>(as)};
  const auto bytes = encode_to_bytes(value);
  input.insert(input.end(), bytes.begin(), bytes.end());
  return input;
}

}  // namespace

void run(std::span<const std::byte> input) {
  if (input.empty()) return;
  // A value's bytes lie at multiples of eight.
  std::vector<std::uint64_t> aligned((input.size() + 6) / 8);
  const auto bytes = std::as_writable_bytes(std::span(aligned)).first(input.size() - 1);
  std::copy(input.begin() + 1, input.end(), bytes.begin());
  decoders()[static_cast<std::size_t>(input[0]) % decoders().size()](bytes);
}

std::vector<Input> seeds() {
  Tree tree{"root", {1, 2}, {{"a", 1}}, {}};
  tree.leaves = {std::make_shared<std::string>("leaf"), nullptr};
  tree.leaves.push_back(tree.leaves.front());
  using Several = std::tuple<std::string, std::variant<int, std::string>, std::pair<char, std::u16string>>;
  return {seed(0, State{"n", {{1, 2}, {}}, 0.5, {{"k", {"a", "b"}}}}),
          seed(1, std::vector<std::vector<std::string>>{{"a"}, {}, {"b", "c"}}),
          seed(2, Several{"a", std::string("b"), {'t', u"c"}}),
          seed(3, std::map<std::string, std::vector<double>>{{"k", {1, 2, 3}}}),
          seed(4, std::set<std::string>{"a", "b"}),
          seed(5, std::array<std::string, 3>{"a", "b", "c"}),
          seed(6, Eigen::MatrixXd(Eigen::MatrixXd::Ones(2, 3))),
          seed(7, Eigen::Matrix<float, 3, Eigen::Dynamic>(Eigen::Matrix<float, 3, Eigen::Dynamic>::Ones(3, 2))),
          seed(8, tree),
          seed(9, std::pair<bool, std::vector<bool>>{true, {false, true}})};
}

}  // namespace mobula::fuzz
