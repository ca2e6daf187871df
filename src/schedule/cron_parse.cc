#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "schedule/cron.h"
#include "schedule/cron_fields.h"

namespace holdfast {
namespace {

// Longer than any that a person writes: a list of all minutes has 169.
constexpr size_t kCronBytesMax = 400;

constexpr std::array<std::string_view, 12> kMonthNames = {"jan", "feb", "mar", "apr", "may", "jun",
                                                          "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kWeekdayNames = {"sun", "mon", "tue", "wed",
                                                           "thu", "fri", "sat"};

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> kCronWords = {
    {{"@hourly", "0 * * * *"},
     {"@daily", "0 0 * * *"},
     {"@midnight", "0 0 * * *"},
     {"@weekly", "0 0 * * 0"},
     {"@monthly", "0 0 1 * *"},
     {"@yearly", "0 0 1 1 *"},
     {"@annually", "0 0 1 1 *"}}};

constexpr std::string_view kExample =
    "minute, hour, day of month, month, weekday: `0 2 * * *` is every night at two";

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string& line : split(text, '\t'))
    for (std::string& word : split(line, ' '))
      if (!word.empty()) words.push_back(std::move(word));
  return words;
}

}  // namespace

// Reads one expression; the errors it throws name the whole of it and the field.
class CronReader {
 public:
  explicit CronReader(std::string_view text) : text_(trim(text)) {}

  CronSchedule read() {
    if (text_.size() > kCronBytesMax)
      throw refusal(fmt::format("is longer than {} bytes", kCronBytesMax), std::string(kExample));
    if (text_.starts_with('@')) text_ = expanded(text_);
    std::vector<std::string> fields = words_of(text_);
    if (fields.size() != kCronFields.size()) throw wrong_count(fields.size());
    for (size_t i = 0; i < fields.size(); ++i) {
      field_ = &kCronFields[i];
      schedule_.sets_[i] = read_field(fields[i]);
    }
    field_ = nullptr;
    settle_days(fields[kCronDay].starts_with('*') || fields[kCronWeekday].starts_with('*'));
    if (!schedule_.either_day_) check_that_it_comes();
    return schedule_;
  }

 private:
  void settle_days(bool any_star) {
    if (any_star) return;
    auto names_all = [&](CronFieldIndex i) {
      return schedule_.sets_[i] == cron_all(kCronFields[i]);
    };
    schedule_.either_day_ = !names_all(kCronDay) && !names_all(kCronWeekday);
    if (schedule_.either_day_) return;
    // One is enough, and one of them names every day there is: `1-31` and `mon`.
    for (CronFieldIndex i : {kCronDay, kCronWeekday}) schedule_.sets_[i] = cron_all(kCronFields[i]);
  }

  // Every date falls on every weekday some year, so that only the day and the month can clash.
  void check_that_it_comes() const {
    constexpr std::array<int, 12> kDays = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    for (size_t month = 1; month <= 12; ++month) {
      uint64_t possible = (uint64_t{2} << kDays[month - 1]) - 2;
      if ((schedule_.sets_[kCronMonth] >> month & 1) != 0 &&
          (schedule_.sets_[kCronDay] & possible) != 0)
        return;
    }
    throw refusal("never comes: its months have no such day",
                  "choose a day that one of the months has; `0 2 28-31 * *` is every month's end");
  }

  std::string_view expanded(std::string_view word) const {
    std::vector<std::string> known;
    for (const auto& [name, fields] : kCronWords) {
      if (lower(word) == name) return fields;
      known.emplace_back(name);
    }
    std::string near = nearest_word(lower(word), known);
    throw refusal("is not a known word",
                  near.empty() ? "known are @hourly, @daily, @weekly, @monthly and @yearly"
                               : fmt::format("did you mean {}?", near));
  }

  uint64_t read_field(const std::string& text) const {
    if (text.find('*') != std::string::npos && text.find(',') != std::string::npos)
      throw misread(text, "has `*` in a list", "name the values, as in 0,15,30");
    uint64_t set = 0;
    for (const std::string& item : split(text, ',')) set |= read_item(item);
    return set;
  }

  // `*`, `a` or `a-b`; the first and the last with a step.
  uint64_t read_item(const std::string& item) const {
    size_t slash = item.find('/');
    std::string base = item.substr(0, slash);
    int first = field_->low, last = field_->high;
    size_t dash = base.find('-');
    if (base != "*") {
      first = read_value(item, base.substr(0, dash));
      last = dash == std::string::npos ? first : read_value(item, base.substr(dash + 1));
    }
    bool is_weekday = field_ == &kCronFields[kCronWeekday];
    if (is_weekday && last == 0 && first > 0) last = 7;   // fri-sun
    if (is_weekday && first == 7 && last < 7) first = 0;  // 7-2
    if (first > last)
      throw misread(item, "goes downwards",
                    fmt::format("write {}-{},{}-{}", first, field_->high, field_->low, last));
    int step = 1;
    if (slash != std::string::npos) {
      if (base != "*" && dash == std::string::npos)
        throw misread(item, "has a step without a range",
                      fmt::format("write {}-{}{}", printable(base, 20), field_->high,
                                  printable(item.substr(slash), 20)));
      step = read_step(item, item.substr(slash + 1), last - first);
    }
    uint64_t set = 0;
    for (int value = first; value <= last; value += step)
      set |= uint64_t{1} << (is_weekday ? value % 7 : value);
    return set;
  }

  int read_step(const std::string& item, const std::string& text, int step_max) const {
    int step = number_of(text);
    if (step < 1)
      throw misread(item, "has no step from 1 on behind its `/`", "as in */15, every 15th");
    if (step > step_max)
      throw misread(item, "has a step that leaves one value only",
                    fmt::format("name the value; the largest step here is {}", step_max));
    return step;
  }

  int read_value(const std::string& item, const std::string& text) const {
    int high = field_ == &kCronFields[kCronWeekday] ? 7 : field_->high;
    if (int number = number_of(text); number >= 0) {
      if (number >= field_->low && number <= high) return number;
      throw wrong(item);
    }
    std::string name = lower(text);
    if (field_ == &kCronFields[kCronMonth]) {
      auto at = std::find(kMonthNames.begin(), kMonthNames.end(), name);
      if (at != kMonthNames.end()) return static_cast<int>(at - kMonthNames.begin()) + 1;
    }
    if (field_ == &kCronFields[kCronWeekday]) {
      auto at = std::find(kWeekdayNames.begin(), kWeekdayNames.end(), name);
      if (at != kWeekdayNames.end()) return static_cast<int>(at - kWeekdayNames.begin());
    }
    throw wrong(item);
  }

  // -1 for what is no number of one or two digits.
  static int number_of(const std::string& text) {
    if (text.empty() || text.size() > 2) return -1;
    int number = 0;
    for (char c : text) {
      if (c < '0' || c > '9') return -1;
      number = number * 10 + (c - '0');
    }
    return number;
  }

  Error wrong(const std::string& found) const {
    bool of_others = found.find_first_of("?LW#H~") != std::string::npos;
    return misread(found, "is no such value",
                   of_others ? "?, L, W, #, H and ~ are of other programs; here are numbers, names "
                               "and * with - , /"
                             : std::string(kExample));
  }

  Error misread(const std::string& found, std::string_view problem, std::string hint) const {
    return refusal(
        fmt::format("'{}' {}; allowed are {}", printable(found, 60), problem, field_->allowed),
        std::move(hint));
  }

  Error wrong_count(size_t count) const {
    std::string hint(kExample);
    if (count > kCronFields.size())
      hint =
          "there are no seconds, years or commands, and the zone is a setting of its own; " + hint;
    if (text_.find('=') != std::string_view::npos)
      hint = "the zone of a schedule is a setting of its own, not a part of it";
    return refusal(fmt::format("has {}, not five", plural(count, "field")), std::move(hint));
  }

  Error refusal(const std::string& what, std::string hint) const {
    std::string shown = printable(text_, 100);
    return Error(ErrorCode::invalid,
                 field_ == nullptr
                     ? fmt::format("schedule '{}' {}", shown, what)
                     : fmt::format("schedule '{}': {}: {}", shown, field_->name, what),
                 std::move(hint));
  }

  std::string_view text_;
  const CronField* field_ = nullptr;
  CronSchedule schedule_;
};

CronSchedule CronSchedule::parse(std::string_view text) {
  return CronReader(text).read();
}

}  // namespace holdfast
