#include "dump/load_order.h"

#include <set>
#include <utility>

namespace holdfast {
namespace {

using Ids = std::set<int>;

struct Tables {
  std::map<std::pair<std::string, std::string>, int> by_name;  // schema, name → TABLE entry
  std::map<int, int> data;                                     // TABLE entry → its TABLE DATA
  std::map<int, Ids> partitions;                               // TABLE entry → its partitions
};

Tables tables_of(const ArchiveToc& toc) {
  Tables tables;
  Ids ids;
  for (const TocEntry& entry : toc.entries) {
    if (entry.desc != "TABLE") continue;
    tables.by_name[{entry.name_space, entry.tag}] = entry.dump_id;
    ids.insert(entry.dump_id);
  }
  for (const TocEntry& entry : toc.entries) {
    auto named = tables.by_name.find({entry.name_space, entry.tag});
    if (named == tables.by_name.end()) continue;
    if (entry.desc == "TABLE DATA") tables.data[named->second] = entry.dump_id;
    if (entry.desc != "TABLE ATTACH") continue;
    // It names the partition, and depends on both it and its parent.
    for (int id : entry.dependencies)
      if (id != named->second && ids.contains(id)) tables.partitions[id].insert(named->second);
  }
  return tables;
}

// The data of all partitions below `table`. A partition has one parent, so there are no cycles in a
// sound archive; `seen` ends them in another.
void add_data_below(const Tables& tables, int table, Ids& seen, Ids& data) {
  auto partitions = tables.partitions.find(table);
  if (partitions == tables.partitions.end() || !seen.insert(table).second) return;
  for (int partition : partitions->second) {
    if (auto at = tables.data.find(partition); at != tables.data.end()) data.insert(at->second);
    add_data_below(tables, partition, seen, data);
  }
}

}  // namespace

Dependencies load_order_dependencies(const ArchiveToc& toc) {
  Tables tables = tables_of(toc);
  Dependencies more;
  if (tables.partitions.empty()) return more;
  for (const TocEntry& entry : toc.entries) {
    if (entry.section != Section::post_data) continue;
    Ids data, seen;
    for (int id : entry.dependencies) add_data_below(tables, id, seen, data);
    for (int id : entry.dependencies) data.erase(id);
    if (!data.empty()) more[entry.dump_id].assign(data.begin(), data.end());
  }
  return more;
}

}  // namespace holdfast
