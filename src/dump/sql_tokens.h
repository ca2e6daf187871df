// SQL text cut into tokens by PostgreSQL's lexical rules (manual, section 4.1): just enough to tell
// what stands inside literals, quoted identifiers, dollar-quoted bodies and comments from what does
// not. It never fails: what is not closed ends with the text. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

// The tokens of `sql`, as views into it, without blanks and comments. Literals carry their prefix
// and quotes (E'it\'s', "a b", $$body$$); `::` is one token, other operators come character by
// character.
std::vector<std::string_view> sql_tokens(std::string_view sql);

// The statements of `sql`, each as its tokens, without the ";" between them. psql's own commands (a
// line that starts with a backslash) are left out.
std::vector<std::vector<std::string_view>> sql_statements(std::string_view sql);

// From the first token to the last one, as it stands in the SQL they are of.
std::string_view text_of(const std::vector<std::string_view>& tokens);

// What a token stands for: `"a ""b"""` → `a "b"`; `'it''s'`, `E'back\\slash'`.
std::string plain_identifier(std::string_view token);
std::string plain_literal(std::string_view token);

}  // namespace holdfast
