#include "schedule/tzif.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/expect_error.h"
#include "schedule/tzif_samples.h"
#include "schedule/zone.h"

namespace holdfast {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using std::chrono::sys_seconds;

TzifData parsed(const TzifSample& sample) {
  return parse_tzif(as_bytes(sample.bytes()));
}

// A zone that is nothing but its rule.
Zone zone_of_rule(const std::string& rule) {
  TzifSample sample;
  sample.footer = "\n" + rule + "\n";
  return Zone::parse("Test/Zone", as_bytes(sample.bytes()));
}

// What clocks show at this instant: "2026-07-01T14:00 CEST".
std::string shown(const Zone& zone, const std::string& minute) {
  sys_seconds at = std::chrono::floor<seconds>(parse_rfc3339(minute + ":00.000Z"));
  ZoneSpan span = zone.span_at(at);
  UtcTime local(span.local(at).time_since_epoch());
  return format_rfc3339(local).substr(0, 16) + " " + span.type.abbreviation;
}

TEST(Tzif, GivesWhatIsWrittenInIt) {
  TzifSample sample;
  sample.transitions = {{-100, 1}, {5'000'000'000, 0}};
  sample.types = {{3600, false}, {7200, true}};
  sample.footer = "\n\n";
  TzifData data = parsed(sample);
  ASSERT_EQ(data.transitions.size(), 2u);
  EXPECT_EQ(data.transitions[0], (ZoneTransition{sys_seconds(seconds(-100)), 1}));
  EXPECT_EQ(data.transitions[1], (ZoneTransition{sys_seconds(seconds(5'000'000'000)), 0}));
  EXPECT_EQ(data.types[1], (ZoneType{hours(2), true, "UTC"}));
  EXPECT_EQ(data.rule, "");
  // Without a rule, the last transition holds for ever.
  Zone zone = Zone::parse("Test/Zone", as_bytes(sample.bytes()));
  EXPECT_EQ(shown(zone, "1969-12-31T23:00"), "1970-01-01T00:00 UTC");
  EXPECT_EQ(shown(zone, "1970-01-01T00:00"), "1970-01-01T02:00 UTC");
  EXPECT_EQ(shown(zone, "9000-07-01T00:00"), "9000-07-01T01:00 UTC");
}

TEST(Tzif, WhatIsCutShortAnywhereIsCorrupt) {
  TzifSample sample;
  sample.transitions = {{100, 0}, {200, 0}};
  std::string bytes = sample.bytes();
  for (size_t size = 0; size < bytes.size(); ++size) {
    std::string_view saying =
        size < bytes.size() - sample.footer.size() ? "cut short" : "last line";
    std::string cut = bytes.substr(0, size);
    EXPECT_ERROR_SAYING(corrupt, saying, parse_tzif(as_bytes(cut)));
  }
  EXPECT_ERROR_SAYING(corrupt, "last line", parse_tzif(as_bytes(bytes + "x")));
}

TEST(Tzif, WhatCannotBeComputedWithIsCorrupt) {
  auto refuses = [](const std::string& saying, auto change) {
    TzifSample sample;
    sample.transitions = {{100, 0}, {200, 0}};
    change(sample);
    EXPECT_ERROR_SAYING(corrupt, saying, parsed(sample));
  };
  refuses("no type", [](TzifSample& s) { s.transitions[1].second = 1; });
  refuses("not in order", [](TzifSample& s) { s.transitions[1].first = 100; });
  refuses("out of range", [](TzifSample& s) { s.transitions[0].first = INT64_MIN; });
  refuses("out of range", [](TzifSample& s) { s.transitions[1].first = INT64_MAX; });
  refuses("more entries", [](TzifSample& s) {
    for (int i = 0; i < 4096; ++i) s.transitions.push_back({300 + i, uint8_t{0}});
  });
  refuses("has no types", [](TzifSample& s) { s.types.clear(); });
  refuses("more entries", [](TzifSample& s) { s.types.resize(257); });
  refuses("offset", [](TzifSample& s) { s.types[0].first = 93600; });
  refuses("offset", [](TzifSample& s) { s.types[0].first = INT32_MIN; });
  refuses("does not end", [](TzifSample& s) { s.names = "UTC"; });
  refuses("abbreviation is not one", [](TzifSample& s) { s.names = std::string("U\033C", 4); });
  refuses("version", [](TzifSample& s) { s.version = '5'; });
  refuses("last line", [](TzifSample& s) { s.footer = "UTC0\n"; });
  refuses("last line", [](TzifSample& s) { s.footer = "\nUTC0"; });
  refuses("last line", [](TzifSample& s) { s.footer = "\n"; });
  refuses("last line", [](TzifSample& s) { s.footer = "\nUTC0\n\n"; });
  std::string bytes = TzifSample().bytes();
  bytes[0] = 't';
  EXPECT_ERROR_SAYING(corrupt, "TZif", parse_tzif(as_bytes(bytes)));
  EXPECT_ERROR_SAYING(corrupt, "larger", parse_tzif(as_bytes(std::string(kTzifBytesMax + 1, ' '))));
}

TEST(Tzif, WhatIsOfOtherKindsIsSaid) {
  TzifSample leap;
  leap.leaps = 1;
  EXPECT_ERROR_SAYING(unsupported, "leap seconds", parsed(leap));
  TzifSample old;
  old.version = '\0';
  EXPECT_ERROR_SAYING(unsupported, "version 1", parsed(old));
}

TEST(PosixRule, GoesOnForEver) {
  Zone berlin = zone_of_rule("CET-1CEST,M3.5.0,M10.5.0/3");
  EXPECT_EQ(shown(berlin, "2026-03-29T00:59"), "2026-03-29T01:59 CET");
  EXPECT_EQ(shown(berlin, "2026-03-29T01:00"), "2026-03-29T03:00 CEST");
  EXPECT_EQ(shown(berlin, "9990-07-01T12:00"), "9990-07-01T14:00 CEST");
  Zone sydney = zone_of_rule("AEST-10AEDT,M10.1.0,M4.1.0/3");  // summer over the new year
  EXPECT_EQ(shown(sydney, "2026-12-31T23:59"), "2027-01-01T10:59 AEDT");
  EXPECT_EQ(shown(sydney, "2026-07-01T00:00"), "2026-07-01T10:00 AEST");
  Zone dublin = zone_of_rule("IST-1GMT0,M10.5.0,M3.5.0/1");  // winter is what is set
  EXPECT_EQ(shown(dublin, "2026-12-01T12:00"), "2026-12-01T12:00 GMT");
  Zone nuuk = zone_of_rule("<-02>2<-01>,M3.5.0/-1,M10.5.0/0");  // on the day before
  EXPECT_EQ(shown(nuuk, "2026-03-29T00:59"), "2026-03-28T22:59 -02");
  EXPECT_EQ(shown(nuuk, "2026-03-29T01:00"), "2026-03-29T00:00 -01");
  Zone gaza = zone_of_rule("EET-2EEST,M3.4.4/50,M10.4.4/50");  // two days later
  EXPECT_EQ(shown(gaza, "2026-03-27T23:59"), "2026-03-28T01:59 EET");
  EXPECT_EQ(shown(gaza, "2026-03-28T00:00"), "2026-03-28T03:00 EEST");
}

TEST(PosixRule, CountsDaysWithAndWithoutFebruary29th) {
  Zone julian = zone_of_rule("AAA0BBB,J60/0,J300");
  EXPECT_EQ(shown(julian, "2028-02-29T12:00"), "2028-02-29T12:00 AAA");
  EXPECT_EQ(shown(julian, "2028-03-01T00:00"), "2028-03-01T01:00 BBB");
  EXPECT_EQ(shown(julian, "2027-02-28T23:59"), "2027-02-28T23:59 AAA");
  EXPECT_EQ(shown(julian, "2027-03-01T00:00"), "2027-03-01T01:00 BBB");
  Zone counted = zone_of_rule("AAA0BBB,59/0,300");
  EXPECT_EQ(shown(counted, "2028-02-28T23:59"), "2028-02-28T23:59 AAA");
  EXPECT_EQ(shown(counted, "2028-02-29T00:00"), "2028-02-29T01:00 BBB");
  EXPECT_EQ(shown(counted, "2027-03-01T00:00"), "2027-03-01T01:00 BBB");
}

TEST(PosixRule, DaylightSavingTimeAllYear) {
  Zone zone = zone_of_rule("XXX3EDT4,0/0,J365/23");  // the example of RFC 8536
  for (const char* minute : {"2026-12-31T23:59", "2027-01-01T00:00", "2027-01-01T03:59",
                             "2027-01-01T04:00", "2028-07-01T00:00", "2028-12-31T23:59"}) {
    EXPECT_TRUE(shown(zone, minute).ends_with(" EDT")) << minute << ": " << shown(zone, minute);
  }
}

TEST(PosixRule, WhatIsNotTheGrammarIsCorrupt) {
  for (const char* rule : {"UTC",
                           "U0",
                           "UTC0 ",
                           "UTC25",
                           "UTC0:60",
                           "CET-1CEST",
                           "CET-1CEST,M3.5.0",
                           "CET-1CEST,M3.5.0,M10.5.0/168",
                           "CET-1CEST,M13.5.0,M10.5.0",
                           "CET-1CEST,M3.6.0,M10.5.0",
                           "CET-1CEST,M3.5.7,M10.5.0",
                           "CET-1CEST,J0,M10.5.0",
                           "CET-1CEST,366,M10.5.0",
                           "CET-1CEST,M3.5.0,M10.5.0,",
                           "<CET0",
                           "<>0",
                           "C3T0",
                           "CET--1",
                           "CET-1CEST,M3.5,M10.5.0",
                           ":UTC",
                           "ABCDEFGHIJKLMNOPQ0"})
    EXPECT_ERROR_SAYING(corrupt, std::string("its rule '") + rule + "'", zone_of_rule(rule));
}

TEST(PosixRule, MustAgreeWithTheLastTransition) {
  TzifSample sample;
  sample.transitions = {{100, 1}};
  sample.types = {{0, false}, {3600, false}};
  EXPECT_ERROR_SAYING(corrupt, "contradicts", Zone::parse("Test", as_bytes(sample.bytes())));
}

}  // namespace
}  // namespace holdfast
