// Parsing a JSON body of the API with bounds, and reading the fields of its objects: each is of the
// right type and within its bound, or an Error with the code of the reader names it. Fields that
// are not asked for are ignored. Included only by the files that read bodies (a heavy header).
#pragma once

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "neon/json.h"

namespace holdfast::neon {

using Json = nlohmann::json;

struct JsonBounds {
  int depth_max = 32;             // the API's own nest to 6
  size_t values_max = 20'000;     // an empty list of 2 bytes costs 48 in memory
  size_t text_bytes_max = 8'192;  // of one field, where nothing else is said
  ErrorCode code = ErrorCode::invalid;
};

// Throws Error(bounds.code). The bounds are held before anything is built.
Json parse_json(std::string_view body, const JsonBounds& bounds);

class Fields {
 public:
  // `path` leads the names of fields in messages ("branch", "endpoints[2]"); empty at the top.
  Fields(const Json& object, std::string path, const JsonBounds& bounds)
      : object_(object), path_(std::move(path)), bounds_(bounds) {
    if (!object_.is_object())
      throw Error(bounds_.code, path_.empty() ? "the body is not a JSON object"
                                              : fmt::format("field {} is not an object", path_));
  }

  Error wrong(const char* key, std::string_view what) const {
    return Error(bounds_.code, fmt::format("field {} {}", name_of(key), what));
  }
  bool given(const char* key) const { return object_.contains(key); }  // be it null
  const Json* find(const char* key) const {                            // null is absent
    auto found = object_.find(key);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  const Json& at(const char* key) const {
    const Json* value = find(key);
    if (value == nullptr) throw wrong(key, "is missing");
    return *value;
  }
  Fields object(const char* key) const { return Fields(at(key), name_of(key), bounds_); }
  std::optional<Fields> optional_object(const char* key) const {
    if (find(key) == nullptr) return std::nullopt;
    return object(key);
  }
  // Calls `read(Fields)` for every entry of the list; none if it is absent.
  template <typename Read>
  void each(const char* key, size_t count_max, Read&& read) const {
    const Json* list = find(key);
    if (list == nullptr) return;
    if (!list->is_array()) throw wrong(key, "is not a list");
    if (list->size() > count_max)
      throw wrong(key, fmt::format("has {} entries, more than {}", list->size(), count_max));
    for (size_t i = 0; i < list->size(); ++i)
      read(Fields((*list)[i], fmt::format("{}[{}]", name_of(key), i), bounds_));
  }
  template <typename Read>
  void each_text(const char* key, size_t count_max, Read&& read) const {
    const Json* map = find(key);
    if (map == nullptr) return;
    if (!map->is_object()) throw wrong(key, "is not an object");
    if (map->size() > count_max)
      throw wrong(key, fmt::format("has more than {} entries", count_max));
    for (auto entry = map->begin(); entry != map->end(); ++entry) {
      const std::string& name = entry.key();
      const Json& value = entry.value();
      if (!value.is_string()) throw wrong(key, "holds something that is not text");
      const auto& text = value.get_ref<const std::string&>();
      if (!is_plain(name) || !is_plain(text)) throw wrong(key, "holds a control character");
      read(name, text);
    }
  }

  // Lengths are in characters (code points), as the API counts them.
  std::string text(const char* key, size_t min = 0, size_t max = 0) const {
    const Json& value = at(key);
    if (!value.is_string()) throw wrong(key, "is not text");
    const auto& text = value.get_ref<const std::string&>();
    if (text.size() > bounds_.text_bytes_max) throw wrong(key, "is too long");
    // A name with a NUL would be cut by whoever takes it as a C string.
    if (bounds_.code == ErrorCode::invalid && !is_plain(text))
      throw wrong(key, "holds a control character");
    size_t characters = 0;
    for (char byte : text) characters += (byte & 0xC0) != 0x80;
    if (characters < min) throw wrong(key, "is too short");
    if (max != 0 && characters > max)
      throw wrong(key, fmt::format("is longer than {} characters", max));
    return text;
  }
  std::optional<std::string> optional_text(const char* key, size_t min = 0, size_t max = 0) const {
    if (find(key) == nullptr) return std::nullopt;
    return text(key, min, max);
  }
  std::string text_or(const char* key, const std::string& otherwise) const {
    return find(key) == nullptr ? otherwise : text(key);
  }
  std::string id(const char* key) const {
    std::string found = text(key);
    if (!is_id(found)) throw wrong(key, "is not an id (a-z, 0-9 and -, at most 60)");
    return found;
  }
  std::optional<std::string> optional_id(const char* key) const {
    if (find(key) == nullptr) return std::nullopt;
    return id(key);
  }
  UtcTime time(const char* key) const {
    try {
      return parse_time(text(key));
    } catch (const Error&) {
      throw wrong(key, "is not a time like 2026-11-10T14:30:00Z");
    }
  }
  std::optional<UtcTime> optional_time(const char* key) const {
    if (find(key) == nullptr) return std::nullopt;
    return time(key);
  }
  bool boolean(const char* key) const {
    if (!at(key).is_boolean()) throw wrong(key, "is neither true nor false");
    return at(key).get<bool>();
  }
  bool boolean_or(const char* key, bool otherwise) const {
    return find(key) == nullptr ? otherwise : boolean(key);
  }
  int64_t integer(const char* key, int64_t min = std::numeric_limits<int64_t>::min(),
                  int64_t max = std::numeric_limits<int64_t>::max()) const {
    const Json& value = at(key);
    bool fits = value.is_number_integer() &&
                (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{INT64_MAX});
    if (!fits) throw wrong(key, "is not a whole number");
    auto number = value.get<int64_t>();
    if (number < min || number > max)
      throw wrong(key, fmt::format("is {}; it may be {} to {}", number, min, max));
    return number;
  }
  int64_t integer_or(const char* key, int64_t otherwise) const {
    return find(key) == nullptr ? otherwise : integer(key);
  }
  double real(const char* key) const {
    const Json& value = at(key);
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      throw wrong(key, "is not a number");
    return value.get<double>();
  }
  double real_or(const char* key, double otherwise) const {
    return find(key) == nullptr ? otherwise : real(key);
  }

 private:
  static bool is_plain(const std::string& text) {
    for (char byte : text)
      if (static_cast<unsigned char>(byte) < 0x20 || byte == 0x7F) return false;
    return true;
  }
  std::string name_of(const char* key) const {
    return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
  }

  const Json& object_;
  std::string path_;
  JsonBounds bounds_;
};

}  // namespace holdfast::neon
