// A request of the API: method, target and body (separated by line breaks) through the target's
// parser, the router and the handlers, over an engine without PostgreSQL. Whatever the bytes, there
// is an answer; it is JSON with a message unless it is a success; and nothing of the target or the
// body is in what is logged of it.
#include <memory>

#include "base/file.h"
#include "expect.h"
#include "neon/json.h"
#include "serve/api.h"
#include "serve/engine_fake.h"
#include "serve/web_target.h"

namespace {

using namespace holdfast;

struct Subject {
  TempFolder folder{"fuzz-api"};
  SystemClock clock;
  NullLog log;
  ApiKeys keys{keys_path(folder.path()), clock};
};

std::string_view take_line(std::string_view& text) {
  size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static Subject subject;
  FakeEngine engine;  // a new one each time, so that every input says the same
  engine.slow_ms = 0;
  Api api(engine, subject.keys, subject.log);
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  WebRequest request;
  request.request_id = "r";
  request.method = take_line(rest);
  std::string_view target = take_line(rest);
  request.body = rest;
  try {
    parse_target(target, request);
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::invalid);
    return 0;
  }
  FUZZ_EXPECT(request.path.find("/../") == std::string::npos);
  FUZZ_EXPECT(request.path.find('\0') == std::string::npos);
  // Keys are not the engine's: POSTs of them would fill the disk with those of every input.
  if (request.path.starts_with(std::string(kApiPrefix) + "/api_keys")) return 0;
  FUZZ_EXPECT(api.admit(request).has_value());
  WebResponse response;
  try {
    response = api.handle(request);
  } catch (const std::runtime_error&) {  // the engine's own, for a branch called "broken"
    return 0;
  }
  FUZZ_EXPECT(response.status >= 200 && response.status < 500);
  if (response.status >= 400) FUZZ_EXPECT(!neon::read_error(response.body).message.empty());
  FUZZ_EXPECT(response.route.empty() || response.route.find("{") != std::string::npos ||
              request.path.ends_with(response.route));
  return 0;
}
