// What most parsers and fuzz targets include, read once instead of eighty times when they are built
// for libFuzzer (CMakeLists.txt). No file may rely on it: other builds do without.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>
