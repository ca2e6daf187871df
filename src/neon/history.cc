#include "neon/history.h"

#include "neon/json_fields.h"

namespace holdfast::neon {

History read_history(std::string_view body) {
  constexpr size_t kWindowsMax = 100'000;
  JsonBounds bounds;
  bounds.values_max = 10 * kWindowsMax;
  bounds.code = ErrorCode::unavailable;
  return with_context("read the API's answer", [&] {
    Json document = parse_json(body, bounds);
    Fields fields(document, "", bounds);
    History history;
    fields.each("windows", kWindowsMax, [&](const Fields& window) {
      history.windows.push_back({window.integer_or("timeline", 0), window.text_or("from_lsn", ""),
                                 window.text_or("to_lsn", ""), window.time("from"),
                                 window.time("to")});
    });
    if (std::optional<Fields> receiving = fields.optional_object("receiving")) {
      history.receiving = receiving->boolean_or("ok", true);
      history.trouble = receiving->text_or("trouble", "");
      history.lag_bytes = receiving->integer_or("lag_bytes", 0);
      history.caught_up_at = receiving->optional_time("caught_up_at");
      history.gaps = receiving->integer_or("gaps", 0);
    }
    return history;
  });
}

}  // namespace holdfast::neon
