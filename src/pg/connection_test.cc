#include "pg/connection.h"

#include <gtest/gtest.h>

namespace holdfast {
namespace {

TEST(ServerErrorTest, CodesNameTheNextStep) {
  EXPECT_EQ(server_error("42501", "permission denied for table visits").code(), ErrorCode::denied);
  EXPECT_EQ(server_error("28P01", "password authentication failed").code(), ErrorCode::denied);
  EXPECT_EQ(server_error("3D000", "database \"x\" does not exist").code(), ErrorCode::not_found);
  EXPECT_EQ(server_error("42P01", "relation \"x\" does not exist").code(), ErrorCode::not_found);
  EXPECT_EQ(server_error("42P04", "database \"x\" already exists").code(), ErrorCode::exists);
  EXPECT_EQ(server_error("57P01", "terminating connection").code(), ErrorCode::unavailable);
  EXPECT_EQ(server_error("XX001", "invalid page in block 3").code(), ErrorCode::corrupt);
  EXPECT_EQ(server_error("42601", "syntax error").code(), ErrorCode::internal);
  EXPECT_EQ(server_error("", "").code(), ErrorCode::internal);

  Error locked = server_error("55P03", "canceling statement due to lock timeout");
  EXPECT_EQ(locked.code(), ErrorCode::unavailable);
  EXPECT_NE(locked.hint().find("--lock-timeout"), std::string::npos);
  EXPECT_NE(server_error("53200", "out of shared memory").hint().find("max_locks_per_transaction"),
            std::string::npos);
}

TEST(ServerErrorTest, KeepsTheServersWordsAboutThings) {
  Error error = server_error("55006", "database \"care\" is being accessed by other users",
                             "There are 2 other sessions using the database.");
  EXPECT_STREQ(
      error.what(),
      "database \"care\" is being accessed by other users (There are 2 other sessions using "
      "the database.)");
  EXPECT_EQ(server_error("42704", "type \"x\" does not exist", "", "Create it.").hint(),
            "Create it.");
}

TEST(ServerErrorTest, RowsDoNotLeak) {
  const char* const kLeaks[][3] = {
      {"22P02", "invalid input syntax for type integer: \"ANN 1956\"", ""},
      {"22003", "value \"ANN\" is out of range for type integer", ""},
      {"22007", "invalid value \"ANN\" for \"ANN\" field", "Value ANN is bad."},
      {"22008", "date/time field value out of range: \"ANN\"", ""},
      {"22P04", "extra data after last expected column", "line: ANN"},
      {"23505", "duplicate key value violates unique constraint \"visits_pkey\"",
       "Key (name)=(ANN) already exists."},
      {"23514", "new row for relation \"visits\" violates check constraint \"c\"",
       "Failing row contains (ANN)."},
      {"P0001", "visit of ANN overlaps", "ANN"},
  };
  for (const auto& leak : kLeaks) {
    Error error = server_error(leak[0], leak[1], leak[2], "ANN");
    std::string shown = error.what() + error.hint();
    EXPECT_EQ(shown.find("ANN"), std::string::npos) << shown;
    EXPECT_FALSE(std::string(error.what()).empty());
  }
  EXPECT_STREQ(server_error("22P02", "invalid input syntax for type integer: \"1\"").what(),
               "invalid input syntax for type integer");
  EXPECT_STREQ(server_error("23505", "duplicate key value violates unique constraint \"k\"").what(),
               "duplicate key value violates unique constraint \"k\"");
}

TEST(ServerErrorTest, MessagesArePrintable) {
  EXPECT_STREQ(server_error("42P01", "relation \"a\nb\x1b[31m\" does not exist").what(),
               "relation \"a b?[31m\" does not exist");
}

TEST(SessionSettingsTest, FitTheServersVersion) {
  auto has = [](const std::string& settings, const char* setting) {
    return settings.find(setting) != std::string::npos;
  };
  EXPECT_TRUE(has(dump_session_settings(150018), "row_security = off"));
  EXPECT_TRUE(has(load_session_settings(150018), "row_security = off"));
  EXPECT_FALSE(has(guarded_session_settings(150018), "SET transaction_timeout"));
  EXPECT_TRUE(has(guarded_session_settings(170002), "SET transaction_timeout = 0"));
  EXPECT_TRUE(has(guarded_session_settings(17), "SET transaction_timeout = 0"));
  EXPECT_FALSE(has(guarded_session_settings(130004), "SET idle_session_timeout"));
  EXPECT_FALSE(has(dump_session_settings(100023), "jit"));
  for (const std::string& settings : {guarded_session_settings(150018),
                                      dump_session_settings(150018), load_session_settings(150018)})
    EXPECT_FALSE(settings.ends_with(';'));
}

TEST(ConnectionTest, SaysThatNothingListens) {
  // Port 1 of this machine, where nothing does.
  Conninfo nowhere = Conninfo::parse("host=127.0.0.1 port=1 user=ann dbname=care password=SECRET");
  try {
    Connection::open(nowhere, "test", 5);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_NE(std::string(error.what()).find("127.0.0.1:1"), std::string::npos) << error.what();
    EXPECT_FALSE(error.hint().empty());
    EXPECT_EQ((error.what() + error.hint()).find("SECRET"), std::string::npos);
  }
}

}  // namespace
}  // namespace holdfast
