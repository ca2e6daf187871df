// Names as people read them. An archive's table of contents, and a manifest after it, hold names in
// the encoding of their database, byte by byte; terminals and command lines speak UTF-8.
#pragma once

#include <string>

namespace holdfast {

// `text` in PostgreSQL's `encoding` ("LATIN1", "WIN1252", "EUC_JP") as UTF-8. As it is where it is
// UTF-8 already, where the encoding says nothing (SQL_ASCII), where this system does not know it,
// and where the bytes are none of it. Pure.
std::string text_in_utf8(const std::string& text, const std::string& encoding);

}  // namespace holdfast
