// What every sink must do, whatever it is: run by notifier_test.cc against each of them, with the
// service behind it played by alert_fakes.h.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "alert/alert_fakes.h"
#include "audit/anchor.h"
#include "base/clock.h"

namespace holdfast {

// A sink, and the service behind it as the contract sees it.
class SinkBench {
 public:
  virtual ~SinkBench() = default;
  virtual Notifier& sink() = 0;
  virtual void set_mood(ServiceMood mood) = 0;
  virtual int arrived() = 0;            // messages that the service has taken
  virtual std::string last_text() = 0;  // of the last of them, decoded
  virtual int requests() = 0;
  virtual bool can_ask_for_patience() { return true; }
  ManualClock clock{alert_time("28T03:00")};
};

inline constexpr const char* kBenchSecret = "s3cr3t-of-the-sink";

struct SinkCase {
  std::string name;
  std::function<std::unique_ptr<SinkBench>()> make;
};

class NotifierContract : public ::testing::TestWithParam<SinkCase> {
 protected:
  std::unique_ptr<SinkBench> bench_ = GetParam().make();
  Notifier& sink() { return bench_->sink(); }

  AlertMessage wanted() {
    return sample_message(sink().wants(MessageType::opened) ? MessageType::opened
                                                            : MessageType::failed);
  }
  DeliveryReceipt deliver(const AlertMessage& message, const std::string& note = "",
                          int time_ms = 20'000) {
    DeliveryBudget budget(bench_->clock, std::chrono::milliseconds(time_ms));
    return sink().deliver({message, "", 1, note, budget});
  }
  // The code of the Error that a delivery ends with; its text is free of secrets.
  std::string outcome() {
    try {
      return deliver(wanted()).wait > std::chrono::milliseconds(0) ? "wait" : "delivered";
    } catch (const Error& error) {
      EXPECT_EQ(error.in_one_line().find(kBenchSecret), std::string::npos) << error.what();
      return std::string(error_code_name(error.code()));
    }
  }
};

TEST_P(NotifierContract, HasANameAndSomethingThatItWants) {
  EXPECT_FALSE(sink().name().empty());
  bool any = false;
  for (MessageType type : {MessageType::opened, MessageType::failed}) any |= sink().wants(type);
  EXPECT_TRUE(any);
  EXPECT_EQ(sink().wants(MessageType::opened), sink().wants(MessageType::recovered));
}

TEST_P(NotifierContract, OneDeliveryIsOneMessage) {
  EXPECT_EQ(outcome(), "delivered");
  EXPECT_EQ(bench_->arrived(), 1);
  EXPECT_THAT(bench_->last_text(), ::testing::HasSubstr("fail"));
  EXPECT_THAT(bench_->last_text(), ::testing::Not(::testing::HasSubstr(kBenchSecret)));
}

TEST_P(NotifierContract, EveryTypeOfMessageIsTaken) {
  for (int type = 0; type <= static_cast<int>(MessageType::failed); ++type)
    if (sink().wants(static_cast<MessageType>(type))) {
      EXPECT_NO_THROW(deliver(sample_message(static_cast<MessageType>(type)))) << type;
    }
}

TEST_P(NotifierContract, TroubleIsAnErrorOfTheRightKindAndPasses) {
  using Mood = ServiceMood;
  for (auto [mood, code] :
       {std::pair(Mood::down, "unavailable"), std::pair(Mood::refuses, "invalid")}) {
    bench_->set_mood(mood);
    EXPECT_EQ(outcome(), code);
  }
  bench_->set_mood(Mood::broken);
  EXPECT_EQ(outcome(), "unavailable");
  bench_->set_mood(Mood::denies);
  EXPECT_EQ(outcome(), "denied");
  EXPECT_EQ(bench_->arrived(), 0);
  bench_->set_mood(Mood::good);
  EXPECT_EQ(outcome(), "delivered");
  EXPECT_EQ(bench_->arrived(), 1);
}

TEST_P(NotifierContract, WhatAsksForPatienceGetsIt) {
  if (!bench_->can_ask_for_patience()) return;
  bench_->set_mood(ServiceMood::patience);
  EXPECT_EQ(deliver(wanted()).wait, std::chrono::seconds(120));
}

TEST_P(NotifierContract, ALostAnswerIsAnError) {
  bench_->set_mood(ServiceMood::lost);
  EXPECT_EQ(outcome(), "unavailable");
}

TEST_P(NotifierContract, WithoutTimeNothingIsBegun) {
  DeliveryBudget budget(bench_->clock, std::chrono::milliseconds(1000));
  bench_->clock.advance(std::chrono::milliseconds(1000));
  AlertMessage message = wanted();
  EXPECT_THROW(sink().deliver({message, "", 1, "", budget}), Error);
  EXPECT_EQ(bench_->requests(), 0);
}

TEST_P(NotifierContract, WhatNeverArrivedIsSaid) {
  if (!sink().wants(MessageType::opened)) return;  // a ping has no place for it
  deliver(wanted(), "3 earlier messages could not be delivered here.");
  EXPECT_THAT(bench_->last_text(), ::testing::HasSubstr("3 earlier messages"));
}

TEST_P(NotifierContract, WhereTheAuditTrailStoodIsSaid) {
  AlertMessage message = wanted();
  deliver(message);
  EXPECT_THAT(bench_->last_text(), ::testing::Not(::testing::HasSubstr("holdfast audit log")));
  EXPECT_THAT(bench_->last_text(), ::testing::Not(::testing::HasSubstr("Audit trail")));
  message.incident.key.store = "another";  // another issue, not a comment
  message.audit_head = sample_audit_head();
  deliver(message);
  EXPECT_THAT(bench_->last_text(), ::testing::HasSubstr(audit_head_line(sample_audit_head())));
}

TEST_P(NotifierContract, ATestLeavesNothingOpen) {
  AlertMessage message = sample_message();
  message.incident.key.kind = IncidentKind::test;
  DeliveryBudget budget(bench_->clock, std::chrono::seconds(20));
  EXPECT_NO_THROW(sink().test(message, budget));
  EXPECT_GE(bench_->requests(), 1);
  bench_->set_mood(ServiceMood::denies);
  EXPECT_THROW(sink().test(message, budget), Error);
}

}  // namespace holdfast
