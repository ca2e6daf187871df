#include "cli/option_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "cli/option_groups.h"

namespace holdfast {
namespace {

constexpr int64_t kJobsMax = 64;  // more connections than that harm the source

const char* const kSourceGroup = "Source and store";
const char* const kStoreGroup = "Stores";
const char* const kBackupGroup = "Backup";
const char* const kRetentionGroup = "Retention";
const char* const kVerifyGroup = "Verify";
const char* const kRestoreGroup = "Restore";
const char* const kEncryptionGroup = "Encryption";
const char* const kOutputGroup = "Everywhere";

std::vector<Option> source_options() {
  using enum OptionKind;
  return {
      {"config", "--config", "HOLDFAST_CONFIG", "", text, "FILE", "", kEveryCommand, kSourceGroup,
       "the configuration file; else ./holdfast.toml, $XDG_CONFIG_HOME/holdfast/holdfast.toml or "
       "/etc/holdfast/holdfast.toml"},
      {"source", "--source", "HOLDFAST_SOURCE", "", text, "NAME", "", kEveryCommand, kSourceGroup,
       "which [source.NAME] of the configuration file is meant; not needed if there is only one"},
      {"dir", "--dir", "BACKUP_DIR", "dir", text, "FOLDER", "/var/backups/care-commons",
       kEveryCommand, kSourceGroup, "the folder that holds the backups"},
      {"pg_bindir", "--pg-bindir", "HOLDFAST_PG_BINDIR", "pg_bindir", text, "FOLDER", "",
       kEveryCommand, kSourceGroup,
       "a folder with PostgreSQL's programs, searched before the usual places"},
      {"database_url", "", "DATABASE_URL", "database_url", url, "URL", "", 0, kSourceGroup,
       "the database to protect, as libpq takes it "
       "(postgresql://user:password@host:port/database); "
       "never on the command line"},
      {"database_url_file", "", "DATABASE_URL_FILE", "database_url_file", text, "FILE", "", 0,
       kSourceGroup, "a file that holds the database's URL, instead of database_url"},
      {"password_file", "", "DATABASE_PASSWORD_FILE", "password_file", text, "FILE", "", 0,
       kSourceGroup, "a file that holds the database's password, for a URL without one"},
  };
}

std::vector<Option> store_options() {
  using enum OptionKind;
  constexpr unsigned kUsesStores = kBackup | kList | kShow | kVerify | kRestore | kDoctor | kPrune |
                                   kHold | kUnhold | kCopy | kRecover | kAudit | kDrill | kStatus |
                                   kReport;
  return {
      {"stores", "--store", "HOLDFAST_STORES", "stores", list, "NAME", "", kUsesStores, kStoreGroup,
       "only these stores: local (dir), s3 (s3_bucket), or tables [store.NAME]; else all that are "
       "configured; may be repeated, with commas in the environment"},
      {"copy_to", "--to", "", "", text, "STORE", "", kCopy, kStoreGroup,
       "the store that gets the copy"},
      {"s3_bucket", "", "S3_BACKUP_BUCKET", "s3_bucket", text, "BUCKET", "", 0, kStoreGroup,
       "the bucket that holds the backups, beside the folder"},
      {"s3_prefix", "", "S3_BACKUP_PREFIX", "s3_prefix", text, "PREFIX", "backups", 0, kStoreGroup,
       "what the keys of the backups begin with, before a slash; / for nothing"},
      {"s3_endpoint", "", "AWS_ENDPOINT_URL_S3", "s3_endpoint", text, "URL", "", 0, kStoreGroup,
       "the server of a bucket that is not Amazon's (MinIO, Ceph, R2, B2, Garage); else "
       "AWS_ENDPOINT_URL"},
      {"s3_region", "", "AWS_REGION", "s3_region", text, "REGION", "", 0, kStoreGroup,
       "the bucket's region; else AWS_DEFAULT_REGION, the profile's, or us-east-1"},
      {"s3_addressing",
       "",
       "",
       "s3_addressing",
       choice,
       "HOW",
       "auto",
       0,
       kStoreGroup,
       "where the bucket's name goes in a URL: into the path or the host's name; auto: the path, "
       "if "
       "s3_endpoint is set",
       {"auto", "path", "host"}},
      {"s3_storage_class", "", "", "s3_storage_class", text, "CLASS", "auto", 0, kStoreGroup,
       "the storage class of archives; auto: STANDARD_IA at Amazon, else the server's own; none: "
       "the "
       "bucket's own"},
      {"s3_sse",
       "",
       "",
       "s3_sse",
       choice,
       "HOW",
       "auto",
       0,
       kStoreGroup,
       "how the server encrypts at rest; auto: AES256 at Amazon, else as the server does; none: as "
       "the bucket is set up",
       {"auto", "AES256", "aws:kms", "none"}},
      {"s3_kms_key", "", "", "s3_kms_key", text, "KEY", "", 0, kStoreGroup,
       "the key of aws:kms; else the account's"},
      {"s3_object_lock",
       "",
       "",
       "s3_object_lock",
       choice,
       "MODE",
       "none",
       0,
       kStoreGroup,
       "lock objects until retention lets go of them (needs a bucket with Object Lock)",
       {"none", "governance", "compliance"}},
      {"s3_parallel",
       "",
       "",
       "s3_parallel",
       number,
       "N",
       "4",
       0,
       kStoreGroup,
       "how many parts of an object are under way at once",
       {},
       1,
       32},
      {"s3_profile", "", "AWS_PROFILE", "s3_profile", text, "NAME", "", 0, kStoreGroup,
       "the profile of ~/.aws/config and ~/.aws/credentials"},
      {"s3_ca_file", "", "AWS_CA_BUNDLE", "s3_ca_file", text, "FILE", "", 0, kStoreGroup,
       "certificates to trust instead of the system's"},
      {"aws_access_key_id", "", "AWS_ACCESS_KEY_ID", "", secret, "ID", "", 0, kStoreGroup,
       "login of the bucket; without it the usual chain is asked: profile, web identity, "
       "container, "
       "instance (docs/s3.md)"},
      {"aws_secret_access_key", "", "AWS_SECRET_ACCESS_KEY", "", secret, "KEY", "", 0, kStoreGroup,
       "login of the bucket"},
      {"aws_session_token", "", "AWS_SESSION_TOKEN", "", secret, "TOKEN", "", 0, kStoreGroup,
       "goes with temporary logins"},
  };
}

std::vector<Option> backup_options() {
  using enum OptionKind;
  return {
      {"type",
       "--type",
       "HOLDFAST_TYPE",
       "type",
       choice,
       "TYPE",
       "both",
       kBackup,
       kBackupGroup,
       "what to make: a dump, a branch, or both",
       {"dump", "branch", "both"}},
      {"dump_from",
       "--dump-from",
       "HOLDFAST_DUMP_FROM",
       "dump_from",
       choice,
       "WHAT",
       "source",
       kBackup,
       kBackupGroup,
       "with both legs: branch takes the dump from the branch just made, so that both hold the "
       "same "
       "moment and the source carries no load",
       {"source", "branch"}},
      {"critical_tables", "--critical-table", "CRITICAL_TABLES", "critical_tables", list, "TABLE",
       "", kBackup | kVerify, kBackupGroup,
       "a table that the proof of a branch reads, counts and sums; without any, it reads all; may "
       "be repeated, in the variable with commas"},
      {"exclude_table_data", "--exclude-table-data", "", "exclude_table_data", list, "PATTERN", "",
       kBackup, kBackupGroup,
       "leave out the rows of matching tables, as pg_dump does; may be repeated"},
      {"schemas", "--schema", "", "schemas", list, "PATTERN", "", kBackup, kBackupGroup,
       "only matching schemas, as pg_dump does; may be repeated"},
      {"exclude_schemas", "--exclude-schema", "", "exclude_schemas", list, "PATTERN", "", kBackup,
       kBackupGroup, "leave out matching schemas, as pg_dump does; may be repeated"},
      {"jobs",
       "--jobs",
       "HOLDFAST_JOBS",
       "jobs",
       number,
       "N",
       "0",
       kBackup | kVerify | kRestore | kCopy | kRecover | kDrill,
       kBackupGroup,
       "parallel connections and workers; 0: one per core, from 2 to 8",
       {},
       0,
       kJobsMax},
      {"compression",
       "--compression",
       "HOLDFAST_COMPRESSION",
       "compression",
       choice,
       "NAME",
       "auto",
       kBackup,
       kBackupGroup,
       "how the archive is compressed; auto: gzip before PostgreSQL 16, zstd from 16 on",
       {"auto", "gzip", "zstd"}},
      {"level",
       "--level",
       "HOLDFAST_COMPRESSION_LEVEL",
       "level",
       number,
       "N",
       "0",
       kBackup,
       kBackupGroup,
       "zstd's level, 1 to 19; 0: the default; gzip has one level only",
       {},
       0,
       19},
      {"verify",
       "--verify",
       "HOLDFAST_VERIFY",
       "verify",
       choice,
       "LEVEL",
       "deep",
       kBackup | kCopy,
       kBackupGroup,
       "how the new backup or copy is proven; stored: only that every byte in the store is what "
       "was "
       "written, where the key that opens it is not",
       {"none", "stored", "quick", "deep", "restore"}},
      {"lock_timeout",
       "--lock-timeout",
       "HOLDFAST_LOCK_TIMEOUT",
       "lock_timeout",
       number,
       "SECONDS",
       "10",
       kBackup | kDoctor,
       kBackupGroup,
       "how long to wait for a table's lock, so that a dump never queues in front of a migration",
       {},
       1,
       86400},
      {"scratch_dir", "--scratch-dir", "HOLDFAST_SCRATCH_DIR", "scratch_dir", text, "FOLDER", "",
       kBackup | kVerify | kCopy | kDrill, kBackupGroup,
       "where the scratch server of the level restore and of drills keeps its data; else $TMPDIR "
       "or "
       "/tmp"},
  };
}

std::vector<Option> retention_options() {
  using enum OptionKind;
  return {
      {"retention_days",
       "",
       "BACKUP_RETENTION_DAYS",
       "retention_days",
       number,
       "DAYS",
       "30",
       0,
       kRetentionGroup,
       "for how many days every backup is kept",
       {},
       1,
       36500},
      {"retention_months",
       "",
       "MONTHLY_RETENTION_MONTHS",
       "retention_months",
       number,
       "MONTHS",
       "12",
       0,
       kRetentionGroup,
       "for how many months one backup a month is kept",
       {},
       0,
       1200},
      {"branch_backups_max",
       "",
       "BRANCH_BACKUPS_MAX",
       "branch_backups_max",
       number,
       "N",
       "0",
       0,
       kRetentionGroup,
       "at most this many backups that are branches are kept; 0: as many as the plan has room for",
       {},
       0,
       100000},
      {"no_prune", "--no-prune", "", "no_prune", flag, "", "", kBackup, kRetentionGroup,
       "remove nothing after the backup"},
      {"dry_run", "--dry-run", "", "", flag, "", "", kPrune | kRecover | kBranch, kRetentionGroup,
       "only say what would be done (of branch: restore, promote)"},
      {"reason", "--reason", "", "", text, "TEXT", "", kHold, kRetentionGroup,
       "why the backup is held"},
  };
}

std::vector<Option> verify_and_restore_options() {
  using enum OptionKind;
  return {
      {"verify_level",
       "--level",
       "HOLDFAST_VERIFY_LEVEL",
       "verify_level",
       choice,
       "LEVEL",
       "deep",
       kVerify | kDoctor,
       kVerifyGroup,
       "how much is proven",
       {"quick", "deep", "restore"}},
      {"all", "--all", "", "", flag, "", "", kVerify, kVerifyGroup, "every backup of the store"},
      {"to", "--to", "HOLDFAST_TO_URL", "", url, "URL", "", kRestore | kRecover | kDoctor,
       kRestoreGroup,
       "the server to restore to, and the database if it names one (recover: where to log in "
       "first); else, but not for recover, the source's server; a "
       "password belongs into HOLDFAST_TO_URL, PGPASSWORD or ~/.pgpass, not on the command line"},
      {"database", "--database", "", "", text, "NAME", "", kRestore | kRecover, kRestoreGroup,
       "the database to restore into; else <database>_restored_<time> (recover: as dumped)"},
      {"tables", "--table", "", "", list, "TABLE", "", kRestore, kRestoreGroup,
       "only this table (visits or public.visits); may be repeated"},
      {"confirm", "--confirm", "", "", text, "NAME", "", kRestore, kRestoreGroup,
       "replace the live database of this name, after a safety backup"},
      {"no_owner", "--no-owner", "", "", flag, "", "", kRestore, kRestoreGroup,
       "do not restore who owns what"},
      {"no_privileges", "--no-privileges", "", "", flag, "", "", kRestore, kRestoreGroup,
       "do not restore GRANTs"},
      {"read_back",
       "--read-back",
       "HOLDFAST_READ_BACK",
       "read_back",
       choice,
       "HOW",
       "full",
       kRestore | kRecover,
       kRestoreGroup,
       "full: every restored row is read back and compared; counts: the server's counts are",
       {"full", "counts"}},
  };
}

std::vector<Option> encryption_options() {
  using enum OptionKind;
  constexpr unsigned kReaders = kBackup | kVerify | kRestore | kDoctor | kCopy | kRecover | kDrill;
  return {
      {"gpg_recipients", "--gpg-recipient", "BACKUP_GPG_RECIPIENTS", "gpg_recipients", list, "KEY",
       "", kBackup | kDoctor, kEncryptionGroup,
       "seal backups to this GPG key (fingerprint or e-mail address); may be repeated, in the "
       "variable with commas; any one of their secret keys opens a backup"},
      {"key_file", "--key-file", "BACKUP_KEY_FILE", "key_file", text, "FILE", "", kReaders,
       kEncryptionGroup,
       "a file with one line of random text, 256 bits or more, that seals and opens backups: for "
       "those without GPG keys"},
      {"passphrase_file", "--passphrase-file", "BACKUP_PASSPHRASE_FILE", "passphrase_file", text,
       "FILE", "", kReaders, kEncryptionGroup,
       "a file with a passphrase that seals and opens backups, or unlocks the secret key"},
      {"encryption_key", "", "BACKUP_ENCRYPTION_KEY", "", secret, "KEY", "", 0, kEncryptionGroup,
       "a passphrase that seals and opens backups, as passphrase_file; a file is safer"},
      {"check_keys", "--check-keys", "", "", flag, "", "", kDoctor, kEncryptionGroup,
       "also try whether a secret key that opens backups can be used here"},
  };
}

std::vector<Option> output_options() {
  using enum OptionKind;
  return {
      {"json", "--json", "", "", flag, "", "", kEveryCommand, kOutputGroup,
       "one JSON document on standard output; everything else on standard error"},
      {"quiet", "--quiet", "", "", flag, "", "", kEveryCommand, kOutputGroup,
       "say only the result, warnings and errors"},
      {"no_color", "--no-color", "NO_COLOR", "", flag, "", "", kEveryCommand, kOutputGroup,
       "no colours"},
      {"help", "--help", "", "", flag, "", "", kEveryCommand, kOutputGroup, "show help"},
  };
}

}  // namespace

const std::vector<Option>& option_table() {
  static const std::vector<Option> table = [] {
    std::vector<Option> all;
    for (auto make :
         {source_options, store_options, backup_options, encryption_options, retention_options,
          verify_and_restore_options, recover_options, branch_options, engine_options,
          schedule_options, drill_options, objective_options, audit_options, alert_options,
          report_options, output_options})
      for (Option& option : make()) all.push_back(std::move(option));
    return all;
  }();
  return table;
}

const Option* find_option(std::string_view name) {
  for (const Option& option : option_table())
    if (option.name == name) return &option;
  return nullptr;
}

std::string suggest(std::string_view word, const std::vector<std::string>& known) {
  std::string lowered = lower(word);
  if (std::string near = nearest_word(lowered, known); !near.empty()) return near;
  constexpr size_t kBeginningMin = 3;  // shorter beginnings fit too much
  for (const std::string& candidate : known) {
    size_t same = 0;
    while (same < lowered.size() && same < candidate.size() && lowered[same] == candidate[same])
      ++same;
    size_t needed = candidate.starts_with("--") ? kBeginningMin + 2 : kBeginningMin;
    if (same >= needed && same * 2 >= lowered.size()) return candidate;
  }
  return {};
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  std::string near = suggest(word, known);
  return near.empty() ? "" : fmt::format(" (did you mean '{}'?)", near);
}

}  // namespace holdfast
