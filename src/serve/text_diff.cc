#include "serve/text_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace holdfast {
namespace {

constexpr int kContext = 3;
// Myers' algorithm keeps a trace of the square of this many numbers: 16 MB.
constexpr int kDifferencesMax = 2000;

using Lines = std::vector<std::string_view>;

// A line's own line break belongs to it, so a missing last one is a difference.
Lines lines_of(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    size_t end = text.find('\n');
    size_t size = end == text.npos ? text.size() : end + 1;
    lines.push_back(text.substr(0, size));
    text.remove_prefix(size);
  }
  return lines;
}

struct Edit {
  char kind;             // ' ', '-' or '+'
  size_t before, after;  // indexes of the line in either text; of the next one where it has none
};

// Myers, "An O(ND) difference algorithm", the greedy one: `trace[d][k + d]` is the furthest point
// on diagonal k that d differences reach. Empty if there are more differences than the bound.
std::vector<std::vector<int>> trace_of(const Lines& a, const Lines& b) {
  int n = static_cast<int>(a.size()), m = static_cast<int>(b.size());
  std::vector<std::vector<int>> trace;
  std::vector<int> furthest(2 * static_cast<size_t>(kDifferencesMax) + 3, 0);
  auto at = [&](int k) -> int& { return furthest[static_cast<size_t>(k + kDifferencesMax + 1)]; };
  for (int d = 0; d <= std::min(n + m, kDifferencesMax); ++d) {
    std::vector<int> reached;
    bool done = false;
    for (int k = -d; k <= d; k += 2) {
      bool down = k == -d || (k != d && at(k - 1) < at(k + 1));
      int x = down ? at(k + 1) : at(k - 1) + 1;
      while (x < n && x - k < m && x - k >= 0 &&
             a[static_cast<size_t>(x)] == b[static_cast<size_t>(x - k)])
        ++x;
      at(k) = x;
      done = done || (x >= n && x - k >= m);
    }
    for (int k = -d; k <= d; ++k) reached.push_back(at(k));
    trace.push_back(std::move(reached));
    if (done) return trace;
  }
  return {};
}

// The edits between the middles of the texts, which begin at `offset` in both.
std::vector<Edit> edits_of(const Lines& a, const Lines& b, size_t offset) {
  std::vector<Edit> edits;
  std::vector<std::vector<int>> trace = trace_of(a, b);
  int x = static_cast<int>(a.size()), y = static_cast<int>(b.size());
  auto push = [&](char kind, int i, int j) {
    edits.push_back({kind, offset + static_cast<size_t>(i), offset + static_cast<size_t>(j)});
  };
  if (trace.empty()) {
    for (int i = 0; i < x; ++i) push('-', i, 0);
    for (int j = 0; j < y; ++j) push('+', x, j);
    return edits;
  }
  for (int d = static_cast<int>(trace.size()) - 1; d > 0; --d) {
    const std::vector<int>& last = trace[static_cast<size_t>(d - 1)];
    auto reached = [&](int k) {
      return k < -(d - 1) || k > d - 1 ? -1 : last[static_cast<size_t>(k + d - 1)];
    };
    int k = x - y;
    bool down = k == -d || (k != d && reached(k - 1) < reached(k + 1));
    int from = down ? k + 1 : k - 1;
    int from_x = reached(from), from_y = from_x - from;
    while (x > from_x && y > from_y) push(' ', --x, --y);
    if (down)
      push('+', x, --y);
    else
      push('-', --x, y);
  }
  while (x > 0 && y > 0) push(' ', --x, --y);
  std::reverse(edits.begin(), edits.end());
  return edits;
}

std::string range(size_t first, size_t count) {
  size_t line = count == 0 ? first : first + 1;
  return count == 1 ? fmt::format("{}", line) : fmt::format("{},{}", line, count);
}

void write_hunk(std::string& out, const std::vector<Edit>& edits, size_t begin, size_t end,
                const Lines& a, const Lines& b) {
  size_t before = 0, after = 0;
  std::string body;
  for (size_t i = begin; i < end; ++i) {
    const Edit& edit = edits[i];
    before += edit.kind != '+';
    after += edit.kind != '-';
    std::string_view line = edit.kind == '+' ? b[edit.after] : a[edit.before];
    body += edit.kind;
    body += line;
    if (line.back() != '\n') body += "\n\\ No newline at end of file\n";
  }
  out += fmt::format("@@ -{} +{} @@\n", range(edits[begin].before, before),
                     range(edits[begin].after, after));
  out += body;
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after, std::string_view name) {
  if (before == after) return {};
  Lines a = lines_of(before), b = lines_of(after);
  size_t head = 0, tail = 0, shorter = std::min(a.size(), b.size());
  while (head < shorter && a[head] == b[head]) ++head;
  while (tail < shorter - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;

  std::vector<Edit> edits;
  size_t context = std::min<size_t>(head, kContext);
  for (size_t i = head - context; i < head; ++i) edits.push_back({' ', i, i});
  auto middle = [&](const Lines& lines) {
    return Lines(lines.begin() + static_cast<ptrdiff_t>(head),
                 lines.end() - static_cast<ptrdiff_t>(tail));
  };
  for (const Edit& edit : edits_of(middle(a), middle(b), head)) edits.push_back(edit);
  for (size_t i = 0; i < std::min<size_t>(tail, kContext); ++i)
    edits.push_back({' ', a.size() - tail + i, b.size() - tail + i});

  std::string out = fmt::format("--- a/{}\n+++ b/{}\n", name, name);
  for (size_t i = 0; i < edits.size();) {
    if (edits[i].kind == ' ') {
      ++i;
      continue;
    }
    size_t begin = i < kContext ? 0 : i - kContext, end = i, quiet = 0;
    // A hunk goes on while less than two contexts lie between differences.
    for (size_t j = i; j < edits.size() && quiet <= 2 * kContext; ++j) {
      quiet = edits[j].kind == ' ' ? quiet + 1 : 0;
      if (quiet == 0) end = j + 1;
    }
    end = std::min(edits.size(), end + kContext);
    write_hunk(out, edits, begin, end, a, b);
    i = end;
  }
  return out;
}

}  // namespace holdfast
