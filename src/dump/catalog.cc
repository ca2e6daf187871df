#include "dump/catalog.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "dump/names.h"
#include "seal/document.h"
#include "seal/json_fields.h"

namespace holdfast {
namespace {

constexpr const char* kProofFormat = "holdfast-proof";
constexpr uint64_t kProofVersion = 1;
constexpr std::string_view kProofSealKey = "proof_sha256";
constexpr uint64_t kProofBytesMax = 64 << 10;
constexpr std::string_view kInconclusive = "INCONCLUSIVE";
constexpr size_t kNamedMatchesMax = 5;
constexpr uint64_t kClaimBytesMax = 4 << 10;
constexpr std::chrono::hours kTrialLifetime{1};

// --- proofs ---

std::string write_proof(const std::string& id, const Proof& proof) {
  std::string body = fmt::format(
      "{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"id\": {},\n  \"level\": {},\n"
      "  \"ok\": {},\n  \"verdict\": {},\n  \"at\": \"{}\",\n  \"seconds\": {:.3f}",
      kProofFormat, kProofVersion, json_text(id), json_text(proof.level), proof.ok,
      json_text(proof.verdict), format_rfc3339(proof.at), proof.seconds);
  return seal_document(std::move(body), kProofSealKey);
}

Proof parse_proof(const std::string& text, const ProofName& name) {
  Json document = parse_sealed(text, kProofSealKey);
  JsonFields fields(document, "");
  check_format(fields, kProofFormat, kProofVersion);
  if (fields.text("id") != name.id || fields.text("level") != name.level)
    throw Error(ErrorCode::corrupt, "it is of another backup or level than its name says");
  return {name.level, fields.boolean("ok"), fields.text("verdict"), fields.time("at"),
          fields.real("seconds")};
}

// Whether a failed read tells something about the object, and not about the way to it.
bool is_about_the_object(const Error& error) {
  return error.code() == ErrorCode::corrupt || error.code() == ErrorCode::unsupported ||
         error.code() == ErrorCode::denied || error.code() == ErrorCode::invalid;
}

// Nothing if it has been removed meanwhile.
std::optional<Proof> read_proof(ObjectStore& store, const std::string& object_name,
                                const ProofName& name) {
  try {
    return parse_proof(read_object(store, object_name, kProofBytesMax), name);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    if (!is_about_the_object(error)) throw;
    return Proof{name.level, false, std::string(kInconclusive), name.at, 0};
  }
}

int strength(const std::string& level) {
  return level == "restore" ? 3 : level == "deep" ? 2 : level == "quick" ? 1 : 0;
}

bool inconclusive(const Proof& proof) {
  return !proof.ok && proof.verdict == kInconclusive;
}

std::optional<Proof> proof_that_counts(const std::vector<Proof>& proofs) {
  auto refuted = [&](const Proof& failure) {
    return std::any_of(proofs.begin(), proofs.end(), [&](const Proof& other) {
      return other.ok && other.at > failure.at && strength(other.level) >= strength(failure.level);
    });
  };
  // A failure that stands, a success, an inconclusive one; among equals the stronger, the newer.
  auto rank = [&](const Proof& proof) {
    int kind = proof.ok ? 1 : inconclusive(proof) ? 0 : refuted(proof) ? -1 : 2;
    return std::tuple(kind, kind == 1 ? strength(proof.level) : 0, proof.at);
  };
  auto best = std::max_element(proofs.begin(), proofs.end(),
                               [&](const Proof& a, const Proof& b) { return rank(a) < rank(b); });
  if (best == proofs.end()) return std::nullopt;
  return *best;
}

// --- what is there ---

struct Inventory {
  std::vector<std::string> ids;       // of dumps with a manifest
  std::vector<std::string> branches;  // ids of branch backups with a record
  std::multimap<std::string, std::pair<std::string, ProofName>> proofs;  // id → object, its parts
  std::set<std::string> held;                                            // ids
};

// Of the objects whose names begin with `beginning`; dumps of `database` alone, if it is not empty.
Inventory take_inventory(ObjectStore& store, const std::string& beginning,
                         const std::string& database) {
  Inventory inventory;
  for (const ObjectInfo& object : store.list(beginning)) {
    if (std::optional<ProofName> proof = parse_proof_name(object.name)) {
      inventory.proofs.emplace(proof->id, std::pair(object.name, *proof));
      continue;
    }
    if (std::optional<std::string> held = id_of(object.name, kHoldSuffix))
      inventory.held.insert(*held);
    if (std::optional<std::string> branch = id_of(object.name, kBranchSuffix))
      inventory.branches.push_back(*branch);
    std::optional<std::string> id = id_of(object.name, kManifestSuffix);
    if (id && (database.empty() || parse_backup_id(*id)->database == database))
      inventory.ids.push_back(*id);
  }
  return inventory;
}

Inventory take_inventory(ObjectStore& store, const std::string& database) {
  return take_inventory(store, database.empty() ? "" : id_beginning(database), database);
}

// What is known beside its manifest or record.
template <typename AnyBackup>
void add_proof_and_hold(ObjectStore& store, const Inventory& inventory, AnyBackup& backup) {
  std::vector<Proof> proofs;
  auto [first, last] = inventory.proofs.equal_range(backup.id);
  for (auto it = first; it != last; ++it)
    if (auto proof = read_proof(store, it->second.first, it->second.second))
      proofs.push_back(*proof);
  backup.proof = proof_that_counts(proofs);
  if (inventory.held.count(backup.id) > 0) backup.hold = read_hold(store, backup.id);
}

// Nothing if the backup has been removed meanwhile.
std::optional<BranchBackup> read_branch_backup(ObjectStore& store, const Inventory& inventory,
                                               const std::string& id) {
  BranchBackup backup;
  backup.id = id;
  try {
    backup.record =
        read_branch_record(read_object(store, manifest_name(id), kBranchRecordBytesMax));
    if (backup.record->id != id)
      throw Error(ErrorCode::corrupt, fmt::format("the record is that of {}", backup.record->id));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    if (!is_about_the_object(error)) throw;
    backup.record.reset();
    backup.damage = error.what();
  }
  add_proof_and_hold(store, inventory, backup);
  return backup;
}

// Nothing if the backup has been removed meanwhile.
std::optional<Backup> read_backup(ObjectStore& store, const Inventory& inventory,
                                  const std::string& id) {
  Backup backup;
  backup.id = id;
  try {
    backup.manifest = read_manifest(read_object(store, manifest_name(id), kManifestBytesMax));
    if (backup.manifest->id != id)
      throw Error(ErrorCode::corrupt,
                  fmt::format("the manifest is that of {}", backup.manifest->id));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    if (!is_about_the_object(error)) throw;
    backup.manifest.reset();
    backup.damage = error.what();
  }
  add_proof_and_hold(store, inventory, backup);
  return backup;
}

UtcTime time_of(const Backup& backup) {
  return backup.manifest ? backup.manifest->created_at : parse_backup_id(backup.id)->at;
}

// --- finding one ---

std::string newest_id(const std::vector<std::string>& ids) {
  return *std::max_element(ids.begin(), ids.end(), [](const std::string& a, const std::string& b) {
    return std::pair(parse_backup_id(a)->at, a) < std::pair(parse_backup_id(b)->at, b);
  });
}

// What the user meant by the name of an object: its backup's id.
std::string without_suffix(const std::string& wanted) {
  std::string plain = wanted;
  if (plain.ends_with(kSealedSuffix)) plain.resize(plain.size() - kSealedSuffix.size());
  for (std::string_view suffix :
       {kArchiveSuffix, kManifestSuffix, kGlobalsSuffix, kBranchSuffix, kTablesSuffix})
    if (plain.size() > suffix.size() && plain.ends_with(suffix))
      return plain.substr(0, plain.size() - suffix.size());
  return wanted;
}

// --- after a crash ---

// The size of an object, or nothing if it is not there.
std::optional<uint64_t> size_of(ObjectStore& store, const std::string& name) {
  try {
    return store.head(name).bytes;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::not_found) throw;
    return std::nullopt;
  }
}

// The objects that are named after a backup, but for its claim: archive and manifest, proofs, hold.
std::vector<ObjectInfo> objects_of(ObjectStore& store, const std::string& id) {
  std::vector<ObjectInfo> objects;
  for (const ObjectInfo& object : store.list(id + ".")) {
    std::optional<ProofName> proof = parse_proof_name(object.name);
    if ((proof && proof->id == id) || id_of_content(object.name) == id ||
        id_of(object.name, kHoldSuffix) == id)
      objects.push_back(object);
  }
  return objects;
}

// The claim goes last: as long as it is there, the next run takes up what this one left.
void reap_claim(ObjectStore& store, const std::string& id, std::vector<std::string>& lines) {
  if (size_of(store, manifest_name(id))) {
    lines.push_back(fmt::format("removed {}: its backup is complete", claim_name(id)));
  } else {
    for (const ObjectInfo& object : objects_of(store, id)) {
      store.remove(object.name);
      lines.push_back(fmt::format("removed {} ({}) of a backup that is not complete", object.name,
                                  human_bytes(object.bytes)));
    }
    lines.push_back(fmt::format("removed {}: its backup is not complete", claim_name(id)));
  }
  store.remove(claim_name(id));
}

// Whether nobody is at work on the backup of this claim any more.
bool may_clear_claim(ObjectStore& store, const ObjectInfo& claim, const std::string& id,
                     const ReapScope& scope) {
  if (scope.machine.empty() || scope.now - claim.modified > kClaimLifetime) return true;
  try {
    return read_object(store, claim.name, kClaimBytesMax) == claim_content(id, scope.machine);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found || error.code() == ErrorCode::corrupt) return false;
    throw;
  }
}

}  // namespace

std::vector<Backup> list_backups(ObjectStore& store, const std::string& database) {
  Inventory inventory = take_inventory(store, database);
  std::vector<Backup> backups;
  for (const std::string& id : inventory.ids)
    if (std::optional<Backup> backup = read_backup(store, inventory, id))
      backups.push_back(std::move(*backup));
  std::sort(backups.begin(), backups.end(), [](const Backup& a, const Backup& b) {
    return std::pair(time_of(a), a.id) > std::pair(time_of(b), b.id);
  });
  return backups;
}

UtcTime BranchBackup::created_at() const {
  return record ? record->created_at : parse_backup_id(id)->at;
}

std::vector<BranchBackup> list_branch_backups(ObjectStore& store, const std::string& database) {
  Inventory inventory = take_inventory(store, std::string(kBranchIdBeginning), "");
  std::vector<BranchBackup> backups;
  for (const std::string& id : inventory.branches) {
    std::optional<BranchBackup> backup = read_branch_backup(store, inventory, id);
    if (!backup) continue;
    if (database.empty() || !backup->record || backup->record->database == database)
      backups.push_back(std::move(*backup));
  }
  std::sort(backups.begin(), backups.end(), [](const BranchBackup& a, const BranchBackup& b) {
    return std::pair(a.created_at(), a.id) > std::pair(b.created_at(), b.id);
  });
  return backups;
}

std::optional<BranchTables> read_tables_of_branch(ObjectStore& store, const std::string& id) {
  try {
    return read_branch_tables(read_object(store, tables_name(id), kBranchTablesBytesMax), id);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    throw error.within(tables_name(id));
  }
}

std::vector<std::string> list_backup_ids(ObjectStore& store, const std::string& database) {
  return take_inventory(store, database).ids;
}

std::string choose_backup_id(const std::vector<std::string>& ids, const std::string& said,
                             const std::string& where, const std::string& database) {
  if (ids.empty()) {
    std::string of = database.empty() ? "" : fmt::format(" of database {}", printable(database));
    throw Error(ErrorCode::not_found, fmt::format("there is no backup{} in {}", of, where),
                "make one with: holdfast backup");
  }
  if (said == "latest") return newest_id(ids);
  std::string wanted = without_suffix(said);
  if (std::find(ids.begin(), ids.end(), wanted) != ids.end()) return wanted;
  std::vector<std::string> matches;
  if (!wanted.empty())
    std::copy_if(ids.begin(), ids.end(), std::back_inserter(matches), [&](const std::string& id) {
      return id.starts_with(wanted) || id.ends_with(wanted);
    });
  if (matches.size() == 1) return matches[0];
  if (matches.empty()) {
    std::string near = nearest_word(wanted, ids);
    throw Error(ErrorCode::not_found,
                fmt::format("there is no backup '{}' in {}", printable(said), where),
                near.empty() ? "holdfast list shows those that are there"
                             : fmt::format("did you mean {}?", near));
  }
  std::string some;
  for (size_t i = 0; i < std::min(matches.size(), kNamedMatchesMax); ++i)
    some += (i == 0 ? "" : ", ") + matches[i];
  if (matches.size() > kNamedMatchesMax) some += ", …";
  throw Error(ErrorCode::invalid,
              fmt::format("'{}' stands for {} backups", printable(said), matches.size()),
              "name one of them: " + some);
}

Backup find_backup(ObjectStore& store, const std::string& database, const std::string& id) {
  Inventory inventory = take_inventory(store, database);
  std::string chosen = choose_backup_id(inventory.ids, id, store.location(), database);
  std::optional<Backup> backup = read_backup(store, inventory, chosen);
  if (!backup)
    throw Error(ErrorCode::not_found, fmt::format("backup {} has just been removed", chosen),
                "holdfast list shows those that are there");
  return std::move(*backup);
}

void record_proof(ObjectStore& store, const std::string& id, const Proof& proof) {
  std::string content = write_proof(id, proof);
  // Two proofs of one level in the same millisecond: the later one's name moves on.
  std::string written;
  for (int i = 0; written.empty(); ++i) {
    std::string name = proof_name(id, proof.level, proof.at + std::chrono::milliseconds(i));
    try {
      write_object(store, name, as_bytes(content));
      written = name;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::exists || i + 1 == kNamesTried) throw;
    }
  }
  for (const ObjectInfo& object : store.list(fmt::format("{}.proof-{}-", id, proof.level))) {
    std::optional<ProofName> name = parse_proof_name(object.name);
    if (!name || object.name >= written) continue;
    if (inconclusive(proof)) {
      std::optional<Proof> older = read_proof(store, object.name, *name);
      if (older && !inconclusive(*older)) continue;
    }
    store.remove(object.name);
  }
}

std::string claim_content(const std::string& id, const std::string& machine) {
  return fmt::format("{}\nmachine {}\n", id, machine);
}

std::optional<Hold> remove_backup(ObjectStore& store, const std::string& id,
                                  const std::string& machine, const std::function<void()>& first) {
  write_object(store, claim_name(id), as_bytes(claim_content(id, machine)));
  // Asked after the claim stands: whoever holds it from now on sees the claim (put_hold).
  if (std::optional<Hold> hold = read_hold(store, id)) {
    store.remove(claim_name(id));
    return hold;
  }
  std::vector<ObjectInfo> objects = objects_of(store, id);
  try {
    if (first) first();
  } catch (...) {
    store.remove(claim_name(id));
    throw;
  }
  try {
    store.remove(manifest_name(id));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::denied) store.remove(claim_name(id));
    throw;
  }
  for (const ObjectInfo& object : objects)
    if (object.name != manifest_name(id)) store.remove(object.name);
  store.remove(claim_name(id));
  return std::nullopt;
}

std::vector<std::string> reap_crashed_runs(ObjectStore& store, const ReapScope& scope) {
  std::vector<std::string> lines;
  std::set<std::string> left_alone;  // archives and globals that may be in the making
  for (const ObjectInfo& object : store.list("")) {
    std::optional<std::string> id = id_of(object.name, kClaimSuffix);
    if (!id) continue;
    if (may_clear_claim(store, object, *id, scope))
      reap_claim(store, *id, lines);
    else
      left_alone.insert(*id);
  }
  auto may_clear = [&](const std::string& name, UtcTime begun) {
    if (scope.machine.empty() || scope.now - begun > kClaimLifetime) return true;
    // What a preflight tried lasts seconds.
    if (name.starts_with(kTrialPrefix)) return scope.now - begun > kTrialLifetime;
    // A claim is written before anything else of its backup: what has none is nobody's.
    std::optional<std::string> id = id_of_content(name);
    return id && left_alone.count(*id) == 0;
  };
  if (size_t count = store.reap_unfinished(may_clear); count != 0)
    lines.push_back(fmt::format("removed {} that {} never finished", plural(count, "file"),
                                count == 1 ? "was" : "were"));
  return lines;
}

}  // namespace holdfast
