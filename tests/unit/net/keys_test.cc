#include "runtime/net/keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

namespace mobula::net {
namespace {

using testing::HasSubstr;

class KeysTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string error_of_file(const std::string& text) {
    const std::string path = folder_ + "/other.keys";
    std::ofstream(path) << text;
    chmod(path.c_str(), 0600);
    return Keys::load(path).error().message;
  }

  const std::string folder_ = testing::TempDir() + "keys_test";
  const std::string path_ = folder_ + "/cluster.keys";
};

TEST_F(KeysTest, AreReadAsTheyWereWrittenByTheirOwnerAlone) {
  const Keys keys = Keys::generate();
  ASSERT_TRUE(keys.save(path_).ok());
  EXPECT_EQ(*Keys::load(path_), keys);
  struct stat status {};
  stat(path_.c_str(), &status);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_), {}), 1) << "nothing is left beside the file";
}

TEST_F(KeysTest, AreNewEachTime) {
  EXPECT_NE(Keys::generate().secret_key, Keys::generate().secret_key);
}

TEST_F(KeysTest, AMissingFileSaysWhereToGetOne) {
  EXPECT_THAT(Keys::load(path_).error().message,
              AllOf(HasSubstr(path_), HasSubstr("No such file"), HasSubstr("mobula head")));
}

TEST_F(KeysTest, AFileThatOthersCanReadIsRefused) {
  ASSERT_TRUE(Keys::generate().save(path_).ok());
  chmod(path_.c_str(), 0644);
  EXPECT_THAT(Keys::load(path_).error().message, HasSubstr("chmod 600"));
}

TEST_F(KeysTest, WrongFilesAreRefusedWithTheReason) {
  const Keys one = Keys::generate(), other = Keys::generate();
  EXPECT_THAT(error_of_file("hello"), HasSubstr("not a keys file"));
  EXPECT_THAT(error_of_file("mobula-keys 7\n"), HasSubstr("found version 7"));
  EXPECT_THAT(error_of_file("mobula-keys 1\npublic abc\n"), HasSubstr("damaged"));
  EXPECT_THAT(error_of_file("mobula-keys 1\npublic " + one.public_key + "\nsecret " + other.secret_key + "\n"),
              HasSubstr("do not belong together"));
}

TEST_F(KeysTest, AFolderThatIsNotThereIsNamed) {
  EXPECT_THAT(Keys::generate().save(folder_ + "/nowhere/cluster.keys").error().message,
              AllOf(HasSubstr("nowhere/cluster.keys"), HasSubstr("No such file")));
}

}  // namespace
}  // namespace mobula::net
