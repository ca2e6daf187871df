// For tests of the client: the API played from a script (store/scripted_http.h). Time passes only
// where the client waits, and is on the record.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/run.h"
#include "neon/retry.h"
#include "store/scripted_http.h"

namespace holdfast::neon {

// `path` of a step is the end of the URL, behind "/api/v2".
class ScriptedHttp final : public holdfast::ScriptedHttp {
 public:
  ScriptedHttp() : holdfast::ScriptedHttp("/api/v2") {}
};

// Waits move the clock; chance always takes the longest.
class ScriptedWaits final : public Waits {
 public:
  explicit ScriptedWaits(ManualClock& clock) : clock_(clock) {}
  void wait(milliseconds time, const std::stop_token&) override {
    clock_.advance(time);
    waited.push_back(time);
  }
  milliseconds up_to(milliseconds most) override { return most; }

  milliseconds total() const {
    milliseconds sum{0};
    for (milliseconds time : waited) sum += time;
    return sum;
  }
  std::vector<milliseconds> waited;

 private:
  ManualClock& clock_;
};

class KeptLog final : public Log {
 public:
  void line(LogLevel, std::string_view text) override { lines += std::string(text) + "\n"; }
  std::string lines;
};

}  // namespace holdfast::neon
