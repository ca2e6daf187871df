#include "dump/claim.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "dump/names.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

class ClaimTest : public testing::Test {
 protected:
  void put(const std::string& name) { write_object(*store_, name, as_bytes("theirs")); }
  std::string claimed() { return claim_new_id(*store_, "care", time_, "0123456789abcdef")->id(); }

  UtcTime time_ = parse_rfc3339("2026-11-24T02:00:00.999Z");
  TempFolder folder_{"holdfast-claim-"};
  std::unique_ptr<ObjectStore> store_ = make_local_store(folder_.path());
};

TEST_F(ClaimTest, AnIdIsThatOfItsMillisecond) {
  EXPECT_EQ(claimed(), "care_2026-11-24T02-00-00-999Z");
}

// Other machines' backups of the same instant: one under way, one that just ended, one of a script.
TEST_F(ClaimTest, WhereAnIdIsTakenTheNextOneIsClaimed) {
  put("care_2026-11-24T02-00-00-999Z.claim");
  put("care_2026-11-24T02-00-01-000Z.manifest.json");
  put("care_2026-11-24T02-00-01-001Z.dump");
  EXPECT_EQ(claimed(), "care_2026-11-24T02-00-01-002Z");
  EXPECT_TRUE(stands(*store_, "care_2026-11-24T02-00-00-999Z.claim"));
  EXPECT_TRUE(stands(*store_, "care_2026-11-24T02-00-01-001Z.dump"));
}

TEST_F(ClaimTest, WithoutEndItIsNotTried) {
  for (int i = 0; i < kNamesTried; ++i)
    put(claim_name(backup_id("care", time_ + std::chrono::milliseconds(i))));
  try {
    claimed();
    FAIL() << "claimed one";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::exists);
  }
}

// A store in which a manifest appears while the claim is being written: the other run ended just
// then.
class LateManifestStore final : public ObjectStore {
 public:
  explicit LateManifestStore(ObjectStore& inner) : inner_(inner) {}
  std::string location() const override { return inner_.location(); }
  std::unique_ptr<ObjectWriter> put(const std::string& name, const PutOptions& options) override {
    if (!done_ && name == claim_name(kId)) {
      done_ = true;
      write_object(inner_, manifest_name(kId), as_bytes("theirs"));
    }
    return inner_.put(name, options);
  }
  std::unique_ptr<ObjectReader> open(const std::string& name) override { return inner_.open(name); }
  ObjectInfo head(const std::string& name) override { return inner_.head(name); }
  std::vector<ObjectInfo> list(const std::string& prefix) override { return inner_.list(prefix); }
  void remove(const std::string& name) override { inner_.remove(name); }
  void check_writable(uint64_t bytes) override { inner_.check_writable(bytes); }
  size_t reap_unfinished(const LeftoverTest& may_clear) override {
    return inner_.reap_unfinished(may_clear);
  }

  static constexpr const char* kId = "care_2026-11-24T02-00-00-999Z";

 private:
  ObjectStore& inner_;
  bool done_ = false;
};

TEST_F(ClaimTest, ABackupThatEndedWhileItsIdWasClaimedIsNotTouched) {
  LateManifestStore late(*store_);
  EXPECT_EQ(claim_new_id(late, "care", time_, "m")->id(), "care_2026-11-24T02-00-01-000Z");
  EXPECT_TRUE(stands(*store_, manifest_name(LateManifestStore::kId)));
  EXPECT_FALSE(stands(*store_, claim_name(LateManifestStore::kId)));
}

}  // namespace
}  // namespace holdfast
