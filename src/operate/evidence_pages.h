// The report of evidence as sections, before it is Markdown or HTML: so that both say the same.
// Internal to evidence_pages.cc, evidence_markdown.cc and evidence_html.cc. Pure.
#pragma once

#include <string>
#include <vector>

#include "operate/evidence.h"

namespace holdfast {

struct EvidenceSection {
  std::string heading;
  std::vector<std::string> paragraphs;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> cells;  // rows of as many as there are columns
};

struct EvidencePages {
  std::string title;
  std::vector<EvidenceSection> sections;
};

EvidencePages evidence_pages(const EvidenceReport& report);

}  // namespace holdfast
