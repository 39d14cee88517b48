#include "runtime/base/json_integer.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace mobula {
namespace {

using Json = nlohmann::json;

TEST(JsonInteger, IsReadWhereItFits) {
  EXPECT_EQ(json_integer(Json::parse("-9223372036854775808")), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(json_integer<std::uint64_t>(Json::parse("18446744073709551615")),
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(json_integer<int>(nlohmann::ordered_json::parse("7")), 7);
  EXPECT_EQ(json_integers<int>(Json::parse("[3, -4]")), (std::vector<int>{3, -4}));
  EXPECT_EQ(json_integer<int>(Json::parse(R"({"n": 5})"), "n", 1), 5);
  EXPECT_EQ(json_integer<int>(Json::parse("{}"), "n", 1), 1);
}

TEST(JsonInteger, AnythingElseIsAnErrorThatShowsIt) {
  for (const char* text : {"1.5", "1e30", "16666666666666666666666", "9223372036854775808", "true", "\"3\"", "null"}) {
    EXPECT_THROW(json_integer(Json::parse(text)), Json::exception) << text;
  }
  EXPECT_THROW(json_integer<int>(Json::parse("2147483648")), Json::exception);
  EXPECT_THROW(json_integer<std::size_t>(Json::parse("-1")), Json::exception);
  try {
    json_integer(Json::parse("1e30"));
  } catch (const Json::exception& error) {
    EXPECT_NE(std::string(error.what()).find("1e+30 is not an integer"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace mobula
