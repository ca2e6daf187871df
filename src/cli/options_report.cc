// Options of `holdfast report`.
#include "cli/option_groups.h"

namespace holdfast {

std::vector<Option> report_options() {
  using enum OptionKind;
  const char* const kReportGroup = "Report";
  return {
      {"report_period", "--period", "", "", text, "PERIOD", "", kReport, kReportGroup,
       "a month (2026-10), a quarter (2026-Q4), a year (2026) or days (2026-10-05..2026-10-11), in "
       "UTC; else last "
       "month"},
      {"report_html", "--html", "", "", flag, "", "", kReport, kReportGroup, "as one HTML page"},
      {"report_md", "--md", "", "", flag, "", "", kReport, kReportGroup,
       "as Markdown, as without this"},
      {"report_out", "--out", "", "", text, "FOLDER", "", kReport, kReportGroup,
       "write the report and all that it rests on into this new folder, with SHA-256 sums that are "
       "signed if there "
       "is a key"},
      {"report_signing_key_file", "--signing-key-file", "HOLDFAST_SIGNING_KEY_FILE",
       "report.signing_key_file", text, "FILE", "", kReport, kReportGroup,
       "the Ed25519 private key (PEM, from `openssl genpkey -algorithm ed25519`) that signs "
       "bundles"},
  };
}

}  // namespace holdfast
