// holdfast(1), the manual page, written from the option table: `holdfast help man` prints it, the
// Debian package installs it. One page has everything, as a reader without the documentation at
// hand needs it: commands with their options, every setting with its variable and its key, exit
// codes.
//
// In the man macros of troff, which man, groff and mandoc render. The same input gives the same
// bytes: it bears the version and no date. Pure.
#pragma once

#include <string>

namespace holdfast {

std::string manual_page(const std::string& version);

// `text` so that troff shows just it: no character of it is a request or an escape. Public for the
// tests.
std::string troff_text(const std::string& text);

}  // namespace holdfast
