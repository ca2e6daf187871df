#include "schedule/posix_tz.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::local_days;
using std::chrono::minutes;
using std::chrono::seconds;
using std::chrono::year;

// Reads from the front of a rule; the errors name the whole of it.
class RuleReader {
 public:
  explicit RuleReader(std::string_view text) : text_(text), rest_(text) {}

  bool at_end() const { return rest_.empty(); }
  bool next_is(char c) const { return rest_.starts_with(c); }
  bool take(char c) {
    if (!next_is(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) throw broken();
  }

  // "CET", "<+0545>"
  std::string name() {
    bool quoted = take('<');
    size_t size = 0;
    while (size < rest_.size() && is_name(rest_[size], quoted)) ++size;
    if (size < 3 || size > 16) throw broken();
    std::string name(rest_.substr(0, size));
    rest_.remove_prefix(size);
    if (quoted) expect('>');
    return name;
  }

  int number(int low, int high) {
    size_t size = 0;
    int value = 0;
    for (; size < rest_.size() && size < 3 && is_digit(rest_[size]); ++size)
      value = value * 10 + (rest_[size] - '0');
    if (size == 0 || value < low || value > high) throw broken();
    rest_.remove_prefix(size);
    return value;
  }

  // "-3:30", "167:59:59"
  seconds time(int hours_max) {
    int sign = take('-') ? -1 : 1;
    if (sign > 0) take('+');
    seconds time = hours(number(0, hours_max));
    if (take(':')) time += minutes(number(0, 59));
    if (take(':')) time += seconds(number(0, 59));
    return time * sign;
  }

  // ",M3.5.0/3", ",J60", ",365/23"
  YearlyMoment moment() {
    expect(',');
    YearlyMoment moment;
    if (take('M')) {
      moment.month = number(1, 12);
      expect('.');
      moment.week = number(1, 5);
      expect('.');
      moment.weekday = number(0, 6);
    } else if (take('J')) {
      moment.kind = YearlyMoment::Kind::day_without_leap;
      moment.day = number(1, 365);
    } else {
      moment.kind = YearlyMoment::Kind::day_of_year;
      moment.day = number(0, 365);
    }
    if (take('/')) moment.time = time(167);
    return moment;
  }

  Error broken() const {
    return Error(ErrorCode::corrupt,
                 fmt::format("time zone data: its rule '{}' is not one", printable(text_, 60)));
  }

 private:
  static bool is_digit(char c) { return c >= '0' && c <= '9'; }
  static bool is_name(char c, bool quoted) {
    if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return true;
    return quoted && (is_digit(c) || c == '+' || c == '-');
  }

  std::string_view text_, rest_;
};

}  // namespace

std::chrono::local_seconds YearlyMoment::in(std::chrono::year in_year) const {
  local_days first{in_year / 1 / 1};
  switch (kind) {
    case Kind::month_week_day: {
      auto of_month = in_year / month;
      std::chrono::weekday wanted(static_cast<unsigned>(weekday));
      if (week == 5) return local_days{of_month / wanted[std::chrono::last]} + time;
      return local_days{of_month / wanted[static_cast<unsigned>(week)]} + time;
    }
    case Kind::day_without_leap:
      return first + days(day - 1 + (day >= 60 && in_year.is_leap() ? 1 : 0)) + time;
    case Kind::day_of_year:
      break;
  }
  return first + days(day) + time;
}

PosixZoneRule PosixZoneRule::parse(std::string_view text) {
  RuleReader reader(text);
  PosixZoneRule rule;
  rule.standard_.abbreviation = reader.name();
  rule.standard_.offset = -reader.time(24);  // POSIX counts westwards
  if (reader.at_end()) return rule;
  ZoneType daylight{rule.standard_.offset + hours(1), true, reader.name()};
  if (!reader.next_is(',')) daylight.offset = -reader.time(24);
  rule.daylight_ = daylight;
  rule.starts_ = reader.moment();
  rule.ends_ = reader.moment();
  if (!reader.at_end()) throw reader.broken();
  return rule;
}

void PosixZoneRule::add_changes(year in_year, std::vector<Change>& changes) const {
  auto utc_of = [&](const YearlyMoment& moment, const ZoneType& before) {
    return std::chrono::sys_seconds{moment.in(in_year).time_since_epoch() - before.offset};
  };
  changes.push_back({utc_of(starts_, standard_), &*daylight_});
  changes.push_back({utc_of(ends_, *daylight_), &standard_});
}

PosixZoneRule::Around PosixZoneRule::at(std::chrono::sys_seconds time) const {
  if (!daylight_) return {std::nullopt, std::nullopt, &standard_};
  // A moment can lie up to eight days outside its year, so one more year on each side has one that
  // is certainly before, and one that is certainly after.
  std::chrono::year_month_day date{std::chrono::floor<days>(time)};
  std::vector<Change> changes;
  changes.reserve(10);
  for (int i = -2; i <= 2; ++i) add_changes(date.year() + std::chrono::years(i), changes);
  // Where one time ends as the other begins, it never was: that is how daylight saving time all
  // year is written (RFC 8536, section 3.3.1), so that it wins.
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return std::pair(a.at, a.type->dst) < std::pair(b.at, b.type->dst);
  });
  auto next =
      std::upper_bound(changes.begin(), changes.end(), time,
                       [](auto wanted, const Change& change) { return wanted < change.at; });
  return {std::prev(next)->at, next->at, std::prev(next)->type};
}

}  // namespace holdfast
