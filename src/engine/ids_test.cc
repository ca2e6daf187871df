#include "engine/ids.h"

#include <gtest/gtest.h>

#include <regex>
#include <set>

namespace holdfast {
namespace {

TEST(Ids, BranchesLookLikeWhatTheStockCommandLineTakesForAnId) {
  std::regex shape("^br-[a-z0-9]+-[a-z0-9]+-[a-z0-9]+$");
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) {
    std::string id = make_id("br", [](const std::string&) { return false; });
    EXPECT_TRUE(std::regex_match(id, shape)) << id;
    EXPECT_TRUE(is_id(id));
    seen.insert(id);
  }
  EXPECT_EQ(seen.size(), 1000U);
}

TEST(Ids, ATakenNameIsNotGiven) {
  std::string first;
  std::string second = make_id("ep", [&](const std::string& id) {
    if (first.empty()) first = id;
    return id == first;
  });
  EXPECT_NE(first, second);
}

TEST(Ids, OperationsAreUuidsOfVersion4) {
  std::regex shape("^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$");
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(std::regex_match(make_uuid(), shape));
}

TEST(Ids, PasswordsNeedNoEscaping) {
  std::regex shape("^[A-Za-z0-9]{24}$");
  EXPECT_TRUE(std::regex_match(make_password().reveal(), shape));
  EXPECT_NE(make_password().reveal(), make_password().reveal());
}

TEST(Ids, OnlyLowerCaseLettersDigitsAndDashesMakeAnId) {
  EXPECT_FALSE(is_id(""));
  EXPECT_FALSE(is_id("BR-x"));
  EXPECT_FALSE(is_id("br/../x"));
  EXPECT_FALSE(is_id(std::string(61, 'a')));
}

}  // namespace
}  // namespace holdfast
