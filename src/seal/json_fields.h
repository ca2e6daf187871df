// Reading the members of a parsed JSON document strictly: every one is there, of the right type and
// within its bound, or Error(corrupt) names it. Members that are not asked for are ignored: later
// versions may add some. Included only by the files that parse documents (a heavy header).
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/text.h"
#include "seal/document.h"

namespace holdfast {

using Json = nlohmann::json;

constexpr size_t kFieldBytesMax = 1 << 20;  // of one name, version or pattern

// A document that ends in its own SHA-256 (document.h), parsed. Throws Error(corrupt).
inline Json parse_sealed(const std::string& text, std::string_view key) {
  if (check_seal(text, key) != Seal::sound)
    throw Error(ErrorCode::corrupt, "its bytes do not match their own SHA-256");
  Json document = Json::parse(text, nullptr, false);
  if (document.is_discarded()) throw Error(ErrorCode::corrupt, "it is not JSON");
  return document;
}

// What json_text wrote.
inline std::string text_of(const Json& value, const std::string& where) {
  auto wrong = [&] { return Error(ErrorCode::corrupt, where + " is not text"); };
  std::string text;
  if (value.is_string()) {
    text = value.get_ref<const std::string&>();
  } else {
    if (!value.is_object() || value.size() != 1 || !value.contains("latin1")) throw wrong();
    const Json& latin1 = value.at("latin1");
    if (!latin1.is_string()) throw wrong();
    const std::string& utf8 = latin1.get_ref<const std::string&>();
    for (size_t i = 0; i < utf8.size(); ++i) {
      auto byte = static_cast<unsigned char>(utf8[i]);
      if (byte > 0xC3) throw wrong();  // beyond U+00FF
      // The parser has seen to it that a leading byte has its second one.
      text.push_back(byte < 0x80 ? utf8[i] : static_cast<char>((byte << 6 | (utf8[++i] & 0x3F))));
    }
  }
  if (text.size() > kFieldBytesMax) throw Error(ErrorCode::corrupt, where + " is too long");
  return text;
}

inline uint64_t number_of(const Json& value, const std::string& where, uint64_t max) {
  if (!value.is_number_unsigned())
    throw Error(ErrorCode::corrupt, where + " is not a number from 0 on");
  auto number = value.get<uint64_t>();
  if (number > max)
    throw Error(ErrorCode::corrupt, fmt::format("{} is {}, more than {}", where, number, max));
  return number;
}

class JsonFields {
 public:
  // `where` leads the names of fields in messages ("archive"); empty for the document itself.
  JsonFields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) throw Error(ErrorCode::corrupt, name_of("") + " is not an object");
  }

  const Json& at(const char* key) const {
    auto found = object_.find(key);
    if (found == object_.end()) throw Error(ErrorCode::corrupt, name_of(key) + " is missing");
    return *found;
  }
  const Json& list(const char* key) const {
    const Json& value = at(key);
    if (!value.is_array()) throw Error(ErrorCode::corrupt, name_of(key) + " is not a list");
    return value;
  }
  std::string text(const char* key) const { return text_of(at(key), name_of(key)); }
  uint64_t number(const char* key, uint64_t max = std::numeric_limits<int64_t>::max()) const {
    return number_of(at(key), name_of(key), max);
  }
  int integer(const char* key) const {
    return static_cast<int>(number(key, std::numeric_limits<int32_t>::max()));
  }
  bool boolean(const char* key) const {
    if (!at(key).is_boolean())
      throw Error(ErrorCode::corrupt, name_of(key) + " is neither true nor false");
    return at(key).get<bool>();
  }
  double real(const char* key) const {
    if (!at(key).is_number()) throw Error(ErrorCode::corrupt, name_of(key) + " is not a number");
    return at(key).get<double>();
  }
  UtcTime time(const char* key) const {
    try {
      return parse_rfc3339(text(key));
    } catch (const Error& error) {
      throw Error(ErrorCode::corrupt, name_of(key) + ": " + error.what());
    }
  }

 private:
  std::string name_of(const char* key) const {
    if (*key == '\0') return where_.empty() ? "the document" : where_;
    return where_.empty() ? fmt::format("field {}", key) : fmt::format("{}: field {}", where_, key);
  }

  const Json& object_;
  std::string where_;
};

// Throws Error(unsupported) for a document of another kind or a later version.
inline void check_format(const JsonFields& fields, const char* format, uint64_t version) {
  if (fields.text("format") != format)
    throw Error(ErrorCode::unsupported, fmt::format("it is not a {}", format));
  if (fields.number("version") != version)
    throw Error(ErrorCode::unsupported,
                fmt::format("it is a {} of version {}, and this program knows version {}", format,
                            fields.number("version"), version),
                "use the holdfast that made it, or a later one");
}

}  // namespace holdfast
