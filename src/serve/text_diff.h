// The difference of two texts by lines, as `diff -u` writes it: for schemas, which are thousands of
// lines with few differences. Minimal where that is cheap; where two texts have almost nothing in
// common, one whole block against the other. Pure.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// Empty when they are equal. `name` stands in the head, as a/<name> and b/<name>.
std::string unified_diff(std::string_view before, std::string_view after, std::string_view name);

}  // namespace holdfast
