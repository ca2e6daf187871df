#include "serve/api_keys.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>
#include <pwd.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr int kApplicationId = 0x48464b59;  // "HFKY"; docs/format/keys.md
constexpr int kFormatVersion = 1;
constexpr int kKeyBytes = 32;
constexpr char kKeyPrefix[] = "hf_";
constexpr size_t kNameBytesMax = 256;  // 64 characters
constexpr int kWriterWaitMs = 5'000;   // for another process's write, which takes milliseconds
constexpr std::chrono::minutes kUseInterval{1};

std::string random_key() {
  unsigned char bytes[kKeyBytes];
  if (RAND_bytes(bytes, kKeyBytes) != 1)
    throw Error(ErrorCode::internal, "the system has no random numbers");
  unsigned char base64[48];
  int size = EVP_EncodeBlock(base64, bytes, kKeyBytes);
  std::string text(reinterpret_cast<char*>(base64), static_cast<size_t>(size));
  while (text.ends_with('=')) text.pop_back();
  for (char& c : text) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  OPENSSL_cleanse(bytes, sizeof bytes);
  return kKeyPrefix + text;
}

std::array<uint8_t, 32> hash_of(const std::string& clear) {
  std::array<uint8_t, 32> hash;
  SHA256(reinterpret_cast<const unsigned char*>(clear.data()), clear.size(), hash.data());
  return hash;
}

int64_t milliseconds_of(UtcTime time) {
  return time.time_since_epoch().count();
}
UtcTime time_of(int64_t milliseconds) {
  return UtcTime(std::chrono::milliseconds(milliseconds));
}

// As root one would leave files that the engine's user cannot write.
void check_owner(const std::string& path) {
  std::string folder = std::filesystem::path(path).parent_path().string();
  struct stat status {};
  if (stat(folder.empty() ? "." : folder.c_str(), &status) != 0)
    throw system_error("open " + path, errno);
  if (status.st_uid == geteuid()) return;
  const passwd* owner = getpwuid(status.st_uid);
  std::string name = owner != nullptr ? owner->pw_name : std::to_string(status.st_uid);
  throw Error(ErrorCode::denied, fmt::format("folder {} belongs to user {}", folder, name),
              fmt::format("run this as {0}: sudo -u {0} holdfast …", name));
}

}  // namespace

std::string keys_path(const std::string& work_folder) {
  return work_folder + "/keys.db";
}

// One connection to the file. Not thread-safe.
struct ApiKeys::Connection {
  class Statement {
   public:
    Statement(Connection& connection, const char* sql) : connection_(connection) {
      if (sqlite3_prepare_v2(connection.database, sql, -1, &statement_, nullptr) != SQLITE_OK)
        throw connection.error();
    }
    Statement(const Statement&) = delete;
    Statement& operator=(const Statement&) = delete;
    ~Statement() { sqlite3_finalize(statement_); }

    Statement& bind(int64_t value) {
      sqlite3_bind_int64(statement_, ++bound_, value);
      return *this;
    }
    Statement& bind(const std::string& text) {
      sqlite3_bind_text(statement_, ++bound_, text.data(), static_cast<int>(text.size()),
                        SQLITE_TRANSIENT);
      return *this;
    }
    Statement& bind(const std::array<uint8_t, 32>& bytes) {
      sqlite3_bind_blob(statement_, ++bound_, bytes.data(), static_cast<int>(bytes.size()),
                        SQLITE_TRANSIENT);
      return *this;
    }
    bool step() {
      int result = sqlite3_step(statement_);
      if (result == SQLITE_ROW) return true;
      if (result != SQLITE_DONE) throw connection_.error();
      return false;
    }
    int64_t integer(int column) const { return sqlite3_column_int64(statement_, column); }
    std::optional<UtcTime> time(int column) const {
      if (sqlite3_column_type(statement_, column) == SQLITE_NULL) return std::nullopt;
      return time_of(integer(column));
    }
    std::string bytes(int column) const {
      const void* data = sqlite3_column_blob(statement_, column);
      auto size = static_cast<size_t>(sqlite3_column_bytes(statement_, column));
      return data == nullptr ? std::string() : std::string(static_cast<const char*>(data), size);
    }

   private:
    Connection& connection_;
    sqlite3_stmt* statement_ = nullptr;
    int bound_ = 0;
  };

  std::string path;
  sqlite3* database = nullptr;

  Connection(const std::string& file, int wait_ms) : path(file) {
    int opened = sqlite3_open_v2(file.c_str(), &database,
                                 SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    if (opened != SQLITE_OK) {
      Error failed = error();
      sqlite3_close(database);
      throw failed;
    }
    sqlite3_extended_result_codes(database, 1);
    sqlite3_busy_timeout(database, wait_ms);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { sqlite3_close(database); }

  Error error() const {
    int code = sqlite3_errcode(database) & 0xFF;
    std::string message = fmt::format("keys file {}: {}", path, sqlite3_errmsg(database));
    switch (code) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return Error(ErrorCode::busy, message);
      case SQLITE_FULL:
      case SQLITE_IOERR:
        return Error(ErrorCode::unavailable, message);
      case SQLITE_PERM:
      case SQLITE_READONLY:
      case SQLITE_CANTOPEN:
      case SQLITE_AUTH:
        return Error(ErrorCode::denied, message);
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return Error(ErrorCode::corrupt, message,
                     "move it away and make new keys (holdfast key add)");
      default:
        return Error(ErrorCode::internal, message);
    }
  }
  void run(const char* sql) { Statement(*this, sql).step(); }
  int64_t number(const char* sql) {
    Statement statement(*this, sql);
    return statement.step() ? statement.integer(0) : 0;
  }
};

ApiKeys::ApiKeys(const std::string& path, const Clock& clock) : clock_(clock) {
  check_owner(path);
  open_file(path, O_RDWR | O_CREAT, 0600);  // SQLite would make it readable for others
  writer_ = std::make_unique<Connection>(path, kWriterWaitMs);
  writer_->run("PRAGMA journal_mode = WAL");  // a reader waits for no writer
  writer_->run("PRAGMA synchronous = FULL");
  writer_->run("BEGIN IMMEDIATE");
  int64_t application = writer_->number("PRAGMA application_id");
  int64_t version = writer_->number("PRAGMA user_version");
  int64_t tables = writer_->number("SELECT count(*) FROM sqlite_master");
  if (tables == 0 && application == 0) {
    writer_->run(
        "CREATE TABLE api_keys (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
        " hash BLOB NOT NULL, created_at INTEGER NOT NULL, last_used_at INTEGER)");
    writer_->run(fmt::format("PRAGMA application_id = {}", kApplicationId).c_str());
    writer_->run(fmt::format("PRAGMA user_version = {}", kFormatVersion).c_str());
  } else if (application != kApplicationId) {
    throw Error(ErrorCode::corrupt, fmt::format("keys file {} is no file of keys", path),
                "move it away and make new keys (holdfast key add)");
  } else if (version != kFormatVersion) {
    throw Error(ErrorCode::unsupported,
                fmt::format("keys file {} is of version {}, and this program knows version {}",
                            path, version, kFormatVersion),
                "use the holdfast that made it, or a later one");
  }
  writer_->run("COMMIT");
  reader_ = std::make_unique<Connection>(path, kWriterWaitMs);
  refresh();
  sqlite3_busy_timeout(reader_->database, 0);
}

ApiKeys::~ApiKeys() = default;

NewApiKey ApiKeys::add(const std::string& name) {
  if (name.empty() || name.size() > kNameBytesMax || printable(name, kNameBytesMax) != name)
    throw Error(ErrorCode::invalid, "a key's name has 1 to 64 characters, none of them control");
  NewApiKey made{{0, name, clock_.now(), std::nullopt}, Secret(random_key())};
  std::lock_guard lock(write_mutex_);
  Connection::Statement(*writer_, "INSERT INTO api_keys (name, hash, created_at) VALUES (?, ?, ?)")
      .bind(name)
      .bind(hash_of(made.clear.reveal()))
      .bind(milliseconds_of(made.key.created_at))
      .step();
  made.key.id = sqlite3_last_insert_rowid(writer_->database);
  return made;
}

std::vector<ApiKey> ApiKeys::list() const {
  std::lock_guard lock(write_mutex_);
  std::vector<ApiKey> keys;
  Connection::Statement rows(*writer_,
                             "SELECT id, name, created_at, last_used_at FROM api_keys ORDER BY id");
  while (rows.step())
    keys.push_back({rows.integer(0), rows.bytes(1), time_of(rows.integer(2)), rows.time(3)});
  return keys;
}

ApiKey ApiKeys::revoke(int64_t id) {
  for (const ApiKey& key : list()) {
    if (key.id != id) continue;
    std::lock_guard lock(write_mutex_);
    Connection::Statement(*writer_, "DELETE FROM api_keys WHERE id = ?").bind(id).step();
    return key;
  }
  throw Error(ErrorCode::not_found, fmt::format("api key {} not found", id),
              "holdfast key list shows them");
}

std::optional<int64_t> ApiKeys::verify(const Secret& clear) {
  std::array<uint8_t, 32> hash = hash_of(clear.reveal());
  std::lock_guard lock(read_mutex_);
  refresh();
  std::optional<int64_t> found;
  for (const Known& known : known_)  // all of them, whichever it is
    if (CRYPTO_memcmp(known.hash.data(), hash.data(), hash.size()) == 0) found = known.id;
  if (found) uses_[*found].at = clock_.now();
  return found;
}

std::string ApiKeys::name_of(int64_t id) {
  std::lock_guard lock(read_mutex_);
  for (const Known& known : known_)
    if (known.id == id) return known.name;
  return {};
}

// Reads the keys again if any process has changed the file. Where that would have to wait (another
// process mends the file after a crash), those that were read last count.
void ApiKeys::refresh() {
  try {
    int64_t version = reader_->number("PRAGMA data_version");
    if (version == version_) return;
    std::vector<Known> found;
    Connection::Statement rows(*reader_, "SELECT id, hash, name FROM api_keys");
    while (rows.step()) {
      std::string bytes = rows.bytes(1);
      Known known{rows.integer(0), {}, rows.bytes(2)};
      if (bytes.size() != known.hash.size()) continue;
      std::memcpy(known.hash.data(), bytes.data(), bytes.size());
      found.push_back(known);
    }
    known_ = std::move(found);
    version_ = version;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::busy) throw;
  }
}

void ApiKeys::write_uses() {
  std::map<int64_t, UtcTime> due;
  {
    std::lock_guard lock(read_mutex_);
    for (auto& [id, use] : uses_) {
      if (use.at < use.written + kUseInterval) continue;
      due[id] = use.at;
      use.written = use.at;
    }
  }
  if (due.empty()) return;
  std::lock_guard lock(write_mutex_);
  for (const auto& [id, at] : due)
    Connection::Statement(*writer_, "UPDATE api_keys SET last_used_at = ? WHERE id = ?")
        .bind(milliseconds_of(at))
        .bind(id)
        .step();
}

}  // namespace holdfast
