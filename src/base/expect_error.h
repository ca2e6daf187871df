// For tests: what an expression throws must be an Error with this code.
//   EXPECT_ERROR(not_found, store.head("a.dump"));
#pragma once

#include <gtest/gtest.h>

#include "base/error.h"

namespace holdfast {

template <typename Work>
void expect_error(ErrorCode code, Work&& work, const char* what) {
  try {
    work();
    ADD_FAILURE() << what << ": nothing was thrown";
  } catch (const Error& error) {
    EXPECT_EQ(error_code_name(code), error_code_name(error.code())) << what << ": " << error.what();
  }
}
#define EXPECT_ERROR(code, expression) \
  ::holdfast::expect_error(            \
      ::holdfast::ErrorCode::code, [&] { expression; }, #expression)

}  // namespace holdfast
