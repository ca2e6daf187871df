#include "pg/encoding.h"

#include <iconv.h>

#include <algorithm>

namespace holdfast {
namespace {

constexpr size_t kUtf8BytesMax = 4;  // of one character, which has one byte at least elsewhere

// PostgreSQL's name of an encoding as iconv says it: WIN1252 is CP1252, KOI8R is KOI8-R, ISO_8859_5
// is ISO-8859-5. LATIN1 to LATIN10 are the same in both.
std::string iconv_name(std::string encoding) {
  std::replace(encoding.begin(), encoding.end(), '_', '-');
  if (encoding.starts_with("WIN")) return "CP" + encoding.substr(3);
  if (encoding == "KOI8R" || encoding == "KOI8U") return encoding.insert(4, "-");
  if (encoding == "EUC-JIS-2004") return "EUC-JISX0213";
  return encoding;
}

bool needs_no_change(const std::string& text, const std::string& encoding) {
  return encoding.empty() || encoding == "UTF8" || encoding == "SQL_ASCII" ||
         std::all_of(text.begin(), text.end(), [](char c) { return (c & 0x80) == 0; });
}

}  // namespace

std::string text_in_utf8(const std::string& text, const std::string& encoding) {
  if (needs_no_change(text, encoding)) return text;
  iconv_t converter = ::iconv_open("UTF-8", iconv_name(encoding).c_str());
  if (converter == reinterpret_cast<iconv_t>(-1)) return text;
  std::string from = text, to(text.size() * kUtf8BytesMax, '\0');
  char *in = from.data(), *out = to.data();
  size_t in_left = from.size(), out_left = to.size();
  size_t failed = ::iconv(converter, &in, &in_left, &out, &out_left);
  ::iconv_close(converter);
  if (failed == static_cast<size_t>(-1)) return text;
  to.resize(to.size() - out_left);
  return to;
}

}  // namespace holdfast
