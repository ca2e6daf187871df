// What every ObjectStore promises, as one GoogleTest suite that any implementation or decorator is
// run against (tests only). To add one, write a fixture type that is default-constructible and
// whose `ObjectStore& store()` is a fresh, empty store, and say
//   INSTANTIATE_TYPED_TEST_SUITE_P(Local, StoreContract, LocalStoreFixture);
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/expect_error.h"
#include "store/object_store.h"

namespace holdfast {

inline bool clear_all(const std::string&, UtcTime) {
  return true;
}

// `size` bytes that do not repeat in a way that hides misplaced parts.
inline std::string patterned_bytes(size_t size, uint32_t seed = 1) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) {
    seed = seed * 1664525 + 1013904223;
    byte = static_cast<char>(seed >> 24);
  }
  return bytes;
}

template <typename Fixture>
class StoreContract : public testing::Test {
 protected:
  // A fixture that needs a server from outside says so by a static `missing()`.
  void SetUp() override {
    if constexpr (requires { Fixture::missing(); }) {
      if (Fixture::missing()) GTEST_SKIP() << "no server is named for it";
    }
  }
  ObjectStore& store() { return fixture_.store(); }

  void put(const std::string& name, std::string_view content) {
    write_object(store(), name, as_bytes(content));
  }
  std::string get(const std::string& name) { return read_object(store(), name, 1 << 30); }
  std::vector<std::string> names(const std::string& prefix = "") {
    std::vector<std::string> found;
    for (const ObjectInfo& object : store().list(prefix)) found.push_back(object.name);
    return found;
  }

 private:
  Fixture fixture_;
};

TYPED_TEST_SUITE_P(StoreContract);

TYPED_TEST_P(StoreContract, NewStoreIsEmpty) {
  EXPECT_TRUE(this->names().empty());
  EXPECT_FALSE(this->store().location().empty());
  EXPECT_ERROR(not_found, this->store().head("a.dump"));
  EXPECT_ERROR(not_found, this->store().open("a.dump"));
}

TYPED_TEST_P(StoreContract, WhatIsWrittenIsRead) {
  for (size_t size : {0, 1, 4096, 300'000, 20'000'000}) {
    std::string name = "object-" + std::to_string(size);
    std::string content = patterned_bytes(size, static_cast<uint32_t>(size));
    this->put(name, content);
    EXPECT_TRUE(this->get(name) == content) << size;
    EXPECT_EQ(this->store().head(name).bytes, size);
    EXPECT_EQ(this->store().head(name).name, name);
  }
}

TYPED_TEST_P(StoreContract, WritesOfAnySizeJoin) {
  std::string content = patterned_bytes(6'000'000);
  std::unique_ptr<ObjectWriter> writer = this->store().put("joined");
  size_t sizes[] = {0, 1, 5, 100, 4096, 262'143, 262'144, 262'145, 1'000'000};
  size_t at = 0;
  for (size_t i = 0; at < content.size(); ++i) {
    std::string_view part = std::string_view(content).substr(at, sizes[i % std::size(sizes)]);
    writer->write(as_bytes(part));
    at += part.size();
  }
  writer->commit();
  EXPECT_TRUE(this->get("joined") == content);
}

TYPED_TEST_P(StoreContract, RangesAreReadExactly) {
  std::string content = patterned_bytes(1'000'000);
  this->put("ranges", content);
  std::unique_ptr<ObjectReader> reader = this->store().open("ranges");
  EXPECT_EQ(reader->size(), content.size());
  auto range = [&](uint64_t offset, size_t size) {
    std::string out(size, '\0');
    out.resize(reader->read(offset, reinterpret_cast<uint8_t*>(out.data()), size));
    return out;
  };
  EXPECT_EQ(range(0, 10), content.substr(0, 10));
  EXPECT_EQ(range(999'990, 10), content.substr(999'990));
  EXPECT_TRUE(range(123'456, 500'000) == content.substr(123'456, 500'000));
  EXPECT_EQ(range(999'990, 100), content.substr(999'990));  // fewer only at the end
  EXPECT_EQ(range(1'000'000, 1), "");
  EXPECT_EQ(range(uint64_t{1} << 40, 1), "");
  EXPECT_EQ(range(5, 0), "");
}

TYPED_TEST_P(StoreContract, InvisibleUntilCommitted) {
  std::unique_ptr<ObjectWriter> writer = this->store().put("slow");
  writer->write(as_bytes(patterned_bytes(3'000'000)));
  EXPECT_TRUE(this->names().empty());
  EXPECT_ERROR(not_found, this->store().head("slow"));
  EXPECT_ERROR(not_found, this->store().open("slow"));
  writer->commit();
  EXPECT_EQ(this->names(), std::vector<std::string>{"slow"});
}

TYPED_TEST_P(StoreContract, AbandonedWriterLeavesNothing) {
  this->store().put("abandoned")->write(as_bytes(patterned_bytes(3'000'000)));
  EXPECT_TRUE(this->names().empty());
  EXPECT_EQ(this->store().reap_unfinished(clear_all), 0u);
  this->put("abandoned", "second try");
  EXPECT_EQ(this->get("abandoned"), "second try");
}

TYPED_TEST_P(StoreContract, AnObjectIsNeverReplaced) {
  this->put("once", "first");
  EXPECT_ERROR(exists, this->put("once", "second"));
  EXPECT_EQ(this->get("once"), "first");
}

TYPED_TEST_P(StoreContract, OfTwoWritersTheFirstToCommitWins) {
  std::unique_ptr<ObjectWriter> one = this->store().put("race");
  std::unique_ptr<ObjectWriter> two = this->store().put("race");
  one->write(as_bytes("one"));
  two->write(as_bytes("two"));
  two->commit();
  EXPECT_ERROR(exists, one->commit());
  one.reset();
  EXPECT_EQ(this->get("race"), "two");
}

TYPED_TEST_P(StoreContract, ListIsSortedAndByPrefix) {
  for (const char* name : {"b", "a.dump", "a.manifest.json", "backups/a.dump", "backups/x/y", "B"})
    this->put(name, name);
  using Names = std::vector<std::string>;
  EXPECT_EQ(this->names(),
            (Names{"B", "a.dump", "a.manifest.json", "b", "backups/a.dump", "backups/x/y"}));
  EXPECT_EQ(this->names("a."), (Names{"a.dump", "a.manifest.json"}));
  EXPECT_EQ(this->names("backups/"), (Names{"backups/a.dump", "backups/x/y"}));
  EXPECT_EQ(this->names("back"), (Names{"backups/a.dump", "backups/x/y"}));
  EXPECT_EQ(this->names("backups/x/"), (Names{"backups/x/y"}));
  EXPECT_EQ(this->names("c"), Names{});
  ObjectInfo info = this->store().list("backups/x/").at(0);
  EXPECT_EQ(info.bytes, 11u);
  EXPECT_EQ(info.modified, this->store().head("backups/x/y").modified);
  EXPECT_GT(format_rfc3339(info.modified), "2024");
}

TYPED_TEST_P(StoreContract, NamesWithOddCharactersWork) {
  for (const char* name : {"a b+c%2F=@~-_.dump", "größe_日本.dump", "sub folder/ü", "-x", "~"}) {
    this->put(name, name);
    EXPECT_EQ(this->get(name), name);
    EXPECT_EQ(this->names(name), std::vector<std::string>{name});
    this->store().remove(name);
  }
  EXPECT_TRUE(this->names().empty());
}

TYPED_TEST_P(StoreContract, BadNamesAreRefused) {
  std::string bad[] = {"",
                       "/a",
                       "a/",
                       "a//b",
                       "..",
                       "../a",
                       "a/../b",
                       ".hidden",
                       "a/.b",
                       "a\nb",
                       "a:b",
                       "a\\b",
                       "a\"b",
                       "\x80",
                       "\xC0\xAF",
                       std::string("a\0b", 3),
                       "a*",
                       std::string(300, 'a'),
                       std::string(1030, 'b')};
  for (const std::string& name : bad) {
    SCOPED_TRACE(name);
    EXPECT_ERROR(invalid, this->store().put(name));
    EXPECT_ERROR(invalid, this->store().open(name));
    EXPECT_ERROR(invalid, this->store().head(name));
    EXPECT_ERROR(invalid, this->store().remove(name));
  }
  EXPECT_TRUE(this->names().empty());
}

TYPED_TEST_P(StoreContract, RemoveIsRepeatable) {
  this->put("gone", "x");
  this->put("stays", "y");
  this->store().remove("gone");
  this->store().remove("gone");
  this->store().remove("never/was");
  EXPECT_EQ(this->names(), std::vector<std::string>{"stays"});
  this->put("gone", "again");
  EXPECT_EQ(this->get("gone"), "again");
}

TYPED_TEST_P(StoreContract, CheckWritableLeavesNothing) {
  this->store().check_writable(1);
  EXPECT_TRUE(this->names().empty());
  EXPECT_EQ(this->store().reap_unfinished(clear_all), 0u);
  this->put("a", "a");
  this->store().check_writable(1000);
  EXPECT_EQ(this->names(), std::vector<std::string>{"a"});
}

TYPED_TEST_P(StoreContract, ReapRemovesOnlyTheUnfinished) {
  this->put("whole", "x");
  this->put("sub/whole", "y");
  std::unique_ptr<ObjectWriter> one = this->store().put("half");
  std::unique_ptr<ObjectWriter> two = this->store().put("sub/half");
  one->write(as_bytes(patterned_bytes(1'000'000)));
  EXPECT_EQ(this->store().reap_unfinished(clear_all), 2u);
  EXPECT_EQ(this->store().reap_unfinished(clear_all), 0u);
  EXPECT_THROW(one->commit(), Error);  // what was reaped cannot come back
  EXPECT_EQ(this->names(), (std::vector<std::string>{"sub/whole", "whole"}));
  EXPECT_EQ(this->get("whole"), "x");
}

TYPED_TEST_P(StoreContract, ReadObjectIsBounded) {
  this->put("eleven", "elevenbytes");
  EXPECT_EQ(read_object(this->store(), "eleven", 11), "elevenbytes");
  EXPECT_ERROR(corrupt, read_object(this->store(), "eleven", 10));
}

TYPED_TEST_P(StoreContract, ThreadsDoNotDisturbEachOther) {
  constexpr int kThreads = 4, kObjects = 12;
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([this, t] {
      for (int i = 0; i < kObjects; ++i) {
        std::string name = fmt::format("t{}/{}", t, i);
        std::string content = patterned_bytes(50'000, static_cast<uint32_t>(t * 100 + i));
        this->put(name, content);
        EXPECT_TRUE(this->get(name) == content);
        // Its own that are left; those of the others come and go.
        EXPECT_GE(this->names(fmt::format("t{}/", t)).size(), static_cast<size_t>(i + 1 - i / 2));
        if (i % 2 == 1) this->store().remove(name);
      }
    });
  threads.clear();
  EXPECT_EQ(this->names().size(), static_cast<size_t>(kThreads * kObjects / 2));
}

TYPED_TEST_P(StoreContract, OneReaderServesManyThreads) {
  std::string content = patterned_bytes(2'000'000);
  this->put("shared", content);
  std::unique_ptr<ObjectReader> reader = this->store().open("shared");
  std::vector<std::jthread> threads;
  for (size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (size_t at = t * 1000; at + 1000 <= content.size(); at += 4000) {
        std::string part(1000, '\0');
        ASSERT_EQ(reader->read(at, reinterpret_cast<uint8_t*>(part.data()), 1000), 1000u);
        ASSERT_TRUE(part == content.substr(at, 1000)) << at;
      }
    });
}

REGISTER_TYPED_TEST_SUITE_P(StoreContract, NewStoreIsEmpty, WhatIsWrittenIsRead,
                            WritesOfAnySizeJoin, RangesAreReadExactly, InvisibleUntilCommitted,
                            AbandonedWriterLeavesNothing, AnObjectIsNeverReplaced,
                            OfTwoWritersTheFirstToCommitWins, ListIsSortedAndByPrefix,
                            NamesWithOddCharactersWork, BadNamesAreRefused, RemoveIsRepeatable,
                            CheckWritableLeavesNothing, ReapRemovesOnlyTheUnfinished,
                            ReadObjectIsBounded, ThreadsDoNotDisturbEachOther,
                            OneReaderServesManyThreads);

}  // namespace holdfast
