#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mobula/tune/space.h>

#include <functional>

namespace mobula::tune {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string error_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const TuneError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(Space, BothBoundsAreReachedWhateverTheKind) {
  EXPECT_EQ(uniform(-2, 3).at(0), Value(-2.0));
  EXPECT_EQ(uniform(-2, 3).at(1), Value(3.0));
  EXPECT_EQ(loguniform(1e-5, 1e-2).at(0), Value(1e-5));
  EXPECT_EQ(loguniform(1e-5, 1e-2).at(1), Value(1e-2));
  EXPECT_EQ(integer(1, 4).at(0), Value(std::int64_t{1}));
  EXPECT_EQ(integer(1, 4).at(0.9999), Value(std::int64_t{4}));
  EXPECT_EQ(choice({"a", "b"}).at(1), Value("b"));
}

TEST(Space, TheMiddleOfALogarithmicRangeIsItsGeometricMean) {
  EXPECT_NEAR(std::get<double>(loguniform(1e-4, 1e-2).at(0.5)), 1e-3, 1e-15);
}

TEST(Space, StepsCountFromTheLowerBoundAndMayEndOnTheUpperOne) {
  EXPECT_EQ(uniform(0, 1, 0.1).size(), 11);  // although 1 / 0.1 is not exactly 10
  EXPECT_EQ(uniform(0, 1, 0.1).nth(10), Value(1.0));
  EXPECT_EQ(uniform(0, 1, 0.3).size(), 4);
  EXPECT_EQ(uniform(0.1, 0.3, 0.05).nth(1), Value(0.15)) << "and not 0.15000000000000002";
  EXPECT_EQ(integer(2, 9, 3).size(), 3);
  EXPECT_EQ(integer(2, 9, 3).nth(2), Value(std::int64_t{8}));
}

TEST(Space, AConditionalParameterIsThereOnlyWhereItsConditionHolds) {
  Space space;
  space.add("opt", choice({"adam", "sgd"})).add("momentum", uniform(0, 1), {{"opt", {"sgd"}}});
  space.add("nesterov", choice({"on", "off"}), {{"momentum", {0.5}}});
  const auto with = [&](int opt) {
    return space.make([&](std::size_t i) { return i == 0 ? space.parameters()[0].domain.nth(opt) : Value(0.25); });
  };
  EXPECT_FALSE(with(0).has("momentum"));
  EXPECT_TRUE(with(1).has("momentum"));
  EXPECT_FALSE(with(1).has("nesterov"));
}

TEST(Space, AllCombinationsLeaveOutWhatDoesNotApply) {
  Space space;
  space.add("opt", choice({"adam", "sgd"})).add("momentum", uniform(0, 1, 0.5), {{"opt", {"sgd"}}});
  const auto points = space.all();
  ASSERT_EQ(points.size(), 4u);
  EXPECT_EQ(points[0], (Params{{"opt", "adam"}}));
  EXPECT_EQ(points[3], (Params{{"opt", "sgd"}, {"momentum", 1.0}}));
}

TEST(Space, WrongDomainsSayWhatIsWrong) {
  EXPECT_THAT(error_of([] { uniform(1, 1); }), HasSubstr("is not below the upper bound"));
  EXPECT_THAT(error_of([] { uniform(0, INFINITY); }), HasSubstr("not both finite"));
  EXPECT_THAT(error_of([] { loguniform(0, 1); }), HasSubstr("not above 0"));
  EXPECT_THAT(error_of([] { integer(0, 10, 20); }), HasSubstr("the step 20"));
  EXPECT_THAT(error_of([] { choice(std::vector<Value>{}); }), HasSubstr("the list is empty"));
  EXPECT_THAT(error_of([] { grid({1, 2, 1}); }), HasSubstr("1 is in the list twice"));
  EXPECT_THAT(error_of([] { Space().add("x", uniform(0, 1)).add("x", uniform(0, 1)); }), HasSubstr("twice"));
  EXPECT_THAT(error_of([] { Space().add("x", uniform(0, 1), {{"y", {1}}}); }), HasSubstr("no parameter of the space"));
  EXPECT_THAT(error_of([] {
                Space().add("a", choice({"p"})).add("x", uniform(0, 1), {{"a", {"q"}}});
              }),
              HasSubstr("which it never is"));
  EXPECT_THAT(error_of([] { Space().add("x", uniform(0, 1)).all(); }), HasSubstr("continuum"));
}

TEST(Params, AskForTheTypeThatIsThere) {
  const Params params{{"lr", 0.5}, {"n", std::int64_t{3}}, {"opt", "adam"}};
  EXPECT_EQ(params.number("lr"), 0.5);
  EXPECT_EQ(params.number("n"), 3);
  EXPECT_EQ(params.integer("n"), 3);
  EXPECT_EQ(params.text("opt"), "adam");
  EXPECT_THAT(error_of([&] { params.number("opt"); }), HasSubstr("ask for text()"));
  EXPECT_THAT(error_of([&] { params.integer("lr"); }), HasSubstr("no integer"));
  EXPECT_THAT(error_of([&] { params.text("learning_rate"); }), HasSubstr("it has lr, n, opt"));
}

TEST(Params, NumbersAreWrittenSoThatTheyReadBack) {
  EXPECT_EQ(to_text(0.1), "0.1");
  EXPECT_EQ(to_text(3.0), "3.0");
  EXPECT_EQ(to_text(std::int64_t{3}), "3");
  EXPECT_EQ(std::stod(to_text(1.0 / 3)), 1.0 / 3);
}

}  // namespace
}  // namespace mobula::tune
