#include "pg/conninfo.h"

#include <fmt/format.h>
#include <libpq-fe.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <memory>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

using Parameters = std::map<std::string, std::string>;
using Options = std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)>;

constexpr char kEscapeHint[] =
    "special characters in a user name or password must be percent-encoded: @ is %40, / is %2F, "
    ": is %3A, % is %25, ? is %3F, # is %23";
constexpr size_t kServiceLineBytesMax = 1000;  // libpq's parseServiceFile: 1023 with the newline

[[noreturn]] void refuse(const std::string& why, const std::string& hint = {}) {
  throw Error(ErrorCode::invalid, "the connection string is not valid: " + why, hint);
}

// Parameters of other programs' URLs that libpq does not know. Only these are ever named in an
// error: an unknown word of the text can be a part of the password.
constexpr std::array<std::string_view, 14> kForeignParameters = {
    "pgbouncer",     "schema",         "connection_limit",
    "pool_timeout",  "pool_mode",      "pool_size",
    "ssl",           "sslaccept",      "search_path",
    "currentSchema", "socket_timeout", "statement_cache_size",
    "charset",       "encoding"};

std::string foreign_parameter_in(std::string_view libpq_message) {
  for (std::string_view name : kForeignParameters)
    if (libpq_message.find(fmt::format("\"{}\"", name)) != std::string_view::npos)
      return std::string(name);
  return {};
}

bool is_url(std::string_view text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://");
}

// Says what is wrong in words of our own: libpq's would repeat parts of the text.
[[noreturn]] void refuse_as_libpq(const std::string& text, std::string_view libpq_message) {
  auto says = [&](std::string_view part) {
    return libpq_message.find(part) != std::string_view::npos;
  };
  if (!text.empty() && (text.front() == '"' || text.front() == '\''))
    refuse("it is enclosed in quotation marks", "remove them");
  size_t scheme_end = text.find("://");
  if (scheme_end != std::string::npos && !is_url(text))
    refuse("its scheme is not postgresql://",
           "write postgresql://user:password@host:port/database");
  if (std::string name = foreign_parameter_in(libpq_message); !name.empty())
    refuse(fmt::format("libpq does not know the parameter {}", name),
           fmt::format("remove {}=… from it", name));
  if (says("percent-encoded") || says("%00"))
    refuse("a % in it is not followed by two hexadecimal digits", kEscapeHint);
  if (says("IPv6")) refuse("the IPv6 address is not closed", "write it as [::1]");
  if (says("query parameter") || says("connection option"))
    refuse("it has a parameter that libpq does not know",
           "the known ones are in PostgreSQL's manual, \"Parameter Key Words\"");
  if (is_url(text)) refuse("a character stands where it may not", kEscapeHint);
  if (says("unterminated")) refuse("a quoted value does not end", "close it with a single quote");
  refuse(
      "it is neither a URL nor keyword=value pairs",
      "write postgresql://user:password@host:port/database, or host=… dbname=… user=…; put a value "
      "with blanks in single quotes");
}

// A password with an unescaped '@', '/' or ':' shifts its parts into the host, port or database,
// which are shown in messages.
void check_url_shape(std::string_view text) {
  std::string_view rest = text.substr(text.find("://") + 3);
  size_t mark = rest.find_first_of("@/");
  if (mark != std::string_view::npos && rest[mark] == '@') rest.remove_prefix(mark + 1);
  if (rest.substr(0, rest.find('?')).find('@') != std::string_view::npos)
    refuse("there is a second @, or one behind the first /", kEscapeHint);
}

void check_ports(const std::string& ports, bool in_url) {
  for (const std::string& port : split(ports, ',')) {
    int number = 0;
    auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
    bool sound =
        error == std::errc() && end == port.data() + port.size() && number >= 1 && number <= 65535;
    if (!sound && !port.empty())
      refuse("the port is not a number from 1 to 65535", in_url ? kEscapeHint : "");
  }
}

Options parse_options(const std::string& text) {
  if (text.find('\0') != std::string::npos) refuse("it contains a zero byte");
  char* message = nullptr;
  Options options(PQconninfoParse(text.c_str(), &message), PQconninfoFree);
  std::unique_ptr<char, void (*)(void*)> owned(message, PQfreemem);
  if (options) return options;
  refuse_as_libpq(text, message == nullptr ? "" : message);
}

bool is_secret(const PQconninfoOption& option) {
  return std::string_view(option.dispchar == nullptr ? "" : option.dispchar).find('*') !=
         std::string_view::npos;
}

bool is_secret_keyword(const std::string& keyword) {
  return keyword == "password" || keyword == "sslpassword" || keyword == "oauth_client_secret";
}

// What libpq makes of `parameters`, without connecting: `poison`, a parameter that libpq checks
// late, is given an impossible value, so that it has resolved everything before it gives up. Values
// at libpq's own default are left out, and so is `poison`.
Parameters ask_libpq(Parameters parameters, const std::string& poison) {
  constexpr char kImpossible[] = "holdfast-does-not-connect";
  parameters[poison] = kImpossible;
  std::vector<const char*> keywords, values;
  for (const auto& [keyword, value] : parameters) {
    keywords.push_back(keyword.c_str());
    values.push_back(value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);
  std::unique_ptr<PGconn, void (*)(PGconn*)> pg(
      PQconnectStartParams(keywords.data(), values.data(), 0), PQfinish);
  if (!pg) throw Error(ErrorCode::unavailable, "out of memory");
  std::string_view message = PQerrorMessage(pg.get());
  if (message.find(kImpossible) == std::string_view::npos)
    throw Error(ErrorCode::invalid, printable(trim(message)),
                "check the connection string, the service file and the environment (PG…)");

  Options options(PQconninfo(pg.get()), PQconninfoFree);
  if (!options) throw Error(ErrorCode::unavailable, "out of memory");
  Parameters resolved;
  for (PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || *option->val == '\0' || option->keyword == poison) continue;
    bool at_default =
        option->compiled != nullptr && std::string_view(option->compiled) == option->val;
    if (!at_default || parameters.count(option->keyword) > 0)
      resolved[option->keyword] = option->val;
  }
  return resolved;
}

std::string percent_encoded(std::string_view text) {
  std::string encoded;
  for (char c : text) {
    bool plain = static_cast<unsigned char>(c) > ' ' && c != '\x7f' &&
                 std::string_view("%/?#@:&=\"").find(c) == std::string_view::npos;
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

std::string value_of(const Parameters& parameters, const std::string& keyword) {
  auto found = parameters.find(keyword);
  return found == parameters.end() ? std::string() : found->second;
}

std::string name_of_host(const Parameters& parameters) {
  std::string host = value_of(parameters, "host");
  return host.empty() ? value_of(parameters, "hostaddr") : host;
}

bool is_socket_folder(std::string_view host) {
  return host.starts_with('/') || host.starts_with('@');
}

// `a:5432,b:5433`
std::string hosts_with_ports(const std::string& hosts, const std::string& ports) {
  std::vector<std::string> all_hosts = split(hosts, ','), all_ports = split(ports, ',');
  std::string result;
  for (size_t i = 0; i < all_hosts.size(); ++i) {
    if (i > 0) result += ',';
    bool bare_ipv6 = all_hosts[i].find(':') != std::string::npos && all_hosts[i].front() != '[';
    result += bare_ipv6 ? "[" + all_hosts[i] + "]" : all_hosts[i];
    const std::string& port = all_ports.size() == 1  ? all_ports[0]
                              : i < all_ports.size() ? all_ports[i]
                                                     : std::string();
    if (!port.empty()) result += ":" + port;
  }
  return result;
}

// `ep-x-pooler.region.neon.tech` → the length of its first label without "-pooler", or npos.
size_t pooler_mark(std::string_view host) {
  constexpr std::string_view kMark = "-pooler";
  if (is_socket_folder(host)) return std::string_view::npos;
  std::string_view label = host.substr(0, host.find('.'));
  if (label.size() <= kMark.size() || !label.ends_with(kMark)) return std::string_view::npos;
  return label.size() - kMark.size();
}

// One line of the service file.
std::string service_line(const std::string& keyword, const std::string& value) {
  if (value.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos)
    throw Error(ErrorCode::invalid,
                fmt::format("the connection's {} contains a line break", keyword),
                "PostgreSQL's programs cannot be given such a value: change it");
  if (value.ends_with(' ') || value.ends_with('\t'))
    throw Error(ErrorCode::invalid, fmt::format("the connection's {} ends in a blank", keyword),
                "PostgreSQL's programs cannot be given such a value: change it");
  if (keyword.size() + value.size() > kServiceLineBytesMax)
    throw Error(
        ErrorCode::invalid,
        fmt::format("the connection's {} is longer than {} bytes", keyword, kServiceLineBytesMax),
        "PostgreSQL's programs cannot be given such a value: change it");
  return fmt::format("{}={}\n", keyword, value);
}

// A line of a password file that fits every server.
std::string password_line(const std::string& password) {
  if (password.find_first_of(std::string_view("\n\r\0", 3)) != std::string::npos)
    throw Error(ErrorCode::invalid, "the password contains a line break",
                "PostgreSQL's programs cannot be given such a password: change it");
  std::string line = "*:*:*:*:";
  for (char c : password) {
    if (c == '\\' || c == ':') line += '\\';
    line += c;
  }
  return line + "\n";
}

// libpq stats and opens these by name; /proc works where /dev/fd is missing.
std::string path_of(const Fd& file) {
  return fmt::format("/proc/self/fd/{}", file.get());
}

// What libraries under libpq take from the environment: where Kerberos tickets and trusted
// certificates are. None of it is secret.
constexpr std::array<const char*, 5> kLibraryVariables = {
    "KRB5CCNAME", "KRB5_CONFIG", "KRB5_KTNAME", "SSL_CERT_FILE", "SSL_CERT_DIR"};

}  // namespace

Conninfo Conninfo::parse(const std::string& text) {
  std::string trimmed(trim(text));
  bool url = is_url(trimmed);
  if (url) check_url_shape(trimmed);
  Options options = parse_options(trimmed);
  Conninfo conninfo;
  for (PQconninfoOption* option = options.get(); option->keyword != nullptr; ++option) {
    if (option->val == nullptr || *option->val == '\0') continue;
    std::string keyword = option->keyword;
    if (keyword == "password")
      conninfo.password_ = Secret(option->val);
    else if (is_secret(*option))
      conninfo.other_secrets_[keyword] = Secret(option->val);
    else
      conninfo.parameters_[keyword] = option->val;
  }
  check_ports(conninfo.get("port"), url);
  return conninfo;
}

std::string Conninfo::get(const std::string& keyword) const {
  return value_of(parameters_, keyword);
}

std::map<std::string, std::string> Conninfo::resolved_with_secret() const {
  Parameters given = parameters_with_secret();
  constexpr char kFirst[] = "target_session_attrs", kSecond[] = "sslmode";
  Parameters resolved = ask_libpq(given, kFirst);
  // The parameter that was poisoned must be asked for once more.
  Parameters second = ask_libpq(given, kSecond);
  if (auto found = second.find(kFirst); found != second.end()) resolved.insert(*found);
  resolved.erase("service");
  resolved.erase("servicefile");
  return resolved;
}

std::map<std::string, std::string> Conninfo::resolved() const {
  Parameters resolved = resolved_with_secret();
  std::erase_if(resolved, [&](const auto& entry) {
    return is_secret_keyword(entry.first) || other_secrets_.count(entry.first) > 0;
  });
  return resolved;
}

std::map<std::string, std::string> Conninfo::resolved_or_given() const {
  try {
    return resolved();
  } catch (const Error&) {
    return parameters_;  // connecting will say what is wrong
  }
}

std::string Conninfo::user() const {
  return value_of(resolved_or_given(), "user");
}

std::string Conninfo::dbname() const {
  Parameters resolved = resolved_or_given();
  std::string name = value_of(resolved, "dbname");
  return name.empty() ? value_of(resolved, "user") : name;
}

Conninfo Conninfo::with(const std::string& keyword, const std::string& value) const {
  Conninfo changed = *this;
  if (keyword == "password") {
    changed.password_ = Secret(value);
  } else if (is_secret_keyword(keyword)) {
    changed.other_secrets_.erase(keyword);
    if (!value.empty()) changed.other_secrets_[keyword] = Secret(value);
  } else {
    changed.parameters_.erase(keyword);
    if (!value.empty()) changed.parameters_[keyword] = value;
  }
  return changed;
}

Conninfo Conninfo::with_password(Secret password) const {
  Conninfo changed = *this;
  changed.password_ = std::move(password);
  return changed;
}

std::string Conninfo::display() const {
  Parameters resolved = resolved_or_given();
  std::string host = name_of_host(resolved), port = value_of(resolved, "port");
  std::string user = value_of(resolved, "user"), dbname = value_of(resolved, "dbname");
  std::string text = "postgresql://";
  if (!user.empty()) text += percent_encoded(user) + "@";
  bool socket = is_socket_folder(host);
  if (!socket)
    text += host.empty() ? (port.empty() ? "" : ":" + port) : hosts_with_ports(host, port);
  text += "/" + percent_encoded(dbname.empty() ? user : dbname);
  if (socket) text += "?host=" + host + (port.empty() ? "" : "&port=" + port);
  return printable(text);
}

std::string Conninfo::display_server() const {
  Parameters resolved = resolved_or_given();
  std::string host = name_of_host(resolved), port = value_of(resolved, "port");
  if (port.empty()) port = "5432";
  if (host.empty()) return "the local unix socket, port " + port;
  if (is_socket_folder(host))
    return printable(fmt::format("the unix socket {}, port {}", host, port));
  return printable(hosts_with_ports(host, port));
}

bool Conninfo::pooled() const {
  std::string hosts = value_of(resolved_or_given(), "host");
  std::vector<std::string> all = split(hosts, ',');
  return std::any_of(all.begin(), all.end(), [](const std::string& host) {
    return pooler_mark(host) != std::string_view::npos;
  });
}

Conninfo Conninfo::direct() const {
  if (!pooled()) return *this;
  std::string direct_hosts;
  for (std::string host : split(value_of(resolved_or_given(), "host"), ',')) {
    if (size_t mark = pooler_mark(host); mark != std::string_view::npos)
      host.erase(mark, std::string_view("-pooler").size());
    if (!direct_hosts.empty()) direct_hosts += ',';
    direct_hosts += host;
  }
  // An address of the pooled name leads to the pooler.
  return with("hostaddr", "").with("host", direct_hosts);
}

std::map<std::string, std::string> Conninfo::parameters_with_secret() const {
  Parameters all = parameters_;
  if (!password_.empty()) all["password"] = password_.reveal();
  for (const auto& [keyword, secret] : other_secrets_) all[keyword] = secret.reveal();
  return all;
}

std::map<std::string, std::string> connection_defaults(int timeout_seconds) {
  return {{"connect_timeout", std::to_string(timeout_seconds)},
          {"keepalives_idle", "60"},
          {"keepalives_interval", "15"},
          {"keepalives_count", "4"},
          {"tcp_user_timeout", "120000"}};
}

ChildLogin::ChildLogin(const Conninfo& conninfo) {
  Parameters parameters = conninfo.resolved_with_secret();
  parameters.merge(connection_defaults(kConnectTimeoutSeconds));
  if (std::string password = value_of(parameters, "password"); !password.empty()) {
    password_file_ = make_memory_file("holdfast-passwords", password_line(password));
    env_["PGPASSFILE"] = path_of(password_file_);
    parameters.erase("passfile");
  }
  parameters.erase("password");
  parameters.erase("client_encoding");
  std::string service = "[holdfast]\n";
  for (const auto& [keyword, value] : parameters) service += service_line(keyword, value);
  service_file_ = make_memory_file("holdfast-service", service);
  env_["PGSERVICEFILE"] = path_of(service_file_);
  for (const char* name : kLibraryVariables)
    if (const char* value = std::getenv(name)) env_[name] = value;
}

std::map<std::string, std::string> ChildLogin::env() const {
  return env_;
}

std::vector<int> ChildLogin::inherit() const {
  std::vector<int> handles = {service_file_.get()};
  if (password_file_.open()) handles.push_back(password_file_.get());
  return handles;
}

}  // namespace holdfast
