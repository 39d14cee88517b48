#include <gtest/gtest.h>

// Weak: a test that starts a runtime links init with it, and must call it; the others do not pay for linking one.
namespace mobula {
[[gnu::weak]] void init(int argc, char** argv);
}

int main(int argc, char** argv) {
  if (mobula::init != nullptr) mobula::init(argc, argv);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
