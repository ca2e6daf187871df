#include "pg/conninfo.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <optional>

#include "base/error.h"

namespace holdfast {
namespace {

// Sets a variable of the environment for one test.
class EnvironmentVariable {
 public:
  EnvironmentVariable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value == nullptr ? ::unsetenv(name) : ::setenv(name, value, 1);
  }
  ~EnvironmentVariable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

// The tests do not depend on the environment they run in.
class ConninfoTest : public ::testing::Test {
 protected:
  EnvironmentVariable host_{"PGHOST", nullptr}, port_{"PGPORT", nullptr}, user_{"PGUSER", nullptr},
      database_{"PGDATABASE", nullptr}, password_{"PGPASSWORD", nullptr},
      service_{"PGSERVICE", nullptr}, options_{"PGOPTIONS", nullptr},
      password_file_{"PGPASSFILE", nullptr}, tls_{"PGSSLMODE", nullptr};
};

Error refusal(const std::string& text) {
  try {
    Conninfo::parse(text);
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "taken: " << text;
  return Error(ErrorCode::internal, "");
}

std::string content(const std::string& fd_path) {
  // As libpq does: by name.
  return read_file(fd_path, 1 << 20);
}

TEST_F(ConninfoTest, TakesUrlsAndPairsApart) {
  Conninfo url =
      Conninfo::parse("postgresql://ann:s%40cret@db.example.com:5433/care?sslmode=require");
  EXPECT_EQ(url.get("host"), "db.example.com");
  EXPECT_EQ(url.get("port"), "5433");
  EXPECT_EQ(url.get("sslmode"), "require");
  EXPECT_EQ(url.get("password"), "");
  EXPECT_EQ(url.password().reveal(), "s@cret");
  EXPECT_EQ(url.dbname(), "care");
  EXPECT_EQ(url.user(), "ann");

  Conninfo pairs =
      Conninfo::parse("host=/run/pg dbname='my db' user=ann password='a b' sslpassword=k");
  EXPECT_EQ(pairs.get("dbname"), "my db");
  EXPECT_EQ(pairs.parameters().count("password"), 0u);
  EXPECT_EQ(pairs.parameters().count("sslpassword"), 0u);
  EXPECT_EQ(pairs.parameters_with_secret().at("password"), "a b");
  EXPECT_EQ(pairs.parameters_with_secret().at("sslpassword"), "k");
}

TEST_F(ConninfoTest, ErrorsNeverRepeatTheText) {
  for (const char* text :
       {"postgresql://ann:TOP/SECRET@h/care", "postgresql://ann:TOP@SECRET@h/care",
        "postgresql://ann:12/SECRET@h/care", "postgresql://ann:TOP%SECRET@h/care",
        "postgresql://ann:p@h:SECRET/care", "postgresql://ann:p@h/care?SECRET=1",
        "postgresql://ann:p@h/care?SECRET", "mysql://ann:SECRET@h/care",
        "\"postgresql://ann:SECRET@h/care\"", "host=h password=TOP SECRET", "SECRET",
        "host=h SECRET=x", "host=h password='SECRET", "postgresql://ann:SECRET@[::1/care",
        "postgresql://ann:TOP?x=SECRET/@h/care", "SECRET://ann:p@h/care"}) {
    Error error = refusal(text);
    EXPECT_EQ(error.code(), ErrorCode::invalid) << text;
    EXPECT_FALSE(error.hint().empty()) << text;
    std::string shown = error.what() + error.hint();
    EXPECT_EQ(shown.find("SECRET"), std::string::npos) << shown;
    EXPECT_EQ(shown.find("TOP"), std::string::npos) << shown;
  }
}

TEST_F(ConninfoTest, NamesParametersOfOtherPrograms) {
  Error error = refusal("postgresql://ann:p@h/care?schema=public");
  EXPECT_NE(std::string(error.what()).find("schema"), std::string::npos);
  EXPECT_NE(error.hint().find("remove schema="), std::string::npos);
}

TEST_F(ConninfoTest, DisplaysWithoutSecrets) {
  auto shown = [](const char* text) { return Conninfo::parse(text).display(); };
  EXPECT_EQ(shown("postgresql://ann:SECRET@db:5433/care?sslmode=require&sslpassword=SECRET"),
            "postgresql://ann@db:5433/care");
  EXPECT_EQ(shown("host=/run/pg port=5433 dbname=care user=ann"),
            "postgresql://ann@/care?host=/run/pg&port=5433");
  EXPECT_EQ(shown("host=a,b port=1,2 dbname=care user=ann"), "postgresql://ann@a:1,b:2/care");
  EXPECT_EQ(shown("host=a,b port=1 dbname=care user=ann"), "postgresql://ann@a:1,b:1/care");
  EXPECT_EQ(shown("postgresql://ann@[::1]:5433/care"), "postgresql://ann@[::1]:5433/care");
  EXPECT_EQ(shown("dbname='a b/c' user='x@y'"), "postgresql://x%40y@/a%20b%2Fc");
}

TEST_F(ConninfoTest, FillsInFromTheEnvironment) {
  EnvironmentVariable host("PGHOST", "db9"), user("PGUSER", "eve"),
      password("PGPASSWORD", "SECRET");
  Conninfo conninfo = Conninfo::parse("port=5433");
  EXPECT_EQ(conninfo.display(), "postgresql://eve@db9:5433/eve");
  EXPECT_EQ(conninfo.dbname(), "eve");
  EXPECT_EQ(conninfo.display_server(), "db9:5433");
  EXPECT_EQ(conninfo.resolved().count("password"), 0u);
  EnvironmentVariable database("PGDATABASE", "care");
  EXPECT_EQ(conninfo.dbname(), "care");
  EXPECT_EQ(conninfo.with("dbname", "other").dbname(), "other");
}

TEST_F(ConninfoTest, FillsInFromTheServiceFile) {
  TempFolder folder("holdfast-test-");
  write_file_atomic(
      folder.path() + "/services",
      "[care]\nhost=db7\nuser=sam\ntarget_session_attrs=read-write\nsslmode=require\n");
  EnvironmentVariable file("PGSERVICEFILE", (folder.path() + "/services").c_str());
  std::map<std::string, std::string> resolved = Conninfo::parse("service=care user=ann").resolved();
  EXPECT_EQ(resolved["host"], "db7");
  EXPECT_EQ(resolved["user"], "ann");
  EXPECT_EQ(resolved["target_session_attrs"], "read-write");
  EXPECT_EQ(resolved["sslmode"], "require");
  EXPECT_EQ(resolved.count("service"), 0u);
  EXPECT_THROW(Conninfo::parse("service=none").resolved(), Error);
}

TEST_F(ConninfoTest, ChangesParts) {
  Conninfo conninfo = Conninfo::parse("postgresql://ann:one@h/care");
  EXPECT_EQ(conninfo.with_password(Secret("two")).password().reveal(), "two");
  EXPECT_EQ(conninfo.with("password", "three").parameters().count("password"), 0u);
  EXPECT_EQ(conninfo.with("password", "three").password().reveal(), "three");
  EXPECT_EQ(conninfo.with("host", "").get("host"), "");
  EXPECT_EQ(conninfo.get("host"), "h");
}

TEST_F(ConninfoTest, FindsPoolersByTheHostsFirstLabel) {
  Conninfo pooled = Conninfo::parse(
      "postgresql://u:p@ep-cool-1-pooler.eu-central-1.aws.neon.tech/care?hostaddr=10.0.0.1");
  EXPECT_TRUE(pooled.pooled());
  EXPECT_EQ(pooled.direct().get("host"), "ep-cool-1.eu-central-1.aws.neon.tech");
  EXPECT_EQ(pooled.direct().get("hostaddr"), "");
  EXPECT_EQ(pooled.direct().password().reveal(), "p");
  EXPECT_FALSE(pooled.direct().pooled());
  EXPECT_FALSE(Conninfo::parse("postgresql://u@db.my-pooler.example.com/care").pooled());
  EXPECT_FALSE(Conninfo::parse("host=/run/x-pooler dbname=care").pooled());
  EXPECT_FALSE(Conninfo::parse("host=-pooler dbname=care").pooled());
  EXPECT_EQ(Conninfo::parse("host=a-pooler.x,b.x port=1,2").direct().get("host"), "a.x,b.x");
}

TEST_F(ConninfoTest, ChildrenLogInThroughFilesInMemory) {
  EnvironmentVariable user("PGUSER", "eve");
  ChildLogin login(
      Conninfo::parse("host=db7 password='a:b\\\\c d' application_name=x "
                      "client_encoding=LATIN1 sslmode=require"));
  EXPECT_EQ(content(login.env().at("PGPASSFILE")), "*:*:*:*:a\\:b\\\\c d\n");
  std::string service = content(login.env().at("PGSERVICEFILE"));
  EXPECT_TRUE(service.starts_with("[holdfast]\n")) << service;
  for (const char* line : {"\nhost=db7\n", "\nuser=eve\n", "\ndbname=eve\n", "\nsslmode=require\n",
                           "\nconnect_timeout=15\n"})
    EXPECT_NE(service.find(line), std::string::npos) << line << service;
  EXPECT_EQ(service.find("password"), std::string::npos) << service;
  EXPECT_EQ(service.find("client_encoding"), std::string::npos) << service;
  EXPECT_EQ(login.inherit().size(), 2u);
  for (int handle : login.inherit()) {
    struct stat status {};
    ASSERT_EQ(::fstat(handle, &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
  }
  for (const auto& [name, value] : login.env())
    EXPECT_EQ(value.find("a:b"), std::string::npos) << name;
}

TEST_F(ConninfoTest, ChildrenUseTheUsersPasswordFile) {
  ChildLogin login(Conninfo::parse("host=db7 passfile=/somewhere/pgpass"));
  EXPECT_EQ(login.env().count("PGPASSFILE"), 0u);
  EXPECT_NE(content(login.env().at("PGSERVICEFILE")).find("\npassfile=/somewhere/pgpass\n"),
            std::string::npos);
}

TEST_F(ConninfoTest, ChildrenTakeThePasswordOfTheEnvironment) {
  EnvironmentVariable password("PGPASSWORD", "from env");
  ChildLogin login(Conninfo::parse("host=db7"));
  EXPECT_EQ(content(login.env().at("PGPASSFILE")), "*:*:*:*:from env\n");
  EXPECT_EQ(login.env().count("PGPASSWORD"), 0u);
}

TEST_F(ConninfoTest, RefusesWhatTheFilesCannotHold) {
  Conninfo conninfo = Conninfo::parse("host=db7 user=ann");
  EXPECT_THROW(ChildLogin(conninfo.with("dbname", "a\nhost=evil")), Error);
  EXPECT_THROW(ChildLogin(conninfo.with("dbname", "trailing ")), Error);
  EXPECT_THROW(ChildLogin(conninfo.with("options", std::string(2000, 'x'))), Error);
  EXPECT_THROW(ChildLogin(conninfo.with_password(Secret("a\nb"))), Error);
  EXPECT_NO_THROW(ChildLogin(conninfo.with("dbname", "# [x] = 'y'")));
}

}  // namespace
}  // namespace holdfast
