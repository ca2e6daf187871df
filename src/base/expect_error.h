// For tests: what an expression throws must be an Error with this code.
//   EXPECT_ERROR(not_found, store.head("a.dump"));
//   EXPECT_ERROR_SAYING(not_found, "no such object", store.head("a.dump"));
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "base/error.h"

namespace holdfast {

template <typename Work>
void expect_error(ErrorCode code, Work&& work, const char* what, std::string_view saying = {}) {
  try {
    work();
    ADD_FAILURE() << what << ": nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error_code_name(code), error_code_name(error.code())) << what << ": " << error.what();
    EXPECT_NE(std::string(error.what()).find(saying), std::string::npos)
        << what << ": '" << error.what() << "' does not say '" << saying << "'";
  }
}
#define EXPECT_ERROR(code, expression) \
  ::holdfast::expect_error(            \
      ::holdfast::ErrorCode::code, [&] { expression; }, #expression)
#define EXPECT_ERROR_SAYING(code, text, expression) \
  ::holdfast::expect_error(                         \
      ::holdfast::ErrorCode::code, [&] { expression; }, #expression, text)

}  // namespace holdfast
