#include <gtest/gtest.h>

#include <cereal/types/memory.hpp>
#include <cereal/types/string.hpp>
#include <cereal/types/vector.hpp>
#include <memory>
#include <string>
#include <vector>

#include <mobula/codec/cereal.h>
#include <mobula/codec/eigen.h>

namespace {

struct Tree {
  std::string name;
  std::vector<std::unique_ptr<Tree>> children;
  template <class A>
  void serialize(A& a) {
    a(CEREAL_NVP(name), CEREAL_NVP(children));
  }
};

class Split {
 public:
  int x = 0;
  template <class A>
  void save(A& a) const {
    a(x * 2);
  }
  template <class A>
  void load(A& a) {
    a(x);
    x /= 2;
  }
};

}  // namespace

template <>
struct mobula::Codec<Tree> : mobula::CerealCodec<Tree> {};
template <>
struct mobula::Codec<Split> : mobula::CerealCodec<Split> {};
template <>
struct mobula::Codec<std::shared_ptr<int>> : mobula::CerealCodec<std::shared_ptr<int>> {};

namespace mobula {
namespace {

template <class T>
T round_trip(const T& value) {
  return decode_from_bytes<T>(encode_to_bytes(value));
}

TEST(CerealCodec, RoundTripsWhatOnlyCerealCanArchive) {
  Tree tree{"root", {}};
  tree.children.push_back(std::make_unique<Tree>(Tree{"leaf", {}}));
  tree.children.push_back(nullptr);
  const Tree back = round_trip(tree);
  EXPECT_EQ(back.name, "root");
  ASSERT_EQ(back.children.size(), 2u);
  EXPECT_EQ(back.children[0]->name, "leaf");
  EXPECT_EQ(back.children[1], nullptr);
  EXPECT_EQ(round_trip(Split{.x = 21}).x, 21);
}

TEST(CerealCodec, RefusesBytesThatEndEarly) {
  const std::vector<std::byte> bytes = encode_to_bytes(Tree{"root", {}});
  for (std::size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_THROW(decode_from_bytes<Tree>(std::span(bytes).first(n)), TaskError) << n;
  }
}

// cereal makes room for as many elements as the bytes announce before it reads one, and has exceptions of its own.
TEST(CerealCodec, RefusesBytesThatAnnounceMoreThanThereIs) {
  std::vector<std::byte> bytes = encode_to_bytes(Tree{"root", {}});
  const std::uint64_t huge = std::uint64_t{1} << 40;
  for (std::size_t at = 0; at + 8 <= bytes.size(); ++at) {
    std::vector<std::byte> damaged = bytes;
    std::memcpy(damaged.data() + at, &huge, 8);
    try {
      decode_from_bytes<Tree>(damaged);
    } catch (const TaskError& error) {
      EXPECT_EQ(error.code(), ErrorCode::bad_message) << at;
    }
  }
  EXPECT_THROW(decode_from_bytes<std::shared_ptr<int>>(encode_to_bytes(std::uint32_t{7})), TaskError)
      << "a pointer to what was never written";
}

TEST(EigenCodec, RoundTripsDenseTypes) {
  const Eigen::MatrixXf m = Eigen::MatrixXf::Random(70, 30);
  EXPECT_EQ(round_trip(m), m);
  const Eigen::Vector3d v(1, 2, 3);
  EXPECT_EQ(round_trip(v), v);
  EXPECT_EQ(round_trip(Eigen::VectorXd()).size(), 0);
  const Eigen::ArrayXXd a = Eigen::ArrayXXd::Random(3, 4);
  EXPECT_TRUE((round_trip(a) == a).all());
  const std::vector<Eigen::MatrixXf> several{m, m};
  EXPECT_EQ(round_trip(several)[1], m);
}

TEST(EigenCodec, RefusesShapesThatDoNotFitTheBytes) {
  std::vector<std::byte> bytes = encode_to_bytes(Eigen::MatrixXd(Eigen::MatrixXd::Ones(3, 4)));
  bytes[0] = std::byte{5};
  EXPECT_THROW(decode_from_bytes<Eigen::MatrixXd>(bytes), TaskError);
  EXPECT_THROW(decode_from_bytes<Eigen::Vector3d>(encode_to_bytes(Eigen::VectorXd(Eigen::VectorXd::Ones(4)))),
               TaskError);
}

}  // namespace
}  // namespace mobula
