// The keys of holdfast.toml: which option a key at the top level, in [store.NAME] or in a table of
// one name ([engine], [audit], …) stands for, and what is said of one that stands for none.
//
// An option whose key is `audit.dir` stands as `dir` in the table [audit]. Pure.
#pragma once

#include <string>

#include "base/error.h"
#include "cli/option_table.h"

namespace holdfast {

// "holdfast.toml:3: message", for the user to correct.
Error invalid_at(const std::string& place, const std::string& message, std::string hint = {});

// Whether it is one of a store's: `dir`, `s3_…`.
bool is_of_a_store(const Option& option);

// Each throws Error(invalid), said to come from `place`, for a key that is none there.
const Option& option_of_key(const std::string& key, const std::string& place);
const Option& option_of_store_key(const std::string& key, const std::string& place);
const Option& option_of_section_key(const std::string& section, const std::string& key,
                                    const std::string& place);
// Throws Error(invalid) if there is no table [name].
void require_section(const std::string& name, const std::string& place);
// Whether [source.NAME.<section>] may say it for one source.
bool may_be_of_a_source(const std::string& section);

}  // namespace holdfast
