// /healthz and /metrics: what they say, and that what they say is in Prometheus's format.
#include "serve/schedule_pages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/scheduler_fakes.h"

namespace holdfast {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const UtcTime kNow = parse_rfc3339("2026-11-10T02:00:00.000Z");

ScheduleView sample_view(const Clock& clock) {
  ScheduleView view;
  view.jobs.push_back(
      {"ca\"re\\", "backup", true, kNow, std::nullopt, kNow + std::chrono::hours(24), 3, 2});
  view.jobs.push_back(
      {"care", "drill", false, std::nullopt, std::nullopt, std::nullopt, std::nullopt, 0});
  view.last_round = clock.now();
  view.last_round_monotonic = clock.monotonic_seconds();
  return view;
}

TEST(SchedulePages, HealthIsThatTheLoopGoesOn) {
  ManualClock clock(kNow);
  EXPECT_FALSE(schedule_health({}, clock).healthy);
  ScheduleView view = sample_view(clock);
  HealthAnswer good = schedule_health(view, clock);
  EXPECT_TRUE(good.healthy);
  EXPECT_THAT(good.json, HasSubstr(R"({"status":"ok",)"));
  EXPECT_THAT(good.json, HasSubstr(R"("jobs":2,"running":1,"state_stored":true})"));
  clock.advance(kHealthOverdue);
  EXPECT_TRUE(schedule_health(view, clock).healthy);
  clock.advance(std::chrono::milliseconds(1));
  EXPECT_FALSE(schedule_health(view, clock).healthy);
  EXPECT_THAT(schedule_health(view, clock).json, HasSubstr("overdue"));
}

TEST(SchedulePages, MetricsTellWhatIsKnownAndNothingElse) {
  ManualClock clock(kNow);
  std::string text = schedule_metrics(sample_view(clock), {}, kNow);
  EXPECT_THAT(text, HasSubstr("holdfast_schedule_last_exit_code{source=\"ca\\\"re\\\\\","
                              "job=\"backup\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("holdfast_schedule_last_start_timestamp_seconds{source=\"ca\\\"re"
                              "\\\\\",job=\"backup\"} 1794276000\n"));
  EXPECT_THAT(text, HasSubstr("holdfast_schedule_missed_total{source=\"care\",job=\"drill\"} 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("last_exit_code{source=\"care\"")));
  EXPECT_THAT(text, Not(HasSubstr("last_end_timestamp_seconds")));
  EXPECT_THAT(text, Not(HasSubstr("holdfast_status_age_seconds")));
  text = schedule_metrics(sample_view(clock), {{"holdfast_x 1\n"}, kNow},
                          kNow + std::chrono::seconds(7));
  EXPECT_THAT(text, HasSubstr("holdfast_status_age_seconds 7.000\n"));
  EXPECT_THAT(text, HasSubstr("\nholdfast_x 1\n"));
  text = schedule_metrics(sample_view(clock), {}, kNow, "# TYPE holdfast_y gauge\nholdfast_y 2\n");
  EXPECT_THAT(text, HasSubstr("\n# TYPE holdfast_y gauge\nholdfast_y 2\n"));
}

TEST(SchedulePages, MetricsOfSeveralSourcesStandTogetherAndOnce) {
  std::string a = "# HELP m It is.\n# TYPE m gauge\nm{s=\"a} \\\" {\"} 1\n# TYPE n gauge\nn 1\n";
  std::string b =
      "# HELP m It is.\n# TYPE m gauge\nm{s=\"b\"} 2\n# TYPE n gauge\nn 5\nno sample\n\n!\n";
  EXPECT_EQ(join_metrics({a, b}),
            "# HELP m It is.\n# TYPE m gauge\nm{s=\"a} \\\" {\"} 1\nm{s=\"b\"} 2\n"
            "# TYPE n gauge\nn 1\n");
  std::string histogram = "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_sum 1\nh_count 1\n";
  EXPECT_EQ(join_metrics({histogram}), histogram);
}

TEST(SchedulePages, ThereAreTwoPagesToBeRead) {
  ManualClock clock(kNow);
  Ledger ledger;
  FakeHost host("a", {fake_task("backup", "0 2 * * *")}, clock, ledger);
  StatusMetrics status;
  WebHandler handler = schedule_pages(host.scheduler(), status, clock);
  auto get = [&](const std::string& method, const std::string& path) {
    WebRequest request;
    request.method = method;
    request.path = path;
    return handler(request);
  };
  EXPECT_EQ(get("GET", "/healthz").status, 503);  // no round yet
  host.round();
  EXPECT_EQ(get("GET", "/healthz").status, 200);
  EXPECT_EQ(get("HEAD", "/metrics").status, 200);
  EXPECT_THAT(get("GET", "/metrics").content_type, HasSubstr("version=0.0.4"));
  EXPECT_EQ(get("POST", "/metrics").status, 405);
  EXPECT_EQ(get("GET", "/").status, 404);
  EXPECT_EQ(get("GET", "/api/v2/projects").status, 404);
}

}  // namespace
}  // namespace holdfast
