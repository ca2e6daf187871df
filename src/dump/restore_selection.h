// Which entries of a table of contents a restore brings back, in which of its three steps, and what
// they need on the server. Pure functions over the table of contents.
//
// pg_restore is given the entries by list file, once before and once after the data. Before: all of
// pre-data, and what belongs to the data section but carries no data block (sequence positions, the
// making of large objects). After: post-data, privileges (so that none is in the way of loading)
// and statistics.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "pg/archive.h"

namespace holdfast {

struct RestoreSelection {
  std::vector<int> before_data, after_data;  // dump ids, in the order of the table of contents
  std::set<int> data;                        // of entries with a data block
  std::vector<std::string> notes;            // what was left out and why
};

RestoreSelection select_everything(const ArchiveToc& toc);

// Tables by name in UTF-8 ("public.visits", "visits", quoted as in SQL or plain), with all that
// hangs on them (indexes, constraints, triggers, policies, owned sequences, partitions) and all
// they need (schemas, types, functions, extensions). Foreign keys and whatever else needs a table
// that is not named are left out, with a note. Throws Error(not_found) with the nearest name,
// Error(invalid) if an unqualified name fits several tables.
RestoreSelection select_tables(const ArchiveToc& toc, const std::vector<std::string>& names);

// What must be there on the server for the selected entries. Roles that policies and user mappings
// name are needed even without owners and privileges.
std::set<std::string> needed_extensions(const ArchiveToc& toc, const RestoreSelection& selection);
std::set<std::string> needed_tablespaces(const ArchiveToc& toc, const RestoreSelection& selection);
std::set<std::string> needed_roles(const ArchiveToc& toc, const RestoreSelection& selection,
                                   bool owners, bool privileges);

// Takes the extensions `names`, and what is said about them, out of the selection, with a note.
void leave_out_extensions(const ArchiveToc& toc, const std::vector<std::string>& names,
                          RestoreSelection& selection);

// For pg_restore --use-list.
std::string list_file(const std::vector<int>& dump_ids);

}  // namespace holdfast
