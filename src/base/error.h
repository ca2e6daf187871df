// The one exception type of Holdfast, and what each kind of failure means to the outside.
//
// Why one type: a caller never cares which module failed, only what it can do next. The code names
// that next step; exit codes and (later) HTTP statuses are one table over the codes. An Error is
// thrown where the failure is known and caught where someone can act: a command, a worker's
// boundary, a retry decorator. On the way up, `with_context` adds present-tense steps, so that the
// user reads `restore care: read manifest: no such object`.
//
// Messages and hints are for people: lower-case, they name the thing and never hold a secret.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace holdfast {

// What the caller can do next.
enum class ErrorCode {
  not_found,    // name another thing, or make it
  exists,       // choose another name
  corrupt,      // stored bytes are not what was written: use another copy
  denied,       // get the right, or other credentials
  busy,         // somebody else holds it: wait
  unavailable,  // may work later: retry
  invalid,      // the request or the configuration is wrong: correct it
  unsupported,  // this combination is not built: choose another way
  cancelled,    // the user asked to stop
  violated,     // the work is done, but a policy or an objective is not met
  partial,      // one leg or store failed, the rest is safe
  internal,     // a failure nobody can be told a step for
};

class Error : public std::runtime_error {
 public:
  Error(ErrorCode code, const std::string& message, std::string hint = {})
      : std::runtime_error(message), code_(code), hint_(std::move(hint)) {}

  ErrorCode code() const { return code_; }
  // The next step for the user, without the leading "hint: "; empty when there is none.
  const std::string& hint() const { return hint_; }

  // "message (hint)": both where there is one line for them.
  std::string in_one_line() const {
    return hint_.empty() ? std::string(what()) : std::string(what()) + " (" + hint_ + ")";
  }
  // The same error one step further up: `step: message`.
  Error within(std::string_view step) const {
    return Error(code_, std::string(step) + ": " + what(), hint_);
  }

 private:
  ErrorCode code_;
  std::string hint_;
};

// Runs `work`; an Error that leaves it gets `step` put before its message.
template <typename Work>
decltype(auto) with_context(std::string_view step, Work&& work) {
  try {
    return std::forward<Work>(work)();
  } catch (const Error& error) {
    throw error.within(step);
  }
}

// The next step that fits every error of this code: what users are told when the error itself knows
// no better one. Empty for those that nobody can be told a step for.
std::string_view general_hint(ErrorCode code);

// The code's name as `--json` prints it ("not_found").
std::string_view error_code_name(ErrorCode code);

// Exit codes of the program (DESIGN section 9); scripts rely on them.
enum ExitCode : int {
  kExitDone = 0,
  kExitFailed = 1,
  kExitUsage = 2,
  kExitPartial = 3,
  kExitDamage = 4,
  kExitViolation = 5,
  kExitLocked = 6,
  kExitInterrupted = 130,
};

ExitCode exit_code_of(ErrorCode code);

// An Error for a failed system call: `message: strerror(errno_value)`, with the code that fits.
Error system_error(const std::string& message, int errno_value);

}  // namespace holdfast
