// The rule 3-2-1-1-0: each answer, and that none claims what was not seen.
#include "operate/resilience.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "operate/status_samples.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using enum RuleVerdict;

RuleStatus rule(const StatusFacts& facts, const std::string& name) {
  for (const RuleStatus& found : measure_objectives(facts).rules)
    if (found.name == name) return found;
  throw Error(ErrorCode::not_found, name);
}

TEST(Resilience, AFolderABucketElsewhereAndADrill) {
  StatusFacts facts = sample_facts();
  EXPECT_EQ(rule(facts, "copies").why, "3: the source, local, s3");
  EXPECT_EQ(rule(facts, "copies").verdict, yes);
  EXPECT_EQ(rule(facts, "providers").why, "3: neon.tech, other.example, this machine");
  EXPECT_EQ(rule(facts, "off-site").why, "s3 at other.example");
  EXPECT_EQ(rule(facts, "immutable").verdict, no);
  EXPECT_EQ(rule(facts, "errors").verdict, yes);
  EXPECT_EQ(measure_objectives(facts).rules_met(), 4u);
  facts.places[1].lock_mode = "compliance";
  EXPECT_THAT(rule(facts, "immutable").why, HasSubstr("is not locked"));
  facts.places[1].backups.back().locked_until = facts.now + std::chrono::days(20);
  EXPECT_EQ(rule(facts, "immutable").why, "s3: locked until 2026-12-18");
  EXPECT_EQ(measure_objectives(facts).rules_met(), 5u);
  facts.places[1].lock_mode = "governance";
  EXPECT_THAT(rule(facts, "immutable").why, HasSubstr("may lift it"));
  facts.places[1].backups.back().locked_until = facts.now;  // over
  EXPECT_EQ(rule(facts, "immutable").verdict, no);
}

// facts/operations: a branch beside its source is one provider with it, and on no other site.
TEST(Resilience, ABranchIsACopyAtItsSourcesProvider) {
  StatusFacts facts = sample_facts();
  facts.places = {sample_place("console.neon.tech", PlaceKind::api, "console.neon.tech")};
  EXPECT_EQ(rule(facts, "copies").why, "2: the source, a branch");
  EXPECT_EQ(rule(facts, "copies").verdict, no);
  EXPECT_EQ(rule(facts, "providers").verdict, no);
  EXPECT_THAT(rule(facts, "providers").why, HasSubstr("a branch is at its source's provider"));
  EXPECT_EQ(rule(facts, "off-site").verdict, no);
  facts.places.push_back(sample_place("local", PlaceKind::folder, ""));
  EXPECT_EQ(rule(facts, "copies").verdict, yes);
  EXPECT_EQ(rule(facts, "providers").verdict, yes);
  EXPECT_EQ(rule(facts, "off-site").verdict, no);
}

TEST(Resilience, WhatANameDoesNotTellIsNotMeasured) {
  StatusFacts facts = sample_facts();
  for (const char* host : {"10.0.0.5:9000", "minio", "minio.lan:9000", "[fd00::1]:9000"}) {
    facts.places[1].host = host;
    EXPECT_EQ(rule(facts, "off-site").verdict, not_measured) << host;
  }
  facts.places[1].host = "127.0.0.1:9000";
  EXPECT_EQ(rule(facts, "off-site").verdict, no);
  EXPECT_EQ(rule(facts, "providers").why, "2: neon.tech, this machine");
  facts.places[1].host = "amazonaws.com";
  facts.source_host = "care.abc.eu-central-1.rds.amazonaws.com";
  EXPECT_THAT(rule(facts, "off-site").why, HasSubstr("another region is not known"));
  EXPECT_EQ(rule(facts, "off-site").verdict, not_measured);
  facts.source_host.reset();
  facts.places.resize(1);
  EXPECT_EQ(rule(facts, "providers").verdict, not_measured);
}

TEST(Resilience, OnlyProvenCopiesOfTheNewestProvenDumpCount) {
  StatusFacts facts = sample_facts();
  facts.places[1].backups.back().proof = ProofState::none;
  EXPECT_EQ(rule(facts, "copies").verdict, no);
  EXPECT_EQ(rule(facts, "off-site").verdict, no);
  facts.places[1].unreachable = "down";
  facts.places[1].backups.clear();
  EXPECT_EQ(rule(facts, "copies").verdict, not_measured);
  EXPECT_THAT(rule(facts, "copies").why, HasSubstr("s3 could not be looked at"));
  EXPECT_EQ(rule(facts, "immutable").verdict, not_measured);
  EXPECT_EQ(rule(facts, "providers").verdict, yes);
}

TEST(Resilience, ZeroErrorsNeedsADrillThatIsRecentAndPassed) {
  StatusFacts facts = sample_facts();
  facts.drills.clear();
  EXPECT_EQ(rule(facts, "errors").verdict, not_measured);
  facts.drills = {sample_drill(DrillVerdict::passed, 32, 5)};
  EXPECT_EQ(rule(facts, "errors").verdict, not_measured);
  facts.drills = {sample_drill(DrillVerdict::passed, 3, 5),
                  sample_drill(DrillVerdict::failed, 2, 5)};
  EXPECT_EQ(rule(facts, "errors").verdict, no);
  facts.drills.resize(1);
  EXPECT_EQ(rule(facts, "errors").verdict, yes);
  facts.places[0].backups.front().damaged = true;
  EXPECT_EQ(rule(facts, "errors").verdict, no);
}

TEST(Resilience, ProvidersByTheirDomains) {
  EXPECT_EQ(provider_of("ep-cool-1.eu-central-1.aws.neon.tech"), "neon.tech");
  EXPECT_EQ(provider_of("S3.Backup.Example.CO.UK"), "example.co.uk");
  EXPECT_EQ(provider_of("10.1.2.3:9000"), "10.1.2.3");
  EXPECT_EQ(provider_of("s3.example.org:9000"), "example.org");
  EXPECT_EQ(provider_of("minio"), "minio");
  for (const char* here :
       {"", "localhost", "127.0.0.53", "::1", "[::1]:9000", "/var/run/postgresql"})
    EXPECT_EQ(provider_of(here), "this machine") << here;
}

}  // namespace
}  // namespace holdfast
