// Against the machine's own gpg; with a passphrase, which needs no keyring.
#include "seal/gpg_stream.h"

#include <gtest/gtest.h>

#include <random>

#include "base/expect_error.h"

namespace holdfast {
namespace {

SealSpec spec_with(const std::string& passphrase) {
  SealSpec spec;
  spec.method = SealMethod::passphrase;
  spec.passphrase = Secret(passphrase);
  return spec;
}

std::string random_bytes(size_t size) {
  std::mt19937_64 dice(size);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(dice());
  return bytes;
}

std::string sealed(const std::string& plain, const SealSpec& spec) {
  std::string out;
  GpgSealer sealer(spec, [&](ByteView bytes) { out.append(bytes.begin(), bytes.end()); });
  constexpr size_t kPart = 77'777;
  for (size_t at = 0; at < plain.size(); at += kPart)
    sealer.write(as_bytes(plain).subspan(at, std::min(kPart, plain.size() - at)));
  sealer.finish();
  return out;
}

struct Opened {
  std::string plain;
  std::optional<Error> failure;
  size_t taken = 0;
};

Opened open(const std::string& text, const std::string& passphrase, bool read_all = false) {
  Opened opened;
  Secret secret(passphrase);
  GpgOpener opener(
      {&secret, true},
      [&](uint8_t* out, size_t size) {
        size_t part = std::min({size, text.size() - opened.taken, size_t{50'000}});
        std::copy_n(text.data() + opened.taken, part, out);
        opened.taken += part;
        return part;
      },
      read_all);
  std::vector<uint8_t> block(100'000);
  while (size_t got = opener.read(block.data(), block.size()))
    opened.plain.append(block.begin(), block.begin() + static_cast<ptrdiff_t>(got));
  opened.failure = opener.failure();
  return opened;
}

TEST(GpgStreamTest, WhatIsSealedOpens) {
  SealSpec spec = spec_with("eight words would be better than these \\ \"ü\"");
  for (size_t size : {0, 1, 8191, 8192, 5'000'000}) {
    std::string plain = random_bytes(size), text = sealed(plain, spec);
    Opened opened = open(text, spec.passphrase.reveal());
    EXPECT_FALSE(opened.failure) << size;
    EXPECT_EQ(opened.plain, plain) << size;
    if (size >= 1000) {
      EXPECT_EQ(text.find(plain.substr(100, 16)), std::string::npos);
    }
  }
}

TEST(GpgStreamTest, AWrongPassphraseOpensNothing) {
  std::string text = sealed(random_bytes(3'000'000), spec_with("the right one"));
  Opened opened = open(text, "the wrong one", true);
  ASSERT_TRUE(opened.failure);
  EXPECT_EQ(opened.failure->code(), ErrorCode::denied);
  EXPECT_EQ(opened.plain, "");
  EXPECT_EQ(opened.taken, text.size());  // all of it was seen, as asked
}

TEST(GpgStreamTest, DamageIsNeverAGoodEnd) {
  std::string plain = random_bytes(300'000), text = sealed(plain, spec_with("a passphrase"));
  std::mt19937 dice(7);
  for (int i = 0; i < 25; ++i) {
    std::string damaged = text;
    damaged[dice() % damaged.size()] ^= static_cast<char>(1 << dice() % 8);
    Opened opened = open(damaged, "a passphrase");
    EXPECT_TRUE(opened.failure || opened.plain == plain) << i;
  }
  for (size_t size : {size_t{0}, size_t{30}, text.size() / 2, text.size() - 1}) {
    EXPECT_TRUE(open(text.substr(0, size), "a passphrase").failure) << size;
  }
  EXPECT_TRUE(open(text + "more", "a passphrase").failure);
}

TEST(GpgStreamTest, AStoreThatFailsEndsTheSealing) {
  std::string plain = random_bytes(4'000'000);
  size_t seen = 0;
  auto run = [&] {
    GpgSealer sealer(spec_with("a passphrase"), [&](ByteView bytes) {
      seen += bytes.size();
      if (seen > 1'000'000) throw Error(ErrorCode::unavailable, "the disk is full");
    });
    for (int i = 0; i < 50; ++i) sealer.write(as_bytes(plain));
    sealer.finish();
  };
  try {
    run();
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "the disk is full");
  }
  EXPECT_LT(seen, 100'000'000u);
}

TEST(GpgStreamTest, ASourceThatFailsIsThrownToTheReader) {
  std::string text = sealed(random_bytes(4'000'000), spec_with("a passphrase"));
  Secret secret("a passphrase");
  size_t at = 0;
  GpgOpener opener(
      {&secret, true},
      [&](uint8_t* out, size_t size) {
        if (at > 2'000'000) throw Error(ErrorCode::unavailable, "the store went away");
        size_t part = std::min(size, text.size() - at);
        std::copy_n(text.data() + at, part, out);
        at += part;
        return part;
      },
      false);
  std::vector<uint8_t> block(100'000);
  EXPECT_ERROR(unavailable, while (opener.read(block.data(), block.size()) > 0){});
}

TEST(GpgStreamTest, BothCanBeLeftInTheMiddle) {
  std::string plain = random_bytes(3'000'000), text = sealed(plain, spec_with("a passphrase"));
  for (int i = 0; i < 3; ++i) {
    GpgSealer sealer(spec_with("a passphrase"), [](ByteView) {});
    sealer.write(as_bytes(plain));
    Secret secret("a passphrase");
    size_t at = 0;
    GpgOpener opener(
        {&secret, true},
        [&](uint8_t* out, size_t size) {
          size_t part = std::min(size, text.size() - at);
          std::copy_n(text.data() + at, part, out);
          at += part;
          return part;
        },
        true);
    uint8_t byte = 0;
    EXPECT_EQ(opener.read(&byte, 1), 1u);
  }
}

TEST(GpgStreamTest, ARecipientThatIsNotThereIsAFailure) {
  SealSpec spec;
  spec.recipients = {std::string(40, '0')};
  EXPECT_ERROR(unavailable, sealed(random_bytes(1000), spec));
}

}  // namespace
}  // namespace holdfast
