// The operator's own commands around a recovery (migrations, DNS): run by /bin/sh, their output
// logged line by line under the hook's name, with a time limit.
//
// The one place where a database's URL, password included, is given to a child in its environment:
// the operator's tools take it from there. It is in no argument and no log: where the output
// repeats the password, it is blotted out.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/run.h"
#include "base/secret.h"
#include "pg/conninfo.h"

namespace holdfast {

struct Hook {
  std::string name;     // "post_restore", "cutover"
  std::string command;  // for /bin/sh -c
};

struct HookOutcome {
  std::string name;
  bool ran = false;
  int exit_code = 0;
  double seconds = 0;
  std::string error;  // why it is not done; "" if it is
  bool ok() const { return ran && error.empty(); }
};

struct HookSetting {
  std::map<std::string, std::string> environment;  // to which the following is added
  Secret database_url;                             // DATABASE_URL
  Secret password;                                 // that is in it, to be kept out of the log
  std::string backup_id, database;                 // HOLDFAST_BACKUP_ID, HOLDFAST_DATABASE
  double limit_seconds = 3600;
};

// The URL of a database with the password that a login to it takes, wherever that comes from
// (the URL, PGPASSWORD, ~/.pgpass). Connects to find out.
struct UrlWithPassword {
  Secret url, password;
};
UrlWithPassword url_with_password(const Conninfo& database);

// A hook that fails is an outcome, not an Error; Error(cancelled) when the run is to stop (the
// hook's processes are then ended).
HookOutcome run_hook(const Hook& hook, const HookSetting& setting, const Run& run);

}  // namespace holdfast
