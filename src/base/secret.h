// A string that must never be shown. It has no stream operator and no formatter, so logging one is
// a compile error; whoever needs the value says `reveal()` and is easy to find by that word.
#pragma once

#include <string>
#include <utility>

namespace holdfast {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  const std::string& reveal() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  std::string value_;
};

}  // namespace holdfast
