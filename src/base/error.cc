#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace holdfast {

std::string_view error_code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
      return "not_found";
    case ErrorCode::exists:
      return "exists";
    case ErrorCode::corrupt:
      return "corrupt";
    case ErrorCode::denied:
      return "denied";
    case ErrorCode::busy:
      return "busy";
    case ErrorCode::unavailable:
      return "unavailable";
    case ErrorCode::invalid:
      return "invalid";
    case ErrorCode::unsupported:
      return "unsupported";
    case ErrorCode::cancelled:
      return "cancelled";
    case ErrorCode::violated:
      return "violated";
    case ErrorCode::partial:
      return "partial";
    case ErrorCode::internal:
      return "internal";
  }
  return "internal";
}

std::string_view general_hint(ErrorCode code) {
  switch (code) {
    case ErrorCode::not_found:
      return "holdfast list shows what there is";
    case ErrorCode::corrupt:
      return "use another backup (holdfast list), or another copy of this one";
    case ErrorCode::denied:
      return "holdfast doctor says which rights are missing";
    case ErrorCode::unavailable:
      return "holdfast doctor says what is wrong; then try again";
    case ErrorCode::invalid:
      return "holdfast help COMMAND shows what it takes";
    case ErrorCode::internal:
      return "this should not happen: please report it, with this line";
    default:
      return {};
  }
}

ExitCode exit_code_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::invalid:
      return kExitUsage;
    case ErrorCode::corrupt:
      return kExitDamage;
    case ErrorCode::busy:
      return kExitLocked;
    case ErrorCode::violated:
      return kExitViolation;
    case ErrorCode::partial:
      return kExitPartial;
    case ErrorCode::cancelled:
      return kExitInterrupted;
    default:
      return kExitFailed;
  }
}

Error system_error(const std::string& message, int errno_value) {
  ErrorCode code = ErrorCode::internal;
  std::string hint;
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      code = ErrorCode::not_found;
      hint = "see that the path is right, and that each folder of it is there";
      break;
    case EEXIST:
      code = ErrorCode::exists;
      break;
    case EACCES:
    case EPERM:
    case EROFS:
      code = ErrorCode::denied;
      hint = "give the user that runs holdfast the right to it, or choose another folder";
      break;
    case ENOSPC:
    case EDQUOT:
      code = ErrorCode::unavailable;
      hint = "free some space there, or point BACKUP_DIR (--dir) at a larger disk";
      break;
    case EFBIG:
      code = ErrorCode::unavailable;
      hint = "the file system or a limit (ulimit -f) does not allow files of this size";
      break;
    case EIO:
      code = ErrorCode::unavailable;
      hint = "the disk or the network file system reports a fault: see the kernel's log (dmesg)";
      break;
    case EISDIR:
    case ENAMETOOLONG:
    case ELOOP:
    case EINVAL:
      code = ErrorCode::invalid;
      break;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
    case EAGAIN:
    case EBUSY:
    case ETXTBSY:
    case ESTALE:
    case ETIMEDOUT:
    case ECONNREFUSED:
    case ECONNRESET:
      code = ErrorCode::unavailable;
      break;
    case EINTR:
      code = ErrorCode::cancelled;
      break;
    default:
      break;
  }
  return Error(code, message + ": " + std::strerror(errno_value), hint);
}

}  // namespace holdfast
