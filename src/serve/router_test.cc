// Routes, targets and errors: the pure parts of the API server.
#include "serve/router.h"

#include <gtest/gtest.h>

#include <regex>

#include "base/expect_error.h"
#include "base/text.h"
#include "engine/ids.h"
#include "neon/json.h"
#include "serve/api_errors.h"
#include "serve/http_listen.h"
#include "serve/text_diff.h"
#include "serve/web_target.h"

namespace holdfast {
namespace {

Router some_router() {
  Router router("/api", [](const RouteCall& call) {
    if (!call.parameters.empty() && call.parameters[0].second == "none")
      throw Error(ErrorCode::not_found, "thing not found");
  });
  auto says = [](const char* word) {
    return [word](const RouteCall& call) {
      WebResponse response;
      response.body = word;
      for (const auto& [name, value] : call.parameters) response.body += " " + name + "=" + value;
      return response;
    };
  };
  router.add("GET", "/things/{thing_id}", says("get"));
  router.add("DELETE", "/things/{thing_id}", says("delete"));
  router.add("GET", "/things/count", says("count"));
  router.add("GET", "/things/{thing_id}/parts/{part_name}", says("part"));
  return router;
}

WebResponse route(const std::string& method, const std::string& path) {
  WebRequest request;
  request.method = method;
  request.path = path;
  request.request_id = "r1";
  return some_router().route(request);
}

TEST(RouterTest, TheClosestPatternWins) {
  EXPECT_EQ(route("GET", "/api/things/a-1").body, "get thing_id=a-1");
  EXPECT_EQ(route("GET", "/api/things/count").body, "count");
  EXPECT_EQ(route("HEAD", "/api/things/count").body, "count");
  EXPECT_EQ(route("GET", "/api/things/a/parts/B c").body, "part thing_id=a part_name=B c");
  EXPECT_EQ(route("GET", "/api/things/a").route, "/things/{thing_id}");
}

TEST(RouterTest, WhatIsNotThereSaysSo) {
  for (const char* path : {"/", "/api", "/apix", "/api/things", "/api/things/a/b", "/things/a"}) {
    EXPECT_EQ(route("GET", path).status, 404) << path;
    EXPECT_EQ(neon::read_error(route("GET", path).body).message, "this route does not exist");
  }
  WebResponse wrong = route("PUT", "/api/things/a");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.headers.at(0),
            (std::pair<std::string, std::string>("Allow", "DELETE, GET, HEAD, OPTIONS")));
  EXPECT_EQ(route("OPTIONS", "/api/things/a").status, 204);
  // A method of a pattern that is farther away is not this path's.
  EXPECT_EQ(route("DELETE", "/api/things/count").status, 405);
}

TEST(RouterTest, IdsAreCheckedAndErrorsBecomeAnswers) {
  EXPECT_EQ(route("GET", "/api/things/A").status, 400);
  EXPECT_NE(neon::read_error(route("GET", "/api/things/A").body).message.find("thing_id"),
            std::string::npos);
  WebResponse gone = route("GET", "/api/things/none");
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(neon::read_error(gone.body).message, "thing not found");
  EXPECT_EQ(neon::read_error(gone.body).request_id, "r1");
  EXPECT_EQ(gone.route, "/things/{thing_id}");
}

TEST(ApiErrorsTest, CodesHintsAndRetries) {
  auto answer = [](ErrorCode code, const char* message, const char* hint = "") {
    return error_response(Error(code, message, hint), "r");
  };
  EXPECT_EQ(answer(ErrorCode::exists, "branch already exists").status, 409);
  WebResponse full = answer(ErrorCode::violated, "BRANCHES_LIMIT_EXCEEDED: no more", "delete one");
  EXPECT_EQ(full.status, 422);
  EXPECT_EQ(neon::read_error(full.body).code, "BRANCHES_LIMIT_EXCEEDED");
  EXPECT_EQ(neon::read_error(full.body).message, "no more (hint: delete one)");
  EXPECT_EQ(neon::read_error(answer(ErrorCode::invalid, "T: x").body).message, "T: x");
  EXPECT_EQ(neon::read_error(answer(ErrorCode::invalid, "Bad: x").body).code, "");
  WebResponse busy = answer(ErrorCode::busy, "wait");
  EXPECT_EQ(busy.status, 423);
  EXPECT_EQ(busy.headers.at(0).first, "Retry-After");
}

WebRequest target(const std::string& text) {
  WebRequest request;
  parse_target(text, request);
  return request;
}

TEST(WebTargetTest, IsDecodedOnceAndStrictly) {
  WebRequest request = target("/a%20b/c?x=1%2B2&y=a+b&x=3&flag&=v");
  EXPECT_EQ(request.path, "/a b/c");
  EXPECT_EQ(*request.parameter("x"), "1+2");
  EXPECT_EQ(*request.parameter("y"), "a b");
  EXPECT_EQ(*request.parameter("flag"), "");
  EXPECT_EQ(request.parameter("z"), nullptr);
  EXPECT_EQ(target("/%2541").path, "/%41");
  EXPECT_EQ(target("/").path, "/");
  for (const char* bad :
       {"",     "a",           "*",      "http://x/", "//",   "/a//b",   "/a/",      "/./a",
        "/..",  "/a/%2e%2e/b", "/a%2fb", "/a%2Fb",    "/%",   "/%1",     "/%zz",     "/%00",
        "/%0a", "/a\x7f",      "/%ff",   "/\xc3",     "/a?%", "/a?x=%0", "/a?x=%00", "/a?x=%ff"})
    EXPECT_ERROR(invalid, target(bad));
  std::string many = "/a?";
  for (int i = 0; i < 101; ++i) many += "a&";
  EXPECT_ERROR(invalid, target(many));
}

TEST(WebTargetTest, RequestIds) {
  EXPECT_TRUE(is_request_id("a-1"));
  for (const std::string& bad : {std::string(), std::string("a b"), std::string(129, 'x'),
                                 std::string("\xc3\xa9"), std::string("a\n")})
    EXPECT_FALSE(is_request_id(bad));
  std::regex uuid("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}");
  for (int i = 0; i < 50; ++i)
    EXPECT_TRUE(std::regex_match(make_request_uuid(), uuid)) << make_request_uuid();
}

TEST(ListenAddressTest, IsHostAndPort) {
  EXPECT_EQ(parse_listen_address("127.0.0.1:8474").port, 8474);
  EXPECT_EQ(parse_listen_address("[::1]:0").host, "::1");
  for (const char* bad :
       {"", ":1", "1", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "::1:80", "a:-1", "a:1 "})
    EXPECT_ERROR(invalid, parse_listen_address(bad));
  EXPECT_TRUE(is_loopback("127.1.2.3") && is_loopback("::1") && is_loopback("localhost"));
  EXPECT_FALSE(is_loopback("0.0.0.0") || is_loopback("10.0.0.1") || is_loopback("::"));
}

// What `diff -u` says, without its head.
std::string hunks(const std::string& before, const std::string& after) {
  std::string diff = unified_diff(before, after, "db");
  if (diff.empty()) return diff;
  std::string head = "--- a/db\n+++ b/db\n";
  EXPECT_EQ(diff.substr(0, head.size()), head);
  return diff.substr(head.size());
}

TEST(TextDiffTest, IsThatOfDiff) {
  EXPECT_EQ(hunks("a\nb\n", "a\nb\n"), "");
  EXPECT_EQ(hunks("", "a\n"), "@@ -0,0 +1 @@\n+a\n");
  EXPECT_EQ(hunks("a\n", ""), "@@ -1 +0,0 @@\n-a\n");
  EXPECT_EQ(hunks("1\n2\n3\n4\n5\n6\n7\n8\n9\n", "1\n2\n3\n4\n5x\n6\n7\n8\n9\n"),
            "@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+5x\n 6\n 7\n 8\n");
  EXPECT_EQ(hunks("a\nb\nc\n", "a\nc\nd\n"), "@@ -1,3 +1,3 @@\n a\n-b\n c\n+d\n");
  EXPECT_EQ(hunks("a", "a\n"), "@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n");
}

// Applies a diff as `patch` would.
std::string patched(const std::string& before, const std::string& diff) {
  std::string after;
  size_t at = 0;
  auto line_at = [](const std::string& text, size_t from) {
    size_t end = text.find('\n', from);
    return text.substr(from, end == text.npos ? text.npos : end + 1 - from);
  };
  size_t line_number = 1;
  for (size_t i = 0; i < diff.size();) {
    std::string line = line_at(diff, i);
    i += line.size();
    if (line[0] == '@') {
      size_t first = std::stoul(line.substr(4)), count = 1;
      size_t comma = line.find(',');
      if (comma < line.find('+')) count = std::stoul(line.substr(comma + 1));
      if (count == 0) ++first;
      for (; line_number < first; ++line_number) {
        std::string kept = line_at(before, at);
        after += kept;
        at += kept.size();
      }
      continue;
    }
    if (line[0] != '+') {
      EXPECT_EQ(line_at(before, at), line.substr(1));
      at += line.size() - 1;
      ++line_number;
    }
    if (line[0] != '-') after += line.substr(1);
  }
  return after + before.substr(at);
}

TEST(TextDiffTest, MakesTheOneTextOfTheOther) {
  uint32_t state = 1;
  auto random = [&](uint32_t below) {
    state = state * 1664525 + 1013904223;
    return (state >> 8) % below;
  };
  for (int round = 0; round < 300; ++round) {
    std::string texts[2];
    for (std::string& text : texts)
      for (uint32_t i = random(40); i > 0; --i)
        text += std::string(1, static_cast<char>('a' + random(4))) + "\n";
    EXPECT_EQ(patched(texts[0], hunks(texts[0], texts[1])), texts[1]);
  }
  std::string left, right;  // nothing in common, beyond the bound of the search
  for (int i = 0; i < 3000; ++i) {
    left += "l" + std::to_string(i) + "\n";
    right += "r" + std::to_string(i) + "\n";
  }
  EXPECT_EQ(patched(left, hunks(left, right)), right);
}

}  // namespace
}  // namespace holdfast
