#include "runtime/control/directory.h"

#include <gmock/gmock.h>

namespace mobula {
namespace {

using testing::HasSubstr;

const ProcessId one{{0x11}, 1, 1};
const ProcessId two{{0x22}, 1, 1};
const wire::ActorName name{"job 11", "cache"};

wire::ClaimName claim_by(const ProcessId& owner, std::uint32_t index = 5, const wire::ActorName& what = name) {
  return {7, what, {owner, index, 1}, "Cache", {"/bin/program", "abc"}};
}

TEST(Directory, TheFirstClaimHasTheNameAndOthersLearnWho) {
  Directory directory;
  const wire::NameReply won = directory.claim(claim_by(one));
  EXPECT_EQ(won.actor.owner, one);
  EXPECT_EQ(won.tag, 7u);
  EXPECT_EQ(won.error.code, ErrorCode::none);
  const wire::NameReply lost = directory.claim(claim_by(two));
  EXPECT_EQ(lost.actor.owner, one);
  EXPECT_EQ(lost.error.code, ErrorCode::invalid);
  EXPECT_THAT(lost.error.message, HasSubstr("taken in namespace 'job 11' by a Cache"));
  EXPECT_THAT(lost.error.message, HasSubstr(".get_if_exists = true"));
}

TEST(Directory, ClaimingAgainWhatOneHasIsNoError) {
  Directory directory;
  directory.claim(claim_by(one));
  EXPECT_EQ(directory.claim(claim_by(one)).error.code, ErrorCode::none);
}

TEST(Directory, ANameIsFreeWhenItsActorEndedOrItsOwnerDied) {
  Directory directory;
  directory.claim(claim_by(one));
  directory.release({name, {two, 5, 1}});
  EXPECT_EQ(directory.names().size(), 1u) << "that is not its";
  directory.release({name, {one, 5, 1}});
  EXPECT_EQ(directory.claim(claim_by(two)).actor.owner, two);
  directory.process_died(two);
  EXPECT_EQ(directory.claim(claim_by(one)).actor.owner, one);
  directory.node_died({0x11});
  EXPECT_TRUE(directory.names().empty());
}

TEST(Directory, AJobSeesItsOwnNamesThenTheSharedOnes) {
  Directory directory;
  directory.claim(claim_by(one));
  directory.claim(claim_by(two, 6, {wire::shared_space, "cache"}));
  directory.claim(claim_by(two, 7, {wire::shared_space, "log"}));
  EXPECT_EQ(directory.find({1, one, {"job 11", "cache"}}).actor.owner, one);
  EXPECT_EQ(directory.find({1, one, {"job 22", "cache"}}).actor.index, 6u);
  EXPECT_EQ(directory.find({1, one, {"job 11", "log"}}).actor.index, 7u);
  EXPECT_FALSE(directory.find({1, one, {"mine", "log"}}).actor) << "a namespace that was named is meant";
}

TEST(Directory, SaysWhatNamesThereAre) {
  Directory directory;
  EXPECT_THAT(directory.find({1, one, name}).error.message, HasSubstr("no actor there has a name"));
  directory.claim(claim_by(one));
  const wire::NameReply missing = directory.find({1, one, {"job 11", "cach"}});
  EXPECT_EQ(missing.error.code, ErrorCode::invalid);
  EXPECT_THAT(missing.error.message,
              HasSubstr("no actor has the name 'cach' in namespace 'job 11'; there are 'cache'"));
}

}  // namespace
}  // namespace mobula
