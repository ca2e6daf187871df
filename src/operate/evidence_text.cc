// The report as Markdown and as one HTML page.
#include <fmt/format.h>

#include "operate/evidence_pages.h"

namespace holdfast {
namespace {

// In a table's cell of Markdown: nothing in it may end the cell or begin anything.
std::string markdown_cell(const std::string& text) {
  std::string cell;
  for (char c : text) {
    if (c == '\n' || c == '\r') {
      cell += ' ';
      continue;
    }
    if (std::string_view("|\\`*_<>[]#").find(c) != std::string_view::npos) cell += '\\';
    cell += c;
  }
  return cell;
}

std::string html_text(const std::string& text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

constexpr const char* kStyle =
    "body{font:15px/1.45 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 "
    "1rem;color:#1a1a1a}"
    "h1{font-size:1.6rem}h2{font-size:1.15rem;margin-top:2rem;border-bottom:1px solid #ccc}"
    "table{border-collapse:collapse;width:100%;font-size:13px}"
    "td,th{border:1px solid #ccc;padding:.3rem "
    ".5rem;text-align:left;vertical-align:top;overflow-wrap:anywhere}"
    "td:empty{height:1.6rem}.pass{color:#0a6b2d;font-weight:600}.gap{color:#b00020;font-weight:600}"
    ".not{color:#7a5a00;font-weight:600}@media print{body{margin:0}}";

const char* class_of(const std::string& cell) {
  if (cell == "PASS") return " class=\"pass\"";
  if (cell == "GAP") return " class=\"gap\"";
  return cell == "NOT MEASURED" ? " class=\"not\"" : "";
}

}  // namespace

std::string evidence_markdown(const EvidenceReport& report) {
  EvidencePages pages = evidence_pages(report);
  std::string text = fmt::format("# {}\n", markdown_cell(pages.title));
  for (const EvidenceSection& section : pages.sections) {
    text += fmt::format("\n## {}\n\n", markdown_cell(section.heading));
    for (const std::string& paragraph : section.paragraphs)
      text += markdown_cell(paragraph) + "\n\n";
    if (section.columns.empty()) continue;
    auto row = [&](const std::vector<std::string>& cells) {
      text += "|";
      for (const std::string& cell : cells) text += " " + markdown_cell(cell) + " |";
      text += "\n";
    };
    row(section.columns);
    text += "|";
    for (size_t i = 0; i < section.columns.size(); ++i) text += "---|";
    text += "\n";
    for (const std::vector<std::string>& cells : section.cells) row(cells);
  }
  return text;
}

std::string evidence_html(const EvidenceReport& report) {
  EvidencePages pages = evidence_pages(report);
  std::string text = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{0}</title>\n"
      "<style>{1}</style></head><body>\n<h1>{0}</h1>\n",
      html_text(pages.title), kStyle);
  for (const EvidenceSection& section : pages.sections) {
    text += fmt::format("<h2>{}</h2>\n", html_text(section.heading));
    for (const std::string& paragraph : section.paragraphs)
      text += fmt::format("<p>{}</p>\n", html_text(paragraph));
    if (section.columns.empty()) continue;
    text += "<table><thead><tr>";
    for (const std::string& column : section.columns)
      text += fmt::format("<th>{}</th>", html_text(column));
    text += "</tr></thead><tbody>\n";
    for (const std::vector<std::string>& cells : section.cells) {
      text += "<tr>";
      for (const std::string& cell : cells)
        text += fmt::format("<td{}>{}</td>", class_of(cell), html_text(cell));
      text += "</tr>\n";
    }
    text += "</tbody></table>\n";
  }
  return text + "</body></html>\n";
}

}  // namespace holdfast
