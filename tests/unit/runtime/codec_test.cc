#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>
#include <variant>
#include <vector>

#include <mobula/array.h>
#include <mobula/codec.h>
#include <mobula/function.h>

namespace mobula {
namespace {

template <class T>
T round_trip(const T& value) {
  return decode_from_bytes<T>(encode_to_bytes(value));
}

struct Plain {
  int a = 1;
  double b = 2.5;
  bool operator==(const Plain&) const = default;
};

struct Named {
  std::string name;
  std::vector<std::vector<int>> rows;
  std::optional<Plain> plain;
  template <class A>
  void serialize(A& a) {
    a(name, rows);
    a& plain;
  }
  bool operator==(const Named&) const = default;
};

struct Foreign {
  std::string text;
  bool operator==(const Foreign&) const = default;
};
template <class A>
void serialize(A& a, Foreign& f) {
  a(f.text);
}

class NoDefault {
 public:
  explicit NoDefault(int x) : x_(x) {}
  int x() const { return x_; }

 private:
  int x_;
};

TEST(Codec, RoundTripsScalarsAndPlainStructs) {
  EXPECT_EQ(round_trip(42), 42);
  EXPECT_EQ(round_trip(std::numeric_limits<std::uint64_t>::max()), std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(round_trip(-0.0), 0.0);
  EXPECT_EQ(round_trip(true), true);
  EXPECT_EQ(round_trip(Plain{7, -1}), (Plain{7, -1}));
  EXPECT_EQ(round_trip(NoDefault(3)).x(), 3);
}

TEST(Codec, RoundTripsStandardContainers) {
  EXPECT_EQ(round_trip(std::string()), "");
  EXPECT_EQ(round_trip(std::string("with\0zero", 9)), std::string("with\0zero", 9));
  EXPECT_EQ(round_trip(std::vector<float>{1, 2, 3}), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(round_trip(std::vector<bool>{true, false, true}), (std::vector<bool>{true, false, true}));
  EXPECT_EQ(round_trip(std::vector<std::string>{"a", "", "c"}), (std::vector<std::string>{"a", "", "c"}));
  using Nested = std::map<std::string, std::vector<std::pair<int, std::string>>>;
  const Nested nested{{"x", {{1, "one"}}}, {"y", {}}};
  EXPECT_EQ(round_trip(nested), nested);
  EXPECT_EQ(round_trip(std::unordered_map<int, std::string>{{1, "a"}, {2, "b"}}).at(2), "b");
  EXPECT_EQ(round_trip(std::set<int>{3, 1}), (std::set<int>{1, 3}));
  EXPECT_EQ(round_trip(std::deque<std::string>{"q"}), (std::deque<std::string>{"q"}));
  EXPECT_EQ(round_trip(std::array<std::string, 2>{"a", "b"}), (std::array<std::string, 2>{"a", "b"}));
  EXPECT_EQ(round_trip(std::tuple<int, std::string>{1, "t"}), (std::tuple<int, std::string>{1, "t"}));
  EXPECT_EQ(round_trip(std::optional<std::string>()), std::nullopt);
  using Either = std::variant<std::monostate, int, std::string>;
  EXPECT_EQ(round_trip(Either("s")), Either("s"));
  EXPECT_EQ(round_trip(Either()), Either());
}

TEST(Codec, FindsSerializeAsMemberAndAsFreeFunction) {
  const Named named{"n", {{1, 2}, {}}, Plain{}};
  EXPECT_EQ(round_trip(named), named);
  EXPECT_EQ(round_trip(std::vector<Foreign>{{"f"}}), (std::vector<Foreign>{{"f"}}));
}

TEST(Codec, LargeBlocksStartAtMultiplesOf64SoThatTheyCanBeReadInPlace) {
  const std::pair<char, std::vector<double>> value{'c', std::vector<double>(1000, 1.5)};
  const std::vector<std::byte> bytes = encode_to_bytes(value);
  EXPECT_EQ(bytes.size() % 64, (1000 * 8) % 64);
  EXPECT_EQ((decode_from_bytes<std::pair<char, std::vector<double>>>(bytes)), value);
}

TEST(Codec, RefusesBytesThatEndEarly) {
  const std::vector<std::byte> bytes = encode_to_bytes(Named{"name", {{1, 2, 3}}, Plain{}});
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    try {
      decode_from_bytes<Named>(std::span(bytes).first(n));
      FAIL() << "decoded from " << n << " of " << bytes.size() << " bytes";
    } catch (const TaskError& e) {
      EXPECT_EQ(e.code(), ErrorCode::bad_message);
    }
  }
}

TEST(Codec, RefusesACountThatTheBytesCannotHoldBeforeReservingMemory) {
  std::vector<std::byte> bytes = encode_to_bytes(std::vector<std::string>{"a"});
  const std::uint64_t huge = std::uint64_t{1} << 60;
  std::memcpy(bytes.data(), &huge, sizeof huge);
  EXPECT_THROW(decode_from_bytes<std::vector<std::string>>(bytes), TaskError);
  EXPECT_THROW(decode_from_bytes<std::vector<double>>(bytes), TaskError);
  EXPECT_THROW(decode_from_bytes<std::string>(bytes), TaskError);
}

TEST(Codec, RefusesABoolThatIsNeitherZeroNorOne) {
  const std::vector<std::byte> two{std::byte{2}};
  EXPECT_THROW(decode_from_bytes<bool>(two), TaskError);
  std::vector<std::byte> several = encode_to_bytes(std::vector<bool>{true, false});
  several.back() = std::byte{255};
  EXPECT_THROW(decode_from_bytes<std::vector<bool>>(several), TaskError);
}

TEST(Codec, ArraysAndVectorsAreTheSameBytes) {
  const std::vector<float> values(3000, 2.f);
  const auto array = decode_from_bytes<Array<float>>(encode_to_bytes(values));
  EXPECT_THAT(array, testing::ElementsAreArray(values));
  EXPECT_EQ(decode_from_bytes<std::vector<float>>(encode_to_bytes(array)), values);
}

TEST(Codec, ArraysOfPinnedBytesAreViewsAndOthersAreCopies) {
  const std::vector<std::byte> bytes = encode_to_bytes(Array<double>{1, 2, 3});
  const auto shared = std::make_shared<std::vector<std::byte>>(bytes);
  Decoder pinned(*shared, nullptr, shared);
  const auto view = pinned.read<Array<double>>();
  EXPECT_EQ(reinterpret_cast<const std::byte*>(view.data()), shared->data() + 8);
  EXPECT_EQ(shared.use_count(), 3);
  Decoder loose(*shared);
  const auto copy = loose.read<Array<double>>();
  EXPECT_NE(reinterpret_cast<const std::byte*>(copy.data()), shared->data() + 8);
  EXPECT_EQ(copy, view);
}

double half(double x) {
  return x / 2;
}

TEST(Codec, FunctionsTravelAsIdsAndKeepTheirType) {
  const Function<double(double)> f = function<half>();
  EXPECT_EQ(f.name(), "mobula::{anonymous}::half");
  const auto back = round_trip(f);
  EXPECT_EQ(back, f);
  EXPECT_EQ(back(3), 1.5);
  EXPECT_FALSE(round_trip(Function<double(double)>()));
  EXPECT_EQ((function<[](int x) { return x + 1; }>()(1)), 2);
  try {
    decode_from_bytes<Function<int(int)>>(encode_to_bytes(f));
    FAIL() << "code of another type was accepted";
  } catch (const TaskError& e) {
    EXPECT_EQ(e.code(), ErrorCode::build_mismatch);
    EXPECT_THAT(e.what(), testing::HasSubstr("half"));
  }
}

// They once went as the bytes of their addresses, which crashed the process that called them.
TEST(Codec, FunctionsInContainersTravelAsIdsToo) {
  using Code = Function<double(double)>;
  static_assert(!std::is_trivially_copyable_v<Code>);
  const std::vector<Code> functions{function<half>(), Code()};
  EXPECT_EQ(round_trip(functions), functions);
  const auto bytes = encode_to_bytes(functions), one = encode_to_bytes(functions[0]);
  EXPECT_NE(std::search(bytes.begin(), bytes.end(), one.begin(), one.end()), bytes.end()) << "the id is in there";
}

TEST(Codec, RefusesFunctionIdsThatAreNotInTheTable) {
  std::vector<std::byte> bytes = encode_to_bytes(function<half>());
  bytes[8] ^= std::byte{1};  // the offset: never jumped to
  EXPECT_THROW(decode_from_bytes<Function<double(double)>>(bytes), TaskError);
}

}  // namespace
}  // namespace mobula
