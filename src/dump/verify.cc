#include "dump/verify.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "dump/names.h"
#include "dump/restore_steps.h"
#include "dump/sealed_archive.h"
#include "dump/verify_deep.h"
#include "dump/verify_restore.h"
#include "pg/client_tools.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr size_t kShortHashDigits = 12;
constexpr std::array<std::string_view, 3> kLevels = {"quick", "deep", "restore"};

// Whether pg_restore reads the table of contents. Empty: yes; else what it says.
std::string list_with_pg_restore(const ArchiveToc& toc, const ClientTools& tools) {
  MemoryFiles files;
  ProcessOptions options;
  options.argv = {tools.path("pg_restore"), "--list", files.add("holdfast-toc", toc.bytes)};
  options.env = clean_environment();
  options.inherit = files.handles();
  ProcessResult result = run_process(options, {}, kTocBytesMax);
  if (result.exit_code == 0) return {};
  return printable(trim(result.err));
}

class Verification {
 public:
  Verification(ObjectStore& store, const Backup& backup, const VerifyOptions& options,
               const Run& run)
      : store_(store), backup_(backup), options_(options), run_(run) {
    report_.id = backup.id;
    report_.level = options.level;
  }

  VerifyReport verify() {
    double begin = run_.clock.monotonic_seconds();
    if (!backup_.manifest) {
      report_.problems.push_back({manifest_name(backup_.id), backup_.damage.empty()
                                                                 ? "the manifest does not read"
                                                                 : backup_.damage});
    } else {
      check_quick(*backup_.manifest);
      if (options_.level != VerifyLevel::quick && archive_) check_deep(*backup_.manifest);
      if (options_.level != VerifyLevel::quick && shut_) check_stored(*backup_.manifest);
      for (Problem& problem : problems_.take()) report_.problems.push_back(std::move(problem));
      // What is damaged is not restored: there is nothing more to learn from it.
      if (options_.level == VerifyLevel::restore && report_.problems.empty() && !shut_)
        rehearsed_ = rehearse(*backup_.manifest);
    }
    report_.verdict = !report_.problems.empty() ? Verdict::fail
                      : !rehearsed_ || shut_    ? Verdict::inconclusive
                      : report_.notes.empty()   ? Verdict::pass
                                                : Verdict::pass_with_notes;
    report_.seconds = run_.clock.monotonic_seconds() - begin;
    return std::move(report_);
  }

 private:
  void check_quick(const Manifest& manifest) {
    run_.progress.phase("checking objects");
    check_globals(manifest);
    try {
      uint64_t bytes = store_.head(manifest.archive_object).bytes;
      archive_ = open_archive(store_, manifest, options_.keys, &findings_);
      // Deep verification names the place as well.
      if (bytes != manifest.stored_bytes() && options_.level == VerifyLevel::quick)
        problems_.add_at(0, manifest.archive_object,
                         fmt::format("has {} bytes instead of {}", bytes, manifest.stored_bytes()));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::not_found) throw;
      missing_ = true;
      problems_.add_at(0, manifest.archive_object, "the archive is missing");
      return;
    }
    check_toc(manifest);
  }

  // A sealed backup that no key here opens: nothing can be said of what is inside.
  void shut(const Error& error) {
    if (!shut_) report_.notes.push_back(std::string("not opened: ") + error.what());
    if (!shut_ && !error.hint().empty()) report_.notes.push_back("hint: " + error.hint());
    shut_ = true;
    archive_.reset();
  }

  void check_toc(const Manifest& manifest) {
    try {
      ArchiveToc toc = read_backup_toc(*archive_, manifest);
      check_agreement(manifest, toc);
      check_list(manifest, toc);
    } catch (const Error& error) {
      if (manifest.seal && error.code() == ErrorCode::denied) return shut(error);
      if (error.code() != ErrorCode::corrupt) throw;
      std::string place = archive_place(manifest.archive_label(), 0, manifest.toc_bytes,
                                        "header and table of contents");
      std::string what = error.what();
      if (what.rfind(place + ": ", 0) == 0) what.erase(0, place.size() + 2);
      problems_.add_at(0, place, what);
    }
  }

  void check_globals(const Manifest& manifest) {
    if (!manifest.globals_object) {
      report_.notes.push_back(
          "the backup has no roles and tablespaces (the login could not read them)");
      return;
    }
    try {
      if (manifest.seal && !globals_as_stored(manifest)) return;
      std::string globals = read_globals(store_, manifest, options_.keys);
      if (globals.size() != manifest.globals_bytes)
        problems_.add(
            *manifest.globals_object,
            fmt::format("has {} bytes instead of {}", globals.size(), manifest.globals_bytes));
      else if (sha256_hex(as_bytes(globals)) != manifest.globals_sha256)
        problems_.add(*manifest.globals_object,
                      "the bytes are not those that were written (SHA-256)");
    } catch (const Error& error) {
      if (manifest.seal && error.code() == ErrorCode::denied) return shut(error);
      if (error.code() != ErrorCode::not_found && error.code() != ErrorCode::corrupt) throw;
      problems_.add(*manifest.globals_object, error.what());
    }
  }

  bool globals_as_stored(const Manifest& manifest) {
    return same_as_stored(*manifest.globals_object, *manifest.seal->globals,
                          read_stored(store_, *manifest.globals_object, run_));
  }

  // Whether a sealed object is, byte for byte, what was written; a difference becomes a problem.
  bool same_as_stored(const std::string& object, const StoredObject& written,
                      const StoredObject& found) {
    if (found.bytes != written.bytes)
      problems_.add(object, fmt::format("has {} bytes instead of {}", found.bytes, written.bytes));
    else if (found.sha256 != written.sha256)
      problems_.add(object, "the sealed bytes are not those that were written (SHA-256)");
    return found.bytes == written.bytes && found.sha256 == written.sha256;
  }

  void check_stored(const Manifest& manifest) {
    if (missing_) return;
    run_.progress.phase("reading the sealed archive");
    if (same_as_stored(manifest.archive_object, manifest.seal->archive,
                       read_stored(store_, manifest.archive_object, run_)))
      report_.notes.push_back(
          "every sealed byte is what was written (SHA-256); what is inside was not looked at");
  }

  // Every data entry of the table of contents has its record in the manifest, and the other way.
  void check_agreement(const Manifest& manifest, const ArchiveToc& toc) {
    std::string where = manifest_name(manifest.id);
    std::set<int> listed, recorded;
    for (const TocEntry& entry : toc.entries)
      if (entry.had_dumper && (entry.desc == "TABLE DATA" || entry.desc == "BLOBS"))
        listed.insert(entry.dump_id);
    for (const TableRecord& table : manifest.tables)
      if (!recorded.insert(table.dump_id).second || listed.count(table.dump_id) == 0)
        problems_.add(where, fmt::format("table {} has no entry of its own in the archive's table "
                                         "of contents",
                                         table.name));
    for (const LargeObjectRecord& record : manifest.large_objects)
      if (!recorded.insert(record.dump_id).second || listed.count(record.dump_id) == 0)
        problems_.add(where, fmt::format("large objects {} have no entry of their own in the "
                                         "archive's table of contents",
                                         record.dump_id));
    for (const TocEntry& entry : toc.entries)
      if (listed.count(entry.dump_id) > 0 && recorded.count(entry.dump_id) == 0)
        problems_.add(where, fmt::format("says nothing of {} {}", entry.desc, entry.tag));
    if (toc.entries.size() != manifest.toc_entries)
      problems_.add(where, fmt::format("counts {} entries, the archive has {}",
                                       manifest.toc_entries, toc.entries.size()));
    if (toc.header.codec != manifest.codec)
      problems_.add(where, "names another compression than the archive's header");
  }

  void check_list(const Manifest& manifest, const ArchiveToc& toc) {
    std::optional<ClientTools> tools;
    try {
      tools = choose_client_tools(find_client_tools(options_.client_folder), manifest.server_major);
    } catch (const Error& error) {
      report_.notes.push_back(std::string("pg_restore --list was not tried: ") + error.what());
      return;
    }
    std::string failure = list_with_pg_restore(toc, *tools);
    if (!failure.empty())
      problems_.add(manifest.archive_object, "pg_restore does not read it: " + failure);
  }

  void check_deep(const Manifest& manifest) {
    run_.progress.phase("reading the archive");
    ScanResult scan = scan_with_manifest(*archive_, manifest, options_.jobs, problems_, run_);
    report_.tables = std::move(scan.tables);
    report_.rows = scan.rows;
    report_.sha256 = std::move(scan.sha256);
    if (!manifest.seal) return;
    if (findings_.failure) problems_.add(manifest.archive_object, findings_.failure->what());
    same_as_stored(manifest.archive_object, manifest.seal->archive, findings_.stored);
  }

  bool rehearse(const Manifest& manifest) {
    try {
      return rehearse_restore(store_, manifest, options_, report_, run_);
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      std::string what = error.what();
      if (what.find("No space left on device") != std::string::npos) {
        report_.notes.push_back("not rehearsed: " + what);
        return false;
      }
      report_.problems.push_back({"rehearsed restore", std::move(what)});
      return true;
    }
  }

  ObjectStore& store_;
  const Backup& backup_;
  const VerifyOptions& options_;
  const Run& run_;
  VerifyReport report_;
  ProblemList problems_;
  std::unique_ptr<ObjectReader> archive_;
  SealFindings findings_;
  bool rehearsed_ = true;
  bool shut_ = false, missing_ = false;
};

}  // namespace

std::string_view verify_level_name(VerifyLevel level) {
  return kLevels[static_cast<size_t>(level)];
}

VerifyLevel parse_verify_level(const std::string& name) {
  for (size_t i = 0; i < kLevels.size(); ++i)
    if (kLevels[i] == name) return static_cast<VerifyLevel>(i);
  std::vector<std::string> known(kLevels.begin(), kLevels.end());
  std::string near = nearest_word(name, known);
  throw Error(ErrorCode::invalid, fmt::format("unknown level '{}'", printable(name)),
              near.empty() ? "use quick, deep or restore" : fmt::format("did you mean {}?", near));
}

std::string_view verdict_name(Verdict verdict) {
  constexpr std::array<std::string_view, 4> kNames = {"PASS", "PASS WITH NOTES", "FAIL",
                                                      "INCONCLUSIVE"};
  return kNames[static_cast<size_t>(verdict)];
}

std::string VerifyReport::closing_line() const {
  std::string time = human_seconds(seconds);
  if (verdict == Verdict::fail)
    return fmt::format(
        "DAMAGED {} · {} · first: {}: {} · {}", id, plural(problems.size(), "problem"),
        problems.empty() ? "" : problems[0].where, problems.empty() ? "" : problems[0].what, time);
  if (verdict == Verdict::inconclusive)
    return fmt::format("INCONCLUSIVE {} · {} · {}", id,
                       notes.empty() ? "it could not be rehearsed" : notes.back(), time);
  std::string noted = notes.empty() ? std::string() : " · " + plural(notes.size(), "note");
  if (level == VerifyLevel::quick)
    return fmt::format("CHECKED {} · objects, manifest and table of contents agree{} · {}", id,
                       noted, time);
  std::string hash =
      sha256.empty() ? "" : fmt::format(" · sha256 {}…", sha256.substr(0, kShortHashDigits));
  return fmt::format("{} {} · {} rows{}{} · {}", compared ? "PROVEN" : "READ",
                     plural(tables.size(), "table"), human_count(rows), hash, noted, time);
}

VerifyReport verify_backup(ObjectStore& store, const Backup& backup, const VerifyOptions& options,
                           const Run& run) {
  return Verification(store, backup, options, run).verify();
}

VerifyReport verify_foreign_archive(ObjectReader& archive, const std::string& name,
                                    const VerifyOptions& options, const Run& run) {
  double begin = run.clock.monotonic_seconds();
  VerifyReport report;
  report.id = name;
  report.level = options.level;
  report.compared = false;
  ProblemList problems;
  bool conclusive = true;
  std::string place = name + " (header and table of contents)";
  run.progress.phase("reading the archive");
  try {
    ArchiveToc toc = read_toc_of(archive);
    place = name;
    if (options.level != VerifyLevel::quick) {
      if (toc.header.codec == Codec::lz4) {
        conclusive = false;
        report.notes.push_back("lz4-compressed data cannot be read by holdfast");
      } else {
        ForeignScan scan = scan_without_manifest(archive, name, toc, options.jobs, problems, run);
        report.tables = std::move(scan.result.tables);
        report.rows = scan.result.rows;
        report.sha256 = std::move(scan.result.sha256);
        if (scan.uncounted_tables > 0)
          report.notes.push_back(fmt::format("{} written as INSERT statements: rows not counted",
                                             plural(scan.uncounted_tables, "table")));
      }
      if (options.level == VerifyLevel::restore)
        report.notes.push_back(
            "no manifest: not rehearsed (restore it with holdfast restore FILE)");
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported) throw;
    if (error.code() == ErrorCode::unsupported) {
      conclusive = false;
      report.notes.push_back(error.what());
    } else {
      problems.add(place, error.what());
    }
  }
  if (conclusive)
    report.notes.insert(report.notes.begin(), "no manifest: rows could be counted, not compared");
  report.problems = problems.take();
  report.verdict = !report.problems.empty() ? Verdict::fail
                   : conclusive             ? Verdict::pass_with_notes
                                            : Verdict::inconclusive;
  report.seconds = run.clock.monotonic_seconds() - begin;
  return report;
}

}  // namespace holdfast
