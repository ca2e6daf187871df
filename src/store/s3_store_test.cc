#include "store/s3_store.h"

#include <gtest/gtest.h>

#include <cctype>
#include <thread>

#include "store/s3_fake.h"
#include "store/s3_parts.h"
#include "store/store_contract.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

class FakeCredentials final : public CredentialSource {
 public:
  AwsCredentials get() override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  void forget() override {
    std::lock_guard lock(mutex_);
    ++forgotten_;
    now_ = next_;
  }
  void set(const AwsCredentials& now, const AwsCredentials& next) {
    std::lock_guard lock(mutex_);
    now_ = now;
    next_ = next;
  }
  int forgotten() const {
    std::lock_guard lock(mutex_);
    return forgotten_;
  }

 private:
  mutable std::mutex mutex_;
  AwsCredentials now_, next_;
  int forgotten_ = 0;
};

// A store at a fake server; waits take no time, but are noted.
struct S3Fixture {
  explicit S3Fixture(const std::function<void(S3Fake&, S3Settings&)>& change = {}) {
    fake.clock = &clock;
    credentials.set(fake.known, fake.known);
    settings.bucket = "bucket";
    settings.endpoint = std::string("http://") + S3Fake::kHost;
    settings.part_bytes_min = fake.part_bytes_min;
    settings.pause = [this](milliseconds time) {
      std::lock_guard lock(mutex);
      waits.push_back(time);
    };
    if (change) change(fake, settings);
    s3 = make_s3_store(settings, credentials, fake, clock);
  }
  ObjectStore& store() { return *s3; }

  ManualClock clock{parse_rfc3339("2026-11-10T14:30:00.123Z")};
  S3Fake fake;
  FakeCredentials credentials;
  S3Settings settings;
  std::mutex mutex;
  std::vector<milliseconds> waits;
  std::unique_ptr<ObjectStore> s3;
};

struct IgnoringServer : S3Fixture {
  IgnoringServer()
      : S3Fixture([](S3Fake& server, S3Settings&) { server.ignores_if_none_match = true; }) {}
};
struct RefusingServer : S3Fixture {
  RefusingServer()
      : S3Fixture([](S3Fake& server, S3Settings&) { server.refuses_if_none_match = true; }) {}
};
struct NoPrefix : S3Fixture {
  NoPrefix() : S3Fixture([](S3Fake&, S3Settings& s) { s.prefix = ""; }) {}
};

struct PlainServer : S3Fixture {
  PlainServer() = default;
};
INSTANTIATE_TYPED_TEST_SUITE_P(S3, StoreContract, PlainServer);
INSTANTIATE_TYPED_TEST_SUITE_P(S3IgnoresConditions, StoreContract, IgnoringServer);
INSTANTIATE_TYPED_TEST_SUITE_P(S3RefusesConditions, StoreContract, RefusingServer);
INSTANTIATE_TYPED_TEST_SUITE_P(S3NoPrefix, StoreContract, NoPrefix);

void put(ObjectStore& store, const std::string& name, const std::string& content) {
  write_object(store, name, as_bytes(content));
}

std::string header_of(const HttpHeaders& headers, std::string_view name) {
  for (const auto& [key, value] : headers)
    if (key == name) return value;
  return {};
}

TEST(S3Store, KeysHaveThePrefixAndObjectsWhatTheSettingsSay) {
  S3Fixture s3([](S3Fake&, S3Settings& settings) {
    settings.prefix = "/care/backups";
    settings.storage_class = "STANDARD_IA";
    settings.sse = "aws:kms";
    settings.kms_key = "alias/care";
    settings.object_lock = "COMPLIANCE";
  });
  PutOptions options;
  options.keep_until = parse_rfc3339("2026-12-10T14:30:00.001Z");
  write_object(s3.store(), "small.json", as_bytes("{}"), options);
  write_object(s3.store(), "large.dump", as_bytes(patterned_bytes(12 << 20)), options);
  EXPECT_EQ(s3.store().location(), "s3://bucket/care/backups");
  for (const char* key : {"care/backups/small.json", "care/backups/large.dump"}) {
    HttpHeaders headers = s3.fake.headers_of(key);
    EXPECT_EQ(header_of(headers, "x-amz-server-side-encryption"), "aws:kms");
    EXPECT_EQ(header_of(headers, "x-amz-server-side-encryption-aws-kms-key-id"), "alias/care");
    EXPECT_EQ(header_of(headers, "x-amz-object-lock-mode"), "COMPLIANCE");
    EXPECT_EQ(header_of(headers, "x-amz-object-lock-retain-until-date"), "2026-12-10T14:30:01Z");
  }
  EXPECT_EQ(header_of(s3.fake.headers_of("care/backups/large.dump"), "x-amz-storage-class"),
            "STANDARD_IA");
  EXPECT_EQ(header_of(s3.fake.headers_of("care/backups/small.json"), "x-amz-storage-class"), "");
}

TEST(S3Store, WhatIsLockedIsNotRemoved) {
  S3Fixture s3([](S3Fake&, S3Settings& settings) { settings.object_lock = "GOVERNANCE"; });
  PutOptions options;
  options.keep_until = s3.clock.now() + std::chrono::hours(24);
  write_object(s3.store(), "a.dump", as_bytes("x"), options);
  EXPECT_EQ(s3.store().head("a.dump").locked_until, parse_rfc3339("2026-11-11T14:30:01.000Z"));
  EXPECT_ERROR(denied, s3.store().remove("a.dump"));
  s3.clock.advance(std::chrono::hours(25));
  s3.store().remove("a.dump");
  EXPECT_TRUE(s3.fake.objects().empty());
}

TEST(S3Store, ListsPageByPageAndLeavesOutWhatIsNotItsOwn) {
  S3Fixture s3;
  std::vector<std::string> expected;
  for (int i = 0; i < 25; ++i) {
    put(s3.store(), fmt::format("a+b c%/ü{:02}", i), "x");
    expected.push_back(fmt::format("a+b c%/ü{:02}", i));
  }
  for (const char* key : {"backups/", "backups/folder/", "elsewhere/x", "backups/.hidden", "x"})
    s3.fake.put_object(key, "");
  std::vector<std::string> found;
  for (const ObjectInfo& object : s3.store().list("")) found.push_back(object.name);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(s3.store().list("a+b c%/ü1").size(), 10u);
}

TEST(S3Store, ReapAsksForEachUploadAndSeesAllPages) {
  S3Fixture s3;
  std::vector<std::unique_ptr<ObjectWriter>> writers;
  for (int i = 0; i < 8; ++i) writers.push_back(s3.store().put(fmt::format("half {}", i)));
  UtcTime begun{};
  size_t cleared = s3.store().reap_unfinished([&](const std::string& name, UtcTime at) {
    begun = at;
    return name != "half 5";
  });
  EXPECT_EQ(cleared, 7u);
  EXPECT_EQ(s3.fake.uploads(), 1u);
  EXPECT_EQ(format_rfc3339(begun), "2026-11-10T14:30:00.000Z");
}

TEST(S3Store, ALargeUploadIsSentInPartsAndComesBackWhole) {
  S3Fixture s3;
  std::string content = patterned_bytes(33'000'000);
  PutOptions options;
  options.bytes_expected = 1;  // wrong by far: it grows out of a single PUT
  std::unique_ptr<ObjectWriter> writer = s3.store().put("big.dump", options);
  for (size_t at = 0; at < content.size(); at += 1'000'000)
    writer->write(as_bytes(std::string_view(content).substr(at, 1'000'000)));
  writer->commit();
  EXPECT_TRUE(s3.fake.objects().at("backups/big.dump") == content);
  EXPECT_EQ(s3.fake.uploads(), 0u);

  std::unique_ptr<ObjectReader> reader = s3.store().open("big.dump");
  uint64_t before = s3.fake.requests();
  std::string back(content.size(), '\0');
  for (size_t at = 0; at < back.size();)
    at += reader->read(at, reinterpret_cast<uint8_t*>(back.data()) + at, 256 << 10);
  EXPECT_TRUE(back == content);
  EXPECT_LE(s3.fake.requests() - before, 10u);  // of 126 reads
}

// The damaged object has our token and refuses the next attempt: it goes, and is sent once more.
TEST(S3Store, ASmallObjectThatWasStoredWronglyTwiceIsRemovedAndReported) {
  S3Fixture s3;
  s3.fake.plan(2, S3Fault::keeps_damaged);  // the first looks whether the name is taken
  put(s3.store(), "once.json", "content");
  S3Fixture twice;
  for (uint64_t put_request : {2, 6}) twice.fake.plan(put_request, S3Fault::keeps_damaged);
  EXPECT_ERROR(corrupt, put(twice.store(), "care.json", "content"));
  EXPECT_TRUE(twice.fake.objects().empty());
}

TEST(S3Store, AReaderNoticesThatTheObjectWasReplaced) {
  S3Fixture s3;
  put(s3.store(), "a", "first");
  std::unique_ptr<ObjectReader> reader = s3.store().open("a");
  s3.fake.put_object("backups/a", "other");
  uint8_t out[5];
  EXPECT_ERROR(corrupt, reader->read(0, out, 5));
}

TEST(S3Store, ManyStreamsAreReadAtOnce) {
  S3Fixture s3;
  std::string content = patterned_bytes(90'000'000);
  s3.fake.put_object("backups/wide", content);
  std::unique_ptr<ObjectReader> reader = s3.store().open("wide");
  std::vector<std::jthread> threads;
  for (size_t t = 0; t < 6; ++t)
    threads.emplace_back([&, t] {
      std::string part(200'000, '\0');
      for (size_t at = t * 15'000'000; at < (t + 1) * 15'000'000; at += part.size()) {
        ASSERT_EQ(reader->read(at, reinterpret_cast<uint8_t*>(part.data()), part.size()),
                  part.size());
        ASSERT_TRUE(part == std::string_view(content).substr(at, part.size())) << at;
      }
    });
  threads.clear();
  EXPECT_LT(s3.fake.requests(), 120u);  // of 450 reads
}

TEST(S3Store, RightsToWriteAloneAreEnoughForWriting) {
  S3Fixture s3([](S3Fake& fake, S3Settings&) { fake.denies_reading = true; });
  put(s3.store(), "small", "x");
  s3.store().put("big")->commit();
  std::unique_ptr<ObjectWriter> writer = s3.store().put("large");
  writer->write(as_bytes(patterned_bytes(11 << 20)));
  writer->commit();
  EXPECT_ERROR(exists, put(s3.store(), "small", "y"));
  EXPECT_EQ(s3.fake.objects().size(), 3u);
  s3.store().check_writable(1);
  EXPECT_EQ(s3.fake.uploads(), 0u);
}

TEST(S3Store, TheRegionThatTheServerNamesIsTakenOnce) {
  S3Fixture s3([](S3Fake& fake, S3Settings&) { fake.region = "eu-central-1"; });
  put(s3.store(), "a", "x");
  EXPECT_EQ(read_object(s3.store(), "a", 10), "x");
  s3.fake.region = "ap-south-1";
  try {
    s3.store().head("a");
    FAIL() << "a second move was followed";
  } catch (const Error& error) {
    EXPECT_EQ(error.hint(), "set AWS_REGION=ap-south-1");
  }
}

// The region is part of AWS's host names: what a server names must not lead elsewhere.
TEST(S3Store, ARegionThatIsNoneIsNotFollowed) {
  S3Fixture s3([](S3Fake& fake, S3Settings&) { fake.region = "evil.test/"; });
  EXPECT_ERROR(invalid, s3.store().head("a"));
  EXPECT_EQ(s3.fake.requests(), 2u);  // HEAD, and GET for its reason
}

TEST(S3Store, RefusalsNameTheNextStep) {
  struct Case {
    const char* what;
    std::function<void(S3Fixture&)> change;
    ErrorCode code;
    const char* hint;
  };
  const Case cases[] = {
      {"wrong secret", [](S3Fixture& s3) { s3.fake.known.secret_access_key = Secret("another"); },
       ErrorCode::denied, "AWS_SECRET_ACCESS_KEY"},
      {"unknown key", [](S3Fixture& s3) { s3.fake.known.access_key_id = "AKIDOTHER"; },
       ErrorCode::denied, "AWS_ACCESS_KEY_ID"},
      {"expired for good", [](S3Fixture& s3) { s3.fake.known.session_token = Secret("new"); },
       ErrorCode::denied, "renew"},
      {"no reading", [](S3Fixture& s3) { s3.fake.denies_reading = true; }, ErrorCode::denied,
       "s3:GetObject"},
  };
  for (const Case& test : cases) {
    S3Fixture s3;
    test.change(s3);
    try {
      s3.store().head("a");
      ADD_FAILURE() << test.what;
    } catch (const Error& error) {
      EXPECT_EQ(error_code_name(error.code()), error_code_name(test.code)) << test.what;
      EXPECT_NE(error.hint().find(test.hint), std::string::npos) << test.what << error.hint();
      EXPECT_EQ(std::string(error.what()).find("fake/secret"), std::string::npos);
    }
  }
}

TEST(S3Store, AMissingBucketIsAWrongSetting) {
  S3Fixture s3([](S3Fake&, S3Settings& settings) { settings.bucket = "other"; });
  EXPECT_ERROR(invalid, s3.store().list(""));
  EXPECT_ERROR(invalid, s3.store().check_writable(1));
}

TEST(S3Store, WrongSettingsAreRefusedBeforeAnythingIsSent) {
  auto make = [](const std::function<void(S3Settings&)>& change) {
    S3Fixture s3([&](S3Fake&, S3Settings& settings) { change(settings); });
  };
  EXPECT_ERROR(invalid, make([](S3Settings& s) { s.bucket = "s3://bucket"; }));
  EXPECT_ERROR(invalid, make([](S3Settings& s) { s.endpoint = "s3.example.org"; }));
  EXPECT_ERROR(invalid, make([](S3Settings& s) { s.endpoint = "https://key@example.org"; }));
  EXPECT_ERROR(invalid, make([](S3Settings& s) { s.sse = "AES512"; }));
  EXPECT_ERROR(invalid, make([](S3Settings& s) { s.object_lock = "compliance"; }));
  EXPECT_ERROR(invalid, make([](S3Settings& s) { s.prefix = "../x"; }));
  EXPECT_ERROR(invalid, make([](S3Settings& s) { s.region = "evil.test/"; }));
}

TEST(S3Store, CredentialsThatExpireMidwayAreFetchedAnew) {
  S3Fixture s3;
  AwsCredentials renewed = s3.fake.known;
  renewed.session_token = Secret("second hour");
  std::unique_ptr<ObjectWriter> writer = s3.store().put("long.dump");
  s3.credentials.set(s3.fake.known, renewed);
  s3.fake.known = renewed;
  writer->write(as_bytes(patterned_bytes(40 << 20)));
  writer->commit();
  EXPECT_EQ(s3.fake.objects().at("backups/long.dump").size(), 40u << 20);
  EXPECT_GE(s3.credentials.forgotten(), 1);
}

TEST(S3Store, WaitsGrowWithJitterAndRetryAfterIsKept) {
  S3Fixture s3;
  for (uint64_t i = 1; i <= 4; ++i) s3.fake.plan(i, S3Fault::slow_down);
  s3.fake.plan(5, S3Fault::too_many);
  EXPECT_TRUE(s3.store().list("").empty());
  ASSERT_EQ(s3.waits.size(), 5u);
  for (size_t i = 0; i < 4; ++i) EXPECT_LE(s3.waits[i], milliseconds(300) * (1 << i));
  EXPECT_GE(s3.waits[4], milliseconds(7000));
  EXPECT_LE(s3.waits[4], milliseconds(7000));

  for (uint64_t i = 1; i <= 50; ++i) s3.fake.plan(i, S3Fault::slow_down);
  EXPECT_ERROR(unavailable, s3.store().list(""));
}

TEST(S3Store, AnInterruptEndsTheWaitingAndTheUploadIsCleared) {
  std::stop_source stop;
  S3Fixture s3([&](S3Fake&, S3Settings& settings) { settings.stop = stop.get_token(); });
  std::unique_ptr<ObjectWriter> writer = s3.store().put("half.dump");
  s3.fake.plan(1, S3Fault::slow_down);
  s3.settings.pause = {};
  stop.request_stop();
  writer->write(as_bytes(patterned_bytes(1000)));
  EXPECT_ERROR(cancelled, s3.store().list(""));
  writer.reset();
  EXPECT_EQ(s3.fake.uploads(), 0u);
}

// Where requests go, by what the transport is asked for.
TEST(S3Store, AddressesAreThoseOfTheKindOfServer) {
  struct Case {
    const char *bucket, *region, *endpoint;
    std::optional<bool> path_style;
    const char* url;
  };
  const Case cases[] = {
      {"care", "eu-central-1", "", {}, "https://care.s3.eu-central-1.amazonaws.com/backups/a%20b"},
      {"care", "cn-north-1", "", {}, "https://care.s3.cn-north-1.amazonaws.com.cn/backups/a%20b"},
      {"my.care", "us-east-1", "", {}, "https://s3.us-east-1.amazonaws.com/my.care/backups/a%20b"},
      {"care", "", "", true, "https://s3.us-east-1.amazonaws.com/care/backups/a%20b"},
      {"care", "", "http://127.0.0.1:9000/", {}, "http://127.0.0.1:9000/care/backups/a%20b"},
      {"care", "", "https://r2.test:443", false, "https://care.r2.test/backups/a%20b"},
      {"care", "", "https://gw.test/s3/", {}, "https://gw.test/s3/care/backups/a%20b"},
  };
  for (const Case& test : cases) {
    S3Fixture s3([&](S3Fake&, S3Settings& settings) {
      settings.bucket = test.bucket;
      settings.region = test.region;
      settings.endpoint = test.endpoint;
      settings.path_style = test.path_style;
    });
    EXPECT_ERROR(unavailable, s3.store().head("a b"));  // no such host in this process
    std::string url = s3.fake.seen().at(0).url;
    EXPECT_EQ(url, test.url);
    std::string host = url.substr(url.find("://") + 3);
    EXPECT_EQ(s3.fake.seen().at(0).headers.at(0),
              (std::pair<std::string, std::string>("host", host.substr(0, host.find('/')))));
  }
}

TEST(S3Store, PartsFitForAnySize) {
  constexpr uint64_t kMin = 8 << 20, kGiB = uint64_t{1} << 30;
  for (uint64_t expected : {uint64_t{0}, uint64_t{1}, kGiB, 10 * kGiB, 16 * kGiB, 100 * kGiB,
                            1000 * kGiB, 5000 * kGiB}) {
    uint64_t first = s3_first_part_bytes(expected, kMin);
    EXPECT_GE(first, kMin);
    uint64_t total = 0, equal = 0;
    for (int number = 1; number <= kS3PartsMax; ++number) {
      uint64_t size = s3_part_bytes(first, number);
      EXPECT_LE(size, kS3PartBytesMax);
      total += size;
      if (size == first) equal += size;
    }
    EXPECT_GE(total, std::min(10 * expected, 5120 * kGiB)) << expected;  // S3's largest object
    EXPECT_GE(equal, expected) << expected;  // one size, unless the estimate was wrong
    EXPECT_GE(total, 900 * kGiB / 2) << expected;
  }
  EXPECT_EQ(s3_first_part_bytes(kGiB, kMin), kMin);
}

// Every request of a whole life of a store fails once, in every way. Either the work succeeds all
// the same, or it says so; and whatever is listed is whole.
class S3Faults : public testing::TestWithParam<S3Fault> {};

struct SmallParts : S3Fixture {
  SmallParts()
      : S3Fixture([](S3Fake& server, S3Settings& s) {
          server.part_bytes_min = s.part_bytes_min = s.read_block_bytes = 64 << 10;
        }) {}
};

void put_large(ObjectStore& store, const std::string& content) {
  PutOptions options;
  options.bytes_expected = content.size();
  std::unique_ptr<ObjectWriter> writer = store.put("care.dump", options);
  writer->write(as_bytes(content));
  writer->commit();
}

std::string read_in_order(ObjectStore& store, const std::string& name) {
  std::unique_ptr<ObjectReader> reader = store.open(name);
  std::string content(reader->size(), '\0');
  for (size_t at = 0; at < content.size();)
    at += reader->read(at, reinterpret_cast<uint8_t*>(content.data()) + at, 20'000);
  return content;
}

void live(ObjectStore& store, const std::string& large, const std::string& small) {
  store.check_writable(1);
  put_large(store, large);
  put(store, "care.json", small);
  put(store, "care.claim", small);
  EXPECT_EQ(store.list("").size(), 3u);
  store.remove("care.claim");
  EXPECT_EQ(store.head("care.dump").bytes, large.size());
  EXPECT_TRUE(read_in_order(store, "care.dump") == large);
  store.reap_unfinished(clear_all);
}

TEST_P(S3Faults, EachRequestInTurnFailsAndIsSurvived) {
  const std::string large = patterned_bytes(500'000), small = "{}";
  uint64_t total = 0;
  {
    SmallParts s3;
    live(s3.store(), large, small);
    total = s3.fake.requests();
    ASSERT_GT(total, 30u);
  }
  for (uint64_t nth = 1; nth <= total; ++nth) {
    SCOPED_TRACE(nth);
    SmallParts s3;
    s3.fake.plan(nth, GetParam());
    EXPECT_NO_THROW(live(s3.store(), large, small));  // one fault is never too much
    std::map<std::string, std::string> objects = s3.fake.objects();
    EXPECT_EQ(objects.size(), 2u);
    EXPECT_TRUE(objects["backups/care.dump"] == large);
    EXPECT_EQ(objects["backups/care.json"], small);
    EXPECT_EQ(s3.fake.uploads(), 0u);
  }
}

// The server goes away at the Nth request and stays away: an error, and nothing half is listed;
// when it is back, the work can be done again.
TEST_P(S3Faults, FromSomeRequestOnAllFail) {
  const std::string large = patterned_bytes(200'000);
  for (uint64_t nth = 1; nth <= 10; ++nth) {
    SCOPED_TRACE(nth);
    SmallParts s3;
    for (uint64_t i = 0; i < 400; ++i) s3.fake.plan(nth + i, GetParam());
    bool done = true;
    try {
      put_large(s3.store(), large);
    } catch (const Error& error) {
      done = false;
      EXPECT_TRUE(error.code() == ErrorCode::unavailable || error.code() == ErrorCode::corrupt ||
                  error.code() == ErrorCode::denied)
          << error.what();
    }
    s3.fake.clear_plans();
    std::map<std::string, std::string> objects = s3.fake.objects();
    EXPECT_TRUE(!done || objects.size() == 1);
    for (const auto& [key, bytes] : objects) EXPECT_TRUE(bytes == large) << key;
    s3.store().reap_unfinished(clear_all);
    EXPECT_EQ(s3.fake.uploads(), 0u);
    s3.store().remove("care.dump");
    put(s3.store(), "care.dump", "again");
    EXPECT_EQ(read_object(s3.store(), "care.dump", 10), "again");
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, S3Faults,
                         testing::Values(S3Fault::internal_error, S3Fault::slow_down,
                                         S3Fault::too_many, S3Fault::lost_before,
                                         S3Fault::lost_after, S3Fault::cut_body,
                                         S3Fault::wrong_etag, S3Fault::expired_token,
                                         S3Fault::error_in_200));

}  // namespace
}  // namespace holdfast
