#include "operate/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <regex>
#include <set>

#include "base/text.h"
#include "operate/status_samples.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string text_of(const StatusFacts& facts) {
  StatusReport report = measure_objectives(facts);
  return prometheus_text(std::span(&report, 1), "1.2.3");
}

// Every line against the grammar of the text format, and what goes beyond single lines: HELP and
// TYPE once and before the samples of their metric, no sample twice. Returns the samples.
std::map<std::string, double> read_strictly(const std::string& text) {
  static const std::regex kHelp(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (?:[^\\\n]|\\\\|\\n)*)");
  static const std::regex kType(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (?:gauge|counter|untyped))");
  static const std::regex kSample(
      R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^\\"\n]|\\\\|\\"|\\n)*")"
      R"((?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^\\"\n]|\\\\|\\"|\\n)*")*\})? (-?[0-9]+(?:\.[0-9]+)?))");
  EXPECT_TRUE(text.ends_with('\n'));
  std::map<std::string, double> samples;
  std::set<std::string> helped, typed;
  std::string open;  // the metric whose samples may stand here
  std::vector<std::string> lines = split(text, '\n');
  lines.pop_back();
  for (const std::string& line : lines) {
    std::smatch match;
    if (std::regex_match(line, match, kHelp)) {
      EXPECT_TRUE(helped.insert(match[1]).second) << line;
    } else if (std::regex_match(line, match, kType)) {
      open = match[1];
      EXPECT_TRUE(typed.insert(open).second && helped.count(open) == 1) << line;
    } else if (std::regex_match(line, match, kSample)) {
      EXPECT_EQ(match[1], open) << line;
      std::string name = line.substr(0, line.rfind(' '));
      EXPECT_TRUE(samples.emplace(name, std::stod(match[3])).second) << line;
    } else {
      ADD_FAILURE() << "no line of the format: " << line;
    }
  }
  EXPECT_EQ(helped, typed);
  return samples;
}

TEST(Metrics, SayWhatTheReportSays) {
  StatusFacts facts = sample_facts();
  facts.schedule = {{"backup", "0 2 * * *", parse_rfc3339("2026-11-29T02:00:00.000Z")},
                    {"drill", "0 0 30 2 1", std::nullopt}};
  auto samples = read_strictly(text_of(facts));
  auto value = [&](const std::string& name, const std::string& labels = {}) {
    auto found = samples.find(name + R"({source="care",database="care_commons")" + labels + "}");
    EXPECT_NE(found, samples.end()) << name << labels;
    return found == samples.end() ? -1 : found->second;
  };
  EXPECT_EQ(samples.at(R"(holdfast_build_info{version="1.2.3"})"), 1);
  EXPECT_EQ(value("holdfast_ok"), 1);
  EXPECT_EQ(value("holdfast_rpo_seconds"), 36000);
  EXPECT_EQ(value("holdfast_rpo_target_seconds"), 86400);
  EXPECT_EQ(value("holdfast_rto_seconds"), 600);
  const std::string local = R"(,kind="dump",store="local")";
  EXPECT_EQ(value("holdfast_store_up", local), 1);
  EXPECT_EQ(value("holdfast_backups", local), 30);
  EXPECT_EQ(value("holdfast_backup_proven_age_seconds", local), 36000);
  EXPECT_EQ(value("holdfast_backup_last_bytes", local), 1'000'000);
  EXPECT_EQ(value("holdfast_backup_proof_ok", local), 1);
  EXPECT_EQ(value("holdfast_backup_last_success_timestamp_seconds", local), 1795831200);
  EXPECT_EQ(value("holdfast_drill_rto_seconds", R"(,kind="dump")"), 600);
  EXPECT_EQ(value("holdfast_next_run_timestamp_seconds", R"(,job="backup")"), 1795917600);
  EXPECT_EQ(value("holdfast_rule_met", R"(,rule="immutable")"), 0);
  EXPECT_EQ(value("holdfast_violations", R"(,kind="rpo",severity="critical")"), 0);
  EXPECT_THAT(text_of(facts), Not(HasSubstr("job=\"drill\"")));
}

TEST(Metrics, WhatWasNotMeasuredHasNoSample) {
  StatusFacts facts = sample_facts();
  facts.drills.clear();
  facts.places[0].backups.clear();
  facts.places[1].unreachable = "down";
  facts.places[1].backups.clear();
  std::string text = text_of(facts);
  read_strictly(text);
  for (const char* absent : {"\nholdfast_rpo_seconds", "\nholdfast_rto_seconds",
                             "\nholdfast_backup_age_seconds", "\nholdfast_drill_rto_seconds",
                             "\nholdfast_backups{source=\"care\",database="
                             "\"care_commons\",kind=\"dump\",store=\"s3\"",
                             "rule=\"errors\""})
    EXPECT_THAT(text, Not(HasSubstr(absent)));
  EXPECT_THAT(text, HasSubstr("store=\"s3\"} 0\n"));  // holdfast_store_up
  EXPECT_THAT(text, HasSubstr("kind=\"rpo\",severity=\"critical\"} 1\n"));
}

TEST(Metrics, SeveralSourcesShareTheTable) {
  StatusFacts other = sample_facts();
  other.source = "billing";
  std::vector<StatusReport> reports = {measure_objectives(sample_facts()),
                                       measure_objectives(other)};
  auto samples = read_strictly(prometheus_text(reports, "1"));
  EXPECT_EQ(samples.count(R"(holdfast_ok{source="billing",database="care_commons"})"), 1u);
  EXPECT_EQ(samples.count(R"(holdfast_ok{source="care",database="care_commons"})"), 1u);
  read_strictly(prometheus_text({}, "1"));
}

TEST(Metrics, AnyNameIsALabel) {
  EXPECT_TRUE(rc::check("labels are escaped", [](const std::string& name) {
    StatusFacts facts = sample_facts();
    facts.database = name + "\\\"\n";
    auto samples = read_strictly(text_of(facts));
    RC_ASSERT(!testing::Test::HasFailure());
    RC_ASSERT(!samples.empty());
  }));
}

}  // namespace
}  // namespace holdfast
