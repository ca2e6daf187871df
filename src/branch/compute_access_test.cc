// What a look at a branch leaves behind after the user has asked to stop: nothing.
#include "branch/compute_access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "neon/client_fixture.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kBranchPath = neon::kBranches + "/" + neon::kNewId;
const std::string kEndpoints = kBranchPath + "/endpoints";

std::string endpoint_json(const std::string& state) {
  return R"({"id":"ep-a-b-00000003","project_id":"p","branch_id":")" + neon::kNewId +
         R"(","host":"ep.test","type":"read_write","current_state":")" + state +
         R"(","autoscaling_limit_min_cu":1,"autoscaling_limit_max_cu":1,"region_id":"r",
         "disabled":false,"created_at":"2026-01-02T00:00:00Z",
         "updated_at":"2026-01-02T00:00:00Z","suspend_timeout_seconds":0})";
}
std::string with_operation(const std::string& member, const std::string& id) {
  return "{" + member + R"("operations":[)" + neon::operation_json(id, "running") + "]}";
}

// The wish to stop comes with the `at`th wait for an operation.
class StoppingWaits final : public neon::Waits {
 public:
  StoppingWaits(ManualClock& clock, int at) : clock_(clock), left_(at) {}
  void wait(neon::milliseconds time, const std::stop_token&) override {
    clock_.advance(time);
    if (--left_ == 0) stop.request_stop();
  }
  neon::milliseconds up_to(neon::milliseconds most) override { return most; }
  std::stop_source stop;

 private:
  ManualClock& clock_;
  int left_;
};

class Stopped : public neon::ClientTest {
 protected:
  explicit Stopped(int at = 1) : stopping_(clock_, at) {}
  StoppingWaits stopping_;
  holdfast::Run stoppable_{clock_, log_, progress_, stopping_.stop.get_token()};
  neon::Client stoppable_client_{settings_, http_, stopping_, stoppable_};
};

TEST_F(Stopped, AScratchBranchIsRemovedAndItsEndAwaited) {
  http_.answer("POST", neon::kBranches, 201,
               with_operation(R"("branch":)" + neon::branch_json(neon::kNewId, "find-1") + ",",
                              "op-create"));
  http_.answer("DELETE", kBranchPath, 200,
               with_operation(R"("branch":)" + neon::branch_json(neon::kNewId, "find-1") + ",",
                              "op-delete"));
  http_.answer("GET", "/projects/p/operations/op-delete", 200,
               R"({"operation":)" + neon::operation_json("op-delete", "finished") + "}");
  EXPECT_ERROR(cancelled, ScratchBranch(stoppable_client_, "find",
                                        {"br-main-line-00000001", {}, {}}, stoppable_));
  ASSERT_EQ(http_.seen().size(), 3u);
  // The branch that is made must not be made without our hearing of it, nor its removal broken off.
  for (const auto& seen : http_.seen()) EXPECT_TRUE(seen.even_if_stopped) << seen.url;
  EXPECT_THAT(log_.lines, Not(HasSubstr("left over")));
}

TEST_F(Stopped, NothingIsMadeAfterTheWish) {
  stopping_.stop.request_stop();
  EXPECT_ERROR(cancelled, ScratchBranch(stoppable_client_, "find",
                                        {"br-main-line-00000001", {}, {}}, stoppable_));
  EXPECT_TRUE(http_.seen().empty());
}

TEST_F(Stopped, AComputeThatWasWokenSleepsAgain) {
  std::string idle = R"({"endpoints":[)" + endpoint_json("idle") + "]}";
  std::string active = R"({"endpoints":[)" + endpoint_json("active") + "]}";
  http_.answer("GET", kEndpoints, 200, idle);
  http_.answer("GET", kEndpoints, 200, idle);
  http_.answer("POST", "/projects/p/endpoints/ep-a-b-00000003/start", 200,
               with_operation(R"("endpoint":)" + endpoint_json("idle") + ",", "op-start"));
  http_.answer("GET", kEndpoints, 200, active);
  http_.answer("POST", "/projects/p/endpoints/ep-a-b-00000003/suspend", 200,
               with_operation(R"("endpoint":)" + endpoint_json("active") + ",", "op-suspend"));
  http_.answer("GET", "/projects/p/operations/op-suspend", 200,
               R"({"operation":)" + neon::operation_json("op-suspend", "finished") + "}");
  neon::Branch branch;
  branch.id = neon::kNewId;
  branch.name = "care";
  EXPECT_ERROR(cancelled, ComputeAccess(stoppable_client_, branch, {}, stoppable_));
  EXPECT_THAT(log_.lines, Not(HasSubstr("left running")));
}

}  // namespace
}  // namespace holdfast
