#include "audit/anchor.h"

#include <gmock/gmock.h>

#include "audit/audit_fixture.h"
#include "store/fault_store.h"
#include "store/local_store.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;

class AuditAnchorTest : public AuditTrail {
 protected:
  std::unique_ptr<ObjectStore> store_ = make_local_store(temp_.path() + "/store");
};

TEST_F(AuditAnchorTest, IsReadBackAsItWasPut) {
  AuditHead early = append(2);
  std::string name = put_audit_anchor(*store_, early, clock_.now());
  EXPECT_EQ(name, "audit/" + early.log + "/00000000000000000003.anchor.json");
  AuditHead late = append(9);
  put_audit_anchor(*store_, late, clock_.now(), clock_.now() + std::chrono::hours(1));
  AuditAnchors anchors = read_audit_anchors(*store_);
  ASSERT_EQ(anchors.anchors.size(), 2u);
  EXPECT_EQ(anchors.anchors[1].head.hash, late.hash);
  EXPECT_EQ(anchors.anchors[1].head.time, late.time);
  EXPECT_EQ(anchors.anchors[1].anchored_at, clock_.now());
  EXPECT_EQ(verify(anchors).anchors_compared, 2u);
  EXPECT_EQ(problems(anchors), "");
}

TEST_F(AuditAnchorTest, TheFirstOneOfALineStands) {
  AuditHead head = append(2);
  put_audit_anchor(*store_, head, clock_.now());
  clock_.advance(std::chrono::hours(1));
  put_audit_anchor(*store_, head, clock_.now());  // the same line once more is none
  EXPECT_EQ(read_audit_anchors(*store_).anchors.size(), 1u);
  head.hash[0] = head.hash[0] == '0' ? '1' : '0';
  EXPECT_ERROR_SAYING(corrupt, "is not what it was when it was anchored",
                      put_audit_anchor(*store_, head, clock_.now()));
}

TEST_F(AuditAnchorTest, EveryByteCounts) {
  AuditHead head = append(2);
  std::string name = put_audit_anchor(*store_, head, clock_.now());
  std::string whole = read_object(*store_, name, 4096);
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] ^= 1;
    EXPECT_ERROR(corrupt, read_audit_anchor(flipped));
    EXPECT_ERROR(corrupt, read_audit_anchor(std::string(whole).erase(at, 1)));
  }
  // Damage in the store is a finding of the verification, and so is an anchor under another's name.
  store_->remove(name);
  write_object(*store_, name, as_bytes("no anchor\n"));
  head.seq = 2;
  write_object(*store_, "audit/" + head.log + "/00000000000000000009.anchor.json",
               as_bytes(write_audit_anchor({head, clock_.now(), ""})));
  EXPECT_EQ(read_audit_anchors(*store_).damaged.size(), 2u);
  EXPECT_THAT(problems(read_audit_anchors(*store_)), HasSubstr("anchor: the anchor " + name));
}

TEST_F(AuditAnchorTest, AStoreThatFailsIsOneErrorAndIsTriedAgain) {
  AuditHead head = append();
  FaultStore faulty(*store_);
  for (uint64_t at = 1; at < 5; ++at) {
    faulty.restart({.fail_at = at});
    try {
      put_audit_anchor(faulty, head, clock_.now());
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::unavailable);
    }
    faulty.restart({});
    put_audit_anchor(faulty, head, clock_.now());
    EXPECT_EQ(read_audit_anchors(*store_).anchors.size(), 1u);
  }
}

TEST_F(AuditAnchorTest, AsOneLineOfText) {
  AuditHead head = append(3);
  std::string line = audit_head_line(head);
  EXPECT_EQ(line, "holdfast audit log " + head.log + " line 4 of 2026-11-23T02:00:03.000Z sha256 " +
                      head.hash);
  AuditHead back = parse_audit_head_line("  " + line + "\n");
  EXPECT_EQ(audit_head_line(back), line);
  for (std::string wrong : {std::string(), line.substr(1), line + "0", line + " more",
                            line.substr(0, line.size() - 1) + "G"})
    EXPECT_ERROR(invalid, parse_audit_head_line(wrong));
}

}  // namespace
}  // namespace holdfast
