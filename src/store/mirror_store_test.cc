#include "store/mirror_store.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "store/fault_store.h"
#include "store/local_store.h"
#include "store/store_contract.h"

namespace holdfast {
namespace {

struct MirrorStoreFixture {
  TempFolder one{"holdfast-test"}, two{"holdfast-test"};
  std::unique_ptr<ObjectStore> first = make_local_store(one.path());
  std::unique_ptr<ObjectStore> second = make_local_store(two.path());
  MirrorStore mirror{{first.get(), second.get()}};
  ObjectStore& store() { return mirror; }
};

class MirrorStoreTest : public testing::Test {
 protected:
  TempFolder one_{"holdfast-test"}, two_{"holdfast-test"};
  std::unique_ptr<ObjectStore> good_ = make_local_store(one_.path());
  std::unique_ptr<ObjectStore> inner_ = make_local_store(two_.path());
  FaultStore bad_{*inner_};
  std::vector<size_t> dropped_;
  MirrorStore mirror_{{good_.get(), &bad_},
                      [this](size_t member, const Error&) { dropped_.push_back(member); }};

  static std::string content_of(ObjectStore& store, const std::string& name) {
    return read_object(store, name, 1 << 20);
  }
};

TEST_F(MirrorStoreTest, WritesToAllMembers) {
  write_object(mirror_, "care.dump", as_bytes("rows"));
  EXPECT_EQ(content_of(*good_, "care.dump"), "rows");
  EXPECT_EQ(content_of(*inner_, "care.dump"), "rows");
  EXPECT_EQ(mirror_.list("").size(), 1u);
  mirror_.remove("care.dump");
  EXPECT_TRUE(good_->list("").empty());
  EXPECT_TRUE(inner_->list("").empty());
}

// Whichever operation of a member fails, the other has the whole object and the member nothing.
TEST_F(MirrorStoreTest, AFailingMemberIsDroppedAndTheOtherGoesOn) {
  for (uint64_t n = 1;; ++n) {
    MirrorStore mirror{{&bad_, good_.get()},
                       [this](size_t member, const Error&) { dropped_.push_back(member); }};
    FaultPlan plan;
    plan.fail_at = n;
    plan.and_later = true;
    bad_.restart(plan);
    dropped_.clear();
    std::string name = "care-" + std::to_string(n) + ".dump";
    std::unique_ptr<ObjectWriter> writer = mirror.put(name);
    writer->write(as_bytes("first "));
    writer->write(as_bytes("second"));
    writer->commit();
    EXPECT_EQ(content_of(*good_, name), "first second");
    bad_.restart({});
    if (dropped_.empty()) {
      EXPECT_GT(n, 3u);
      EXPECT_EQ(content_of(*inner_, name), "first second");
      return;
    }
    EXPECT_EQ(dropped_, std::vector<size_t>{0});
    ASSERT_TRUE(mirror.error_of(0));
    EXPECT_EQ(mirror.error_of(0)->code(), ErrorCode::unavailable);
    EXPECT_FALSE(mirror.error_of(1));
    EXPECT_ERROR(not_found, inner_->head(name));
    // Nothing more goes to it, also once it would work again.
    write_object(mirror, name + ".manifest.json", as_bytes("{}"));
    EXPECT_ERROR(not_found, inner_->head(name + ".manifest.json"));
  }
}

TEST_F(MirrorStoreTest, FailsWhenNoMemberIsLeft) {
  MirrorStore mirror{{&bad_}};
  FaultPlan plan;
  plan.fail_at = 1;
  plan.and_later = true;
  bad_.restart(plan);
  EXPECT_ERROR(unavailable, mirror.put("care.dump"));
  EXPECT_ERROR(unavailable, mirror.put("care.dump"));
}

TEST_F(MirrorStoreTest, AMemberThatCannotBeWrittenIsDroppedBeforehand) {
  FaultPlan plan;
  plan.fail_at = 1;
  plan.code = ErrorCode::denied;
  bad_.restart(plan);
  mirror_.check_writable(1000);
  EXPECT_EQ(dropped_, std::vector<size_t>{1});
  EXPECT_EQ(mirror_.error_of(1)->code(), ErrorCode::denied);
}

TEST_F(MirrorStoreTest, ReadsFromTheFirstThatHasTheObject) {
  write_object(*inner_, "only-there", as_bytes("x"));
  EXPECT_EQ(content_of(mirror_, "only-there"), "x");
  EXPECT_EQ(mirror_.head("only-there").bytes, 1u);
  EXPECT_ERROR(not_found, mirror_.head("nowhere"));
}

INSTANTIATE_TYPED_TEST_SUITE_P(Mirror, StoreContract, MirrorStoreFixture);

}  // namespace
}  // namespace holdfast
