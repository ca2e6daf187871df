// What the server says of somebody's own query, without what it read in rows.
//
// A cast to regclass, a time zone, a file's name: the server quotes any text that it could not use,
// whatever the error's class. So a quoted text stays only where it stands in the query itself: then
// it is the operator's own word, and a mistyped table can be read. Pure.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// `message` of a server that speaks English, for `sql`. `of_parser`: the server points at a place
// in the query, so that it has read no row: what follows a colon then names types.
std::string message_of_query(std::string_view message, std::string_view sql, bool of_parser);

}  // namespace holdfast
