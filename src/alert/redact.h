// What may leave this machine in an alert: names and addresses, cut down to what cannot hold a
// secret. Everything in a message is a number, a time, a word of ours, or passed through here.
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

// A name (of a source, a store, a backup, a host) for people: well-formed UTF-8 without control
// characters, at most 120 bytes. What is a connection string, has a password in it or is in the
// shape of a token becomes "(hidden)"; an URL keeps its host and path.
std::string safe_name(std::string_view name);

// An http(s) address without userinfo, query and fragment, at most 300 bytes; "" if it is none.
std::string safe_url(std::string_view url);

}  // namespace holdfast
