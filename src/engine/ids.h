// The names that the engine gives: branches, endpoints, snapshots, projects, operations, passwords.
//
// Their shapes are fixed from outside: the stock command line takes an argument for a branch's id
// only if it looks like `br-<word>-<word>-<digits>`, and operations are UUIDs (RFC 4122, version
// 4). Two names are never equal by accident that matters: a branch's has 2^37 possibilities and is
// checked against those that exist. All randomness is the operating system's. Thread-safe.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/secret.h"

namespace holdfast {

// `<prefix>-quiet-river-12345678`, with an empty prefix `quiet-river-12345678`. `taken` says
// whether a name is in use; another one is made then.
std::string make_id(std::string_view prefix, const std::function<bool(const std::string&)>& taken);

std::string make_uuid();

// 24 letters and digits (142 bits): nothing that a URL or a shell would need to have escaped.
Secret make_password();

// Whether `text` can be a branch's, endpoint's or snapshot's id in a path: 1 to 60 of a-z, 0-9, -.
bool is_id(std::string_view text);

}  // namespace holdfast
