#include "alert/incident.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>

#include "alert/alert_fakes.h"
#include "base/expect_error.h"

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using ::testing::ElementsAre;
using Says = std::optional<MessageType>;

const IncidentKey kKey{IncidentKind::backup, "care", "s3"};
const UtcTime kStart = alert_time("01T02:00");

int pick_any(int low, int high) {  // evenly, whatever rapidcheck's size
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(low, high));
}

Incident opened(UtcTime now = kStart, const Incident* before = nullptr,
                const IncidentRules& rules = {}) {
  return open_incident(kKey, Severity::warning, {}, now, before, rules);
}

TEST(Incident, UpdatesComeAtTwiceTheTimeOfTheOneBefore) {
  Incident incident = opened();
  std::vector<int> told;
  for (int minute = 1; minute <= 80 * 60; ++minute)
    if (note_failure(incident, Severity::warning, {}, kStart + minutes(minute), {}))
      told.push_back(minute / 60);
  EXPECT_THAT(told, ElementsAre(1, 3, 7, 15, 31, 51, 71));  // 1, 2, 4, 8, 16, 20, 20 hours apart
  EXPECT_EQ(incident.failures, 1 + 80 * 60);
}

TEST(Incident, ANightlyFailureIsSaidEveryNight) {
  Incident incident = opened();
  for (int night = 1; night <= 30; ++night) {
    UtcTime at = kStart + hours(24 * night) - minutes(night % 3);
    EXPECT_EQ(note_failure(incident, Severity::warning, {}, at, {}), Says(MessageType::update));
    EXPECT_EQ(note_time(incident, at + hours(5), {}), Says());
  }
}

// A day and a bit: where the news come nightly, none is said just before them.
TEST(Incident, WithoutNewsAReminderComesAfterMoreThanADay) {
  Incident incident = opened();
  EXPECT_EQ(note_time(incident, kStart + hours(25), {}), Says());
  int reminders = 0;
  for (int minute = 25 * 60; minute <= 10 * 26 * 60; ++minute)
    reminders += note_time(incident, kStart + minutes(minute), {}).has_value();
  EXPECT_EQ(reminders, 10);
}

TEST(Incident, EscalationStepsComeOnceEachAtTheirTimes) {
  IncidentRules rules;
  rules.escalate_after = {hours(4), hours(24)};
  Incident incident = opened();
  std::vector<int> told;
  for (int minute = 1; minute <= 40 * 60; ++minute)
    if (note_time(incident, kStart + minutes(minute), rules) == MessageType::escalated)
      told.push_back(minute);
  EXPECT_THAT(told, ElementsAre(4 * 60, 24 * 60));
  // After a day without any run both are due: one message says it.
  Incident slept = opened();
  EXPECT_EQ(note_time(slept, kStart + hours(30), rules), Says(MessageType::escalated));
  EXPECT_EQ(slept.escalations, 2);
  EXPECT_EQ(note_time(slept, kStart + hours(31), rules), Says());
}

TEST(Incident, GettingWorseIsSaidAtOnceAndOnce) {
  Incident incident = opened();
  UtcTime soon = kStart + minutes(1);
  EXPECT_EQ(note_failure(incident, Severity::critical, {}, soon, {}), Says(MessageType::update));
  EXPECT_EQ(note_failure(incident, Severity::warning, {}, soon, {}), Says());
  EXPECT_EQ(note_failure(incident, Severity::critical, {}, soon, {}), Says());
  EXPECT_EQ(incident.severity, Severity::critical);
}

TEST(Incident, TheFirstRecoveryIsTheEndTheNextHasToLast) {
  Incident first = opened();
  EXPECT_EQ(note_good(first, kStart + hours(1), {}), Says(MessageType::recovered));
  EXPECT_EQ(first.closed_at, kStart + hours(1));
  Incident second = opened(kStart + hours(2), &first);
  EXPECT_EQ(second.relapses, 1);
  EXPECT_EQ(note_good(second, kStart + hours(3), {}), Says());
  EXPECT_EQ(note_time(second, kStart + hours(3) + minutes(29), {}), Says());
  EXPECT_EQ(note_time(second, kStart + hours(3) + minutes(30), {}), Says(MessageType::recovered));
  // A failure in between begins the waiting anew.
  Incident third = opened(kStart + hours(4), &second);
  EXPECT_EQ(note_good(third, kStart + hours(4), {}), Says());
  EXPECT_EQ(note_failure(third, Severity::warning, {}, kStart + hours(4) + minutes(59), {}),
            Says());
  EXPECT_EQ(note_good(third, kStart + hours(5), {}), Says());
  EXPECT_EQ(note_time(third, kStart + hours(5) + minutes(59), {}), Says());
  EXPECT_EQ(note_time(third, kStart + hours(6), {}), Says(MessageType::recovered));
  EXPECT_EQ(opened(kStart + hours(18), &third).relapses, 0);  // half a day later it is new
}

TEST(Incident, AClockThatWasWrongSilencesNothingForLong) {
  Incident incident = opened(kStart + hours(24 * 365 * 50));  // then the clock is put right
  int told = 0;
  for (int hour = 0; hour < 48; ++hour)
    told += note_failure(incident, Severity::warning, {}, kStart + hours(hour), {}).has_value();
  EXPECT_GE(told, 1);
  incident.good_since = kStart + hours(24 * 365);
  incident.relapses = 1;
  (void)note_time(incident, kStart, {});
  EXPECT_EQ(note_time(incident, kStart + hours(1), {}), Says(MessageType::recovered));
  EXPECT_TRUE(is_forgotten(incident, kStart - hours(24), {}));
}

TEST(Incident, RunsThatAreMissedWhileOthersAreAddUp) {
  FailureFacts facts;
  facts.problems = 2;
  facts.first_missed_at = kStart;
  facts.last_missed_at = kStart + hours(1);
  Incident incident = open_incident({IncidentKind::missed_run, "a", "backup"}, Severity::warning,
                                    facts, kStart + hours(2), nullptr, {});
  facts.problems = 1;
  facts.first_missed_at = facts.last_missed_at = kStart + hours(5);
  (void)note_failure(incident, Severity::warning, facts, kStart + hours(6), {});
  EXPECT_EQ(incident.facts.problems, 3);
  EXPECT_EQ(incident.facts.first_missed_at, kStart);
  EXPECT_EQ(incident.facts.last_missed_at, kStart + hours(5));
}

TEST(Incident, TheKeyIsItsParts) {
  EXPECT_EQ(incident_key_id(kKey).size(), 16u);
  EXPECT_NE(incident_key_id({IncidentKind::backup, "a", "bc"}),
            incident_key_id({IncidentKind::backup, "ab", "c"}));
  EXPECT_NE(incident_key_id({IncidentKind::backup, "a", ""}),
            incident_key_id({IncidentKind::proof, "a", ""}));
}

TEST(Incident, NamesReadBack) {
  for (int kind = 0; kind <= static_cast<int>(IncidentKind::test); ++kind) {
    auto value = static_cast<IncidentKind>(kind);
    EXPECT_EQ(parse_incident_kind(incident_kind_name(value)), value);
  }
  for (int code = 0; code <= static_cast<int>(ErrorCode::internal); ++code) {
    auto value = static_cast<ErrorCode>(code);
    EXPECT_EQ(parse_error_code(error_code_name(value)), value);
  }
  EXPECT_ERROR(corrupt, parse_severity("dire"));
  EXPECT_ERROR(corrupt, parse_message_type(""));
}

// Whatever happens when: messages are bounded by the back-off, and nothing is silent for long.
TEST(Incident, AnyHistoryIsBoundedAndNeverSilent) {
  EXPECT_TRUE(rc::check([] {
    IncidentRules rules;
    rules.escalate_after = {hours(4), hours(24)};
    Incident incident = opened(kStart, nullptr, rules);
    UtcTime now = kStart, last = kStart;
    int messages = 0;
    int steps = pick_any(1, 300);
    for (int i = 0; i < steps && !incident.closed_at; ++i) {
      now += minutes(pick_any(0, 300));
      bool fails = pick_any(0, 4) != 0;
      Says says = fails ? note_failure(incident, Severity::warning, {}, now, rules)
                        : note_time(incident, now, rules);
      if (says) {
        ++messages;
        last = now;
      } else if (!fails) {
        RC_ASSERT(now - last < hours(24) + minutes(300));
      }
    }
    double hours_open = std::chrono::duration<double, std::ratio<3600>>(now - kStart).count();
    double bound = std::log2(hours_open + 1) + hours_open / 20 + 1 + 2;
    RC_ASSERT(messages <= bound);
    RC_ASSERT(incident.escalations <= 2);
    if (note_good(incident, now, rules)) RC_ASSERT(incident.closed_at == now);
  }));
}

// Flapping at any rate: openings and ends in a month are few.
TEST(Incident, FlappingDoesNotSpam) {
  EXPECT_TRUE(rc::check([] {
    IncidentRules rules;
    std::optional<Incident> incident;
    int openings = 0, messages = 0;
    int every = pick_any(1, 11 * 60);
    for (int minute = 0; minute < 30 * 24 * 60; ++minute) {
      UtcTime now = kStart + minutes(minute);
      if (minute % every != 0) {
        if (incident) messages += note_time(*incident, now, rules).has_value();
        continue;
      }
      bool fails = (minute / every) % 2 == 0;
      if (incident && !incident->closed_at) {
        auto says = fails ? note_failure(*incident, Severity::warning, {}, now, rules)
                          : note_good(*incident, now, rules);
        messages += says.has_value();
      } else if (fails) {
        Incident next = opened(now, incident ? &*incident : nullptr, rules);
        incident = next;
        ++openings;
      }
    }
    RC_ASSERT(openings <= 12);
    RC_ASSERT(messages <= 12 + 5 * openings + 40);
  }));
}

}  // namespace
}  // namespace holdfast
