#include "schedule/zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/clock.h"
#include "base/expect_error.h"
#include "schedule/cron_samples.h"
#include "schedule/zone_samples.h"

namespace holdfast {
namespace {

using std::chrono::local_seconds;
using std::chrono::seconds;
using std::chrono::sys_seconds;
using ::testing::HasSubstr;
using Kind = LocalInstants::Kind;

Zone system_zone(const std::string& name) {
  CLibraryZone must_be_there(name);
  return Zone::load(name, std::string(kZoneinfoFolder));
}

sys_seconds utc(const std::string& minute) {
  return std::chrono::floor<seconds>(parse_rfc3339(minute + ":00.000Z"));
}

local_seconds local(const std::string& minute) {
  return local_seconds{utc(minute).time_since_epoch()};
}

// "once 2026-03-29T01:00Z" and the like.
std::string found(const Zone& zone, const std::string& minute) {
  LocalInstants instants = zone.find(local(minute));
  std::string first = format_rfc3339(instants.first).substr(0, 16);
  std::string last = format_rfc3339(instants.last).substr(0, 16);
  switch (instants.kind) {
    case Kind::once:
      return "once " + first + (first == last ? "" : " and " + last);
    case Kind::gap:
      return "gap " + first + (first == last ? "" : " and " + last);
    default:
      return "twice " + first + " " + last;
  }
}

TEST(Zone, UtcNeedsNoFile) {
  Zone zone = Zone::load("UTC", "/nonexistent");
  EXPECT_EQ(zone.span_at(utc("2026-03-29T01:00")).type, (ZoneType{seconds(0), false, "UTC"}));
  EXPECT_EQ(found(zone, "2026-03-29T02:30"), "once 2026-03-29T02:30");
  EXPECT_EQ(Zone::load("Etc/UTC", "/nonexistent").name(), "Etc/UTC");
  EXPECT_EQ(zone.reached(utc("2026-03-29T02:30")), local("2026-03-29T02:30"));
}

TEST(Zone, GapsAndOverlapsAreSaid) {
  Zone berlin = system_zone("Europe/Berlin");
  EXPECT_EQ(found(berlin, "2026-03-29T01:59"), "once 2026-03-29T00:59");
  EXPECT_EQ(found(berlin, "2026-03-29T02:00"), "gap 2026-03-29T01:00");
  EXPECT_EQ(found(berlin, "2026-03-29T02:59"), "gap 2026-03-29T01:00");
  EXPECT_EQ(found(berlin, "2026-03-29T03:00"), "once 2026-03-29T01:00");
  EXPECT_EQ(found(berlin, "2026-10-25T01:59"), "once 2026-10-24T23:59");
  EXPECT_EQ(found(berlin, "2026-10-25T02:00"), "twice 2026-10-25T00:00 2026-10-25T01:00");
  EXPECT_EQ(found(berlin, "2026-10-25T03:00"), "once 2026-10-25T02:00");
  EXPECT_EQ(found(berlin, "2099-10-25T02:30"), "twice 2099-10-25T00:30 2099-10-25T01:30");
  Zone lord_howe = system_zone("Australia/Lord_Howe");
  EXPECT_EQ(found(lord_howe, "2026-04-05T01:30"), "twice 2026-04-04T14:30 2026-04-04T15:00");
  EXPECT_EQ(found(lord_howe, "2026-04-05T01:29"), "once 2026-04-04T14:29");
  EXPECT_EQ(found(lord_howe, "2026-10-04T02:29"), "gap 2026-10-03T15:30");
  Zone apia = system_zone("Pacific/Apia");
  EXPECT_EQ(found(apia, "2011-12-29T23:59"), "once 2011-12-30T09:59");
  EXPECT_EQ(found(apia, "2011-12-30T12:00"), "gap 2011-12-30T10:00");
  EXPECT_EQ(found(apia, "2011-12-31T00:00"), "once 2011-12-30T10:00");
}

TEST(Zone, WhatClocksHaveReachedStandsStillWhileTheyAreSetBack) {
  Zone berlin = system_zone("Europe/Berlin");
  EXPECT_EQ(berlin.reached(utc("2026-10-25T00:30")), local("2026-10-25T02:30"));
  EXPECT_EQ(berlin.reached(utc("2026-10-25T01:30")), local("2026-10-25T03:00") - seconds(1));
  EXPECT_EQ(berlin.reached(utc("2026-10-25T02:30")), local("2026-10-25T03:30"));
  EXPECT_EQ(berlin.first_reaching(local("2026-10-25T02:30")), utc("2026-10-25T00:30"));
  EXPECT_EQ(berlin.first_reaching(local("2026-03-29T02:30")), utc("2026-03-29T01:00"));
}

TEST(Zone, OneThatIsNotThereIsAnErrorWithTheNextStep) {
  auto hint_of = [](const std::string& name, const std::string& folder) {
    try {
      Zone::load(name, folder);
    } catch (const Error& error) {
      return std::string(error_code_name(error.code())) + ": " + error.hint();
    }
    return std::string("nothing was thrown");
  };
  std::string folder(kZoneinfoFolder);
  EXPECT_EQ(hint_of("Europe/Berlni", folder), "not_found: did you mean Europe/Berlin?");
  EXPECT_EQ(hint_of("europe/berlin", folder), "not_found: did you mean Europe/Berlin?");
  EXPECT_EQ(hint_of("EUROPE/BERLIN", folder), "not_found: did you mean Europe/Berlin?");
  EXPECT_EQ(hint_of("berlin", folder), "not_found: did you mean Europe/Berlin?");
  EXPECT_THAT(hint_of("Middle_earth/The_Shire_of_the_Hobbits", folder), HasSubstr("as in Europe"));
  EXPECT_THAT(hint_of("Europe/Berlin", "/nonexistent"), HasSubstr("install the package tzdata"));
  EXPECT_THAT(hint_of("Europe", folder), HasSubstr("not_found"));
  for (const char* name :
       {"", "/etc/passwd", "../../../etc/passwd", "Europe/../Europe/Berlin", "Europe//Berlin",
        "Europe/", ".", "Europe/.hidden", "tzdata.zi", "-x", "a b", "Europe/Berlin\n", ":UTC",
        "localtime", "posixrules", "right/Europe/Berlin", "posix/Europe/Berlin"})
    EXPECT_THAT(hint_of(name, folder), HasSubstr("invalid: name it as in")) << name;
  EXPECT_THAT(hint_of(std::string(65, 'a'), folder), HasSubstr("invalid"));
}

TEST(Zone, AFileThatIsNoneIsNamed) {
  TempFolder folder("zone-test");
  std::ofstream(folder.path() + "/Broken") << "no zone";
  EXPECT_ERROR_SAYING(corrupt, "time zone Broken (" + folder.path() + "/Broken): time zone data",
                      Zone::load("Broken", folder.path()));
  std::ofstream(folder.path() + "/Large") << std::string(kTzifBytesMax + 1, 'x');
  EXPECT_ERROR_SAYING(invalid, "larger than", Zone::load("Large", folder.path()));
}

// Every zone there is, at random instants until 2100 and about each of its transitions.
TEST(Zone, TheCLibraryAgreesOnAllZones) {
  std::mt19937_64 random(20261128);
  int zones = 0;
  std::string folder(kZoneinfoFolder);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    std::string name = entry.path().lexically_relative(folder).string();
    if (!entry.is_regular_file() || name.find('.') != std::string::npos ||
        name.starts_with("posix") || name.starts_with("right/") || name == "localtime" ||
        name == "leapseconds")
      continue;
    ++zones;
    Zone zone = Zone::load(name, folder);
    CLibraryZone other(name);
    for (sys_seconds at = utc("1970-01-01T00:00"); at < utc("2100-01-01T00:00");
         at = zone.span_at(at).end) {
      for (int i = 0; i < 3; ++i) {
        ASSERT_EQ(zone.span_at(at + seconds(i - 1)).type, other.at(at + seconds(i - 1)))
            << name << " " << format_rfc3339(at);
      }
    }
    for (int i = 0; i < 200; ++i) {
      sys_seconds at{seconds(static_cast<int64_t>(random() % 4'102'444'800))};
      ASSERT_EQ(zone.span_at(at).type, other.at(at)) << name << " " << format_rfc3339(at);
    }
  }
  EXPECT_GT(zones, 300);
}

std::vector<std::string> odd_zones() {
  return {"Europe/Berlin",     "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
          "Africa/Casablanca", "America/St_Johns", "Pacific/Apia",        "Antarctica/Troll",
          "America/Nuuk",      "Europe/Dublin",    "Africa/Cairo",        "Asia/Manila"};
}

// Back and forth, about instants of any year and about the settings of the clocks.
TEST(ZoneProperty, ThereAndBackAgain) {
  std::vector<Zone> zones;
  for (const std::string& name : odd_zones()) zones.push_back(system_zone(name));
  EXPECT_TRUE(rc::check("there and back", [&] {
    const Zone& zone = zones[any_of_range<size_t>(0, zones.size())];
    sys_seconds at{seconds(any_of_range<int64_t>(-4'200'000'000, 7'000'000'000))};
    if (*rc::gen::arbitrary<bool>())
      at = std::min(zone.span_at(at).end, utc("2200-01-01T00:00")) +
           seconds(any_of_range(-100'000, 100'000));
    ZoneSpan span = zone.span_at(at);
    RC_ASSERT(span.begin <= at && at < span.end);
    RC_ASSERT(zone.span_at(span.begin).type == span.type);
    RC_ASSERT(zone.span_at(span.end - seconds(1)).begin == span.begin);
    local_seconds here = span.local(at);
    LocalInstants instants = zone.find(here);
    RC_ASSERT(instants.kind != Kind::gap);
    RC_ASSERT(instants.first <= at && at <= instants.last);
    RC_ASSERT((instants.kind == Kind::once) == (instants.first == instants.last));
    for (sys_seconds instant : {instants.first, instants.last})
      RC_ASSERT(zone.span_at(instant).local(instant) == here);
    RC_ASSERT(zone.first_reaching(here) <= instants.first);
    // The two that schedules go by are each other's reverse.
    RC_ASSERT(zone.reached(at) >= here);
    local_seconds asked = here + seconds(any_of_range(-100'000, 100'000));
    RC_ASSERT((zone.first_reaching(asked) <= at) == (zone.reached(at) >= asked));
    if (zone.find(asked).kind == Kind::gap) {
      sys_seconds end = zone.find(asked).first;
      RC_ASSERT(zone.span_at(end).local(end) > asked);
      RC_ASSERT(zone.span_at(end - seconds(1)).local(end - seconds(1)) < asked);
    }
  }));
}

}  // namespace
}  // namespace holdfast
