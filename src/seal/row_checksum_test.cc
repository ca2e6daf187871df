#include "seal/row_checksum.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "base/error.h"
#include "seal/hmac.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

RowChecksum sum_of(const std::vector<std::string>& lines, size_t step) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  RowSummer summer;
  for (size_t at = 0; at < text.size(); at += step)
    summer.add_text(as_bytes(std::string_view(text).substr(at, step)));
  EXPECT_TRUE(summer.at_line_start());
  return summer.sum();
}

TEST(RowSummer, OrderAndCutsDoNotMatter) {
  std::vector<std::string> lines;
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) lines.emplace_back(random() % 700, static_cast<char>('a' + i % 26));
  lines.emplace_back();
  RowChecksum expected = sum_of(lines, 1 << 20);
  EXPECT_EQ(expected.rows, lines.size());
  for (size_t step : {1u, 7u, 100u, 4096u}) {
    std::shuffle(lines.begin(), lines.end(), random);
    EXPECT_EQ(sum_of(lines, step), expected) << step;
  }
}

TEST(RowSummer, WholeLinesAndTextAgree) {
  RowSummer by_line, by_text;
  by_line.add_line(as_bytes("a\tb"));
  by_line.add_line(as_bytes(""));
  by_text.add_text(as_bytes("a\tb\n\n"));
  EXPECT_EQ(by_line.sum(), by_text.sum());
}

TEST(RowSummer, ADoubledRowIsSeen) {
  EXPECT_NE(sum_of({"x", "y", "y"}, 9).sum_hex(), sum_of({"x", "x", "x"}, 9).sum_hex());
  EXPECT_NE(sum_of({"x", "x"}, 9).sum_hex(), sum_of({"y", "y"}, 9).sum_hex());
}

TEST(RowChecksum, HexRoundTripAndCarry) {
  RowChecksum sum;
  sum.add_hash(~uint64_t{0}, 5);
  sum.add_hash(1, 0);
  EXPECT_EQ(sum.low, 0u);
  EXPECT_EQ(sum.high, 6u);
  EXPECT_EQ(sum.sum_hex(), "00000000000000060000000000000000");
  EXPECT_EQ(RowChecksum::from(2, sum.sum_hex()), sum);
  EXPECT_THROW(RowChecksum::from(1, "XY"), Error);
}

TEST(Sha256, KnownAnswer) {  // FIPS 180-4 example
  EXPECT_EQ(sha256_hex(as_bytes("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Hmac, KnownAnswer) {  // RFC 4231, test case 2
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace holdfast
